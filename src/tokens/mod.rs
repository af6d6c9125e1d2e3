//! Which stream an opaque token stands for.
//!
//! `GetRecords` and further pages of lists name no stream: they carry a token that an earlier answer
//! handed out. The gate binds a token to the stream of the request that it was handed out for, and
//! asks here when it comes back. Stored is a keyed hash, never the token; for as long as the service
//! honours tokens; in memory that is fixed; and, for gateways of several replicas, in Redis or Valkey
//! as well.

mod key;
mod memory;
mod replicas;
mod streams;
mod table;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use memory::{Known, Memory};
use replicas::{Binding, Replicas};
use table::Inserted;

pub use key::{Digest, Key};
pub use replicas::{Settings, Unreachable};

/// How long the service honours a shard iterator or a `NextToken`, in seconds.
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetShardIterator.html>,
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListShards.html>
pub const LIFETIME_SECONDS: u32 = 300;

/// Bindings, shared by every event loop of the process.
pub struct Store {
    key: Key,
    memory: Memory,
    shared: Option<Settings>,
}

/// One event loop's way to the bindings.
#[derive(Clone)]
pub struct Tokens {
    store: Arc<Store>,
    replicas: Option<Rc<Replicas>>,
}

/// What became of a binding in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// It is there.
    Kept,
    /// It took the place of one that was alive, or there was no room for its stream.
    Evicted,
}

/// Waits until the other replicas know of a binding, or cannot be told.
pub type Sharing = Pin<Box<dyn Future<Output = Result<(), Unreachable>>>>;

impl Store {
    /// Room for so many tokens at once, [`Store::BYTES_A_TOKEN`] each. With `shared`, `key` must be
    /// the one that the other replicas have.
    pub fn new(key: Key, capacity: usize, shared: Option<Settings>) -> Store {
        Store {
            key,
            memory: Memory::new(capacity),
            shared,
        }
    }

    /// How many tokens are bound in memory and alive.
    pub fn alive(&self, now: SystemTime) -> usize {
        self.memory.alive(seconds(now))
    }

    /// How many tokens there is room for in memory.
    pub fn capacity(&self) -> usize {
        self.memory.capacity()
    }

    /// Bytes for each token of the capacity, names of streams included.
    pub const BYTES_A_TOKEN: usize = 40;
}

impl Tokens {
    /// One event loop's way. Opens nothing yet.
    pub fn new(store: &Arc<Store>) -> Tokens {
        let shared = store.shared.clone();
        Tokens {
            store: Arc::clone(store),
            replicas: shared.map(|settings| Rc::new(Replicas::new(settings))),
        }
    }

    /// The keyed hash of a token that `operation` takes.
    pub fn digest(&self, operation: &str, token: &str) -> Digest {
        self.store.key.digest(operation, token)
    }

    /// Binds a token to the stream with the ARN `stream`, in this process.
    pub fn bind(&self, digest: Digest, stream: &str, now: SystemTime) -> Bound {
        let now = seconds(now);
        let expires = now.saturating_add(LIFETIME_SECONDS);
        match self.store.memory.bind(digest, stream, expires, now) {
            Inserted::Kept => Bound::Kept,
            Inserted::Evicted => Bound::Evicted,
        }
    }

    /// Tells the other replicas of a binding; `None` where there are none.
    pub fn share(&self, digest: Digest, stream: &str, now: SystemTime) -> Option<Sharing> {
        let replicas = Rc::clone(self.replicas.as_ref()?);
        let store = Arc::clone(&self.store);
        let binding = Binding {
            expires: seconds(now).saturating_add(LIFETIME_SECONDS),
            stream: stream.to_owned(),
        };
        Some(Box::pin(async move {
            replicas.share(&store.key, digest, &binding).await
        }))
    }

    /// The stream that a token is bound to; `None` if it is not known here or anywhere.
    ///
    /// # Errors
    /// When it is not known here and the shared store cannot be asked.
    pub async fn stream(
        &self,
        digest: Digest,
        now: SystemTime,
    ) -> Result<Option<Arc<str>>, Unreachable> {
        let now = seconds(now);
        let replicas = match (self.store.memory.known(digest, now), &self.replicas) {
            (Known::Stream(stream), _) => return Ok(Some(stream)),
            (Known::Nothing, Some(replicas)) => replicas,
            (Known::Contested, _) | (Known::Nothing, None) => return Ok(None),
        };
        // On the heap, as whatever a request rarely waits for: room for it would be in every one.
        match Box::pin(replicas.binding(&self.store.key, digest)).await? {
            Some(Binding { expires, stream }) if expires > now => {
                self.store.memory.bind(digest, &stream, expires, now);
                Ok(Some(stream.into()))
            }
            _ => Ok(None),
        }
    }
}

/// Seconds since 1970: 32 bits reach to the year 2106.
fn seconds(time: SystemTime) -> u32 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}
