//! Token bindings: the stream that an opaque token (shard iterator, `NextToken`) stands for.
//!
//! `GetRecords` and further pages of lists name no stream: they carry a token from an earlier
//! response. The gate binds a token to the stream of the request that it was issued for, and
//! resolves the token in later requests. The stores hold a keyed hash and never the token, for as
//! long as the service honours tokens, in fixed memory; and, for gateways of several replicas, in
//! Redis or Valkey too.

mod binding_table;
mod keyed_hash;
mod memory_store;
mod redis_store;
mod stream_interner;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use memory_store::{Lookup, MemoryStore};
use redis_store::{Binding, RedisStore};

pub use binding_table::BindOutcome;
pub use keyed_hash::{HashKey, TokenHash};
pub use redis_store::{RedisSettings, StoreUnavailable};

/// How long the service honours a shard iterator or a `NextToken`, in seconds.
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetShardIterator.html>,
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListShards.html>
pub const LIFETIME_SECONDS: u32 = 300;

/// The bindings, shared by every event loop of the process.
pub struct TokenStore {
    key: HashKey,
    memory: MemoryStore,
    redis: Option<RedisSettings>,
}

/// A handle to the bindings for one event loop.
#[derive(Clone)]
pub struct TokenStoreHandle {
    store: Arc<TokenStore>,
    redis: Option<Rc<RedisStore>>,
}

/// Resolves when the other replicas can read a binding, or cannot be reached.
pub type PublishFuture = Pin<Box<dyn Future<Output = Result<(), StoreUnavailable>>>>;

impl TokenStore {
    /// Bytes for each token of the capacity, ARNs of streams included.
    pub const BYTES_PER_TOKEN: usize = 40;

    /// Room for `capacity` tokens at once, [`TokenStore::BYTES_PER_TOKEN`] each. With `redis`, all
    /// replicas must have the same `key`.
    pub fn new(key: HashKey, capacity: usize, redis: Option<RedisSettings>) -> TokenStore {
        TokenStore {
            key,
            memory: MemoryStore::new(capacity),
            redis,
        }
    }

    /// The number of live bindings in memory.
    pub fn count_alive(&self, now: SystemTime) -> usize {
        self.memory.count_alive(unix_seconds(now))
    }

    /// The number of tokens that fit in memory.
    pub fn capacity(&self) -> usize {
        self.memory.capacity()
    }
}

impl TokenStoreHandle {
    /// A handle. It connects to the shared store when first needed.
    pub fn new(store: &Arc<TokenStore>) -> TokenStoreHandle {
        let redis = store.redis.clone();
        TokenStoreHandle {
            store: Arc::clone(store),
            redis: redis.map(|settings| Rc::new(RedisStore::new(settings))),
        }
    }

    /// The keyed hash of a token that `operation` takes.
    pub fn hash_token(&self, operation: &str, token: &str) -> TokenHash {
        self.store.key.hash_token(operation, token)
    }

    /// Binds a token to the stream with the ARN `stream`, in this process.
    pub fn bind(&self, token: TokenHash, stream: &str, now: SystemTime) -> BindOutcome {
        let now = unix_seconds(now);
        let expires = now.saturating_add(LIFETIME_SECONDS);
        self.store.memory.bind(token, stream, expires, now)
    }

    /// Publishes a binding to the other replicas; `None` if there are no replicas.
    pub fn publish(
        &self,
        token: TokenHash,
        stream: &str,
        now: SystemTime,
    ) -> Option<PublishFuture> {
        let redis = Rc::clone(self.redis.as_ref()?);
        let store = Arc::clone(&self.store);
        let binding = Binding {
            expires: unix_seconds(now).saturating_add(LIFETIME_SECONDS),
            stream: stream.to_owned(),
        };
        Some(Box::pin(async move {
            redis.publish(&store.key, token, &binding).await
        }))
    }

    /// The ARN of the stream that a token is bound to; `None` if it is bound nowhere.
    ///
    /// # Errors
    /// If the token is not bound here and the shared store is unavailable.
    pub async fn resolve(
        &self,
        token: TokenHash,
        now: SystemTime,
    ) -> Result<Option<Arc<str>>, StoreUnavailable> {
        let now = unix_seconds(now);
        let redis = match (self.store.memory.lookup(token, now), &self.redis) {
            (Lookup::Bound(stream), _) => return Ok(Some(stream)),
            (Lookup::Unbound, Some(redis)) => redis,
            (Lookup::Conflict, _) | (Lookup::Unbound, None) => return Ok(None),
        };
        // On the heap: few requests wait for it, and each would reserve room for it.
        match Box::pin(redis.fetch(&self.store.key, token)).await? {
            Some(Binding { expires, stream }) if expires > now => {
                self.store.memory.bind(token, &stream, expires, now);
                Ok(Some(stream.into()))
            }
            _ => Ok(None),
        }
    }
}

/// Seconds since 1970: 32 bits reach to the year 2106.
fn unix_seconds(time: SystemTime) -> u32 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}
