//! How many connections may be open, in all and from one client, and how many in a TLS handshake.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::config::Limits;

/// Permits for client connections, of the whole process.
#[derive(Debug)]
pub struct Permits {
    all: Arc<Semaphore>,
    handshakes: Semaphore,
    each: Option<Each>,
}

/// Open connections by client. INVARIANT: an entry is of a client with one open at least, so that
/// there are never more entries than permits.
#[derive(Debug)]
struct Each {
    limit: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One of a client's connections; dropped, it is counted no more.
#[derive(Debug)]
pub(super) struct OfClient {
    permits: Arc<Permits>,
    client: IpAddr,
}

impl Permits {
    /// `limits.connections`, `limits.connections-per-client` and `limits.handshakes`.
    pub fn new(limits: &Limits) -> Permits {
        let semaphore = |permits: usize| Semaphore::new(permits.min(Semaphore::MAX_PERMITS));
        let each = limits.connections_per_client;
        Permits {
            all: Arc::new(semaphore(limits.connections)),
            handshakes: semaphore(limits.handshakes),
            each: each.map(|limit| Each {
                limit,
                open: Mutex::default(),
            }),
        }
    }

    /// For a connection that was accepted.
    pub(super) fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).try_acquire_owned().ok()
    }

    /// Waits until another TLS handshake may begin, in the order of asking.
    pub(super) async fn handshake(&self) -> Option<SemaphorePermit<'_>> {
        self.handshakes.acquire().await.ok()
    }

    /// Once its client is known.
    ///
    /// # Errors
    /// As many as it may have are open: so many.
    pub(super) fn of_client(self: &Arc<Permits>, client: IpAddr) -> Result<OfClient, usize> {
        if let Some(Each { limit, open }) = &self.each {
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            let count = open.entry(client).or_insert(0);
            if *count >= *limit {
                return Err(*limit);
            }
            *count += 1;
        }
        Ok(OfClient {
            permits: Arc::clone(self),
            client,
        })
    }
}

impl Drop for OfClient {
    fn drop(&mut self) {
        if let Some(Each { open, .. }) = &self.permits.each {
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = open.get_mut(&self.client) {
                *count -= 1;
                if *count == 0 {
                    open.remove(&self.client);
                }
            }
        }
    }
}
