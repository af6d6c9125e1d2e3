//! Connection limits: open connections in all and per client, and concurrent TLS handshakes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::config::Limits;

/// The connection limits of the whole process.
#[derive(Debug)]
pub struct ConnectionLimits {
    all: Arc<Semaphore>,
    handshakes: Semaphore,
    per_client: Option<PerClient>,
}

/// Open connections by client. INVARIANT: a client with an entry has one open at least, so that
/// there are never more entries than open connections.
#[derive(Debug)]
struct PerClient {
    limit: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// Counts a connection for its client until dropped.
#[derive(Debug)]
pub(super) struct ClientPermit {
    limits: Arc<ConnectionLimits>,
    client: IpAddr,
}

impl ConnectionLimits {
    /// The limits `limits.connections`, `limits.connections-per-client` and `limits.handshakes`.
    pub fn new(limits: &Limits) -> ConnectionLimits {
        let semaphore = |permits: usize| Semaphore::new(permits.min(Semaphore::MAX_PERMITS));
        ConnectionLimits {
            all: Arc::new(semaphore(limits.connections)),
            handshakes: semaphore(limits.handshakes),
            per_client: limits.connections_per_client.map(|limit| PerClient {
                limit,
                open: Mutex::default(),
            }),
        }
    }

    /// A permit for a connection that was accepted; `None` at `limits.connections`.
    pub(super) fn try_acquire(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).try_acquire_owned().ok()
    }

    /// Waits for the permit of a TLS handshake, in the order of the calls.
    pub(super) async fn acquire_handshake(&self) -> Option<SemaphorePermit<'_>> {
        self.handshakes.acquire().await.ok()
    }

    /// A permit for a connection whose client is known.
    ///
    /// # Errors
    /// The limit, if the client already has that many open connections.
    pub(super) fn try_acquire_client(
        self: &Arc<ConnectionLimits>,
        client: IpAddr,
    ) -> Result<ClientPermit, usize> {
        if let Some(per_client) = &self.per_client {
            let mut open = per_client.open();
            let count = open.entry(client).or_insert(0);
            if *count >= per_client.limit {
                return Err(per_client.limit);
            }
            *count += 1;
        }
        Ok(ClientPermit {
            limits: Arc::clone(self),
            client,
        })
    }
}

impl PerClient {
    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ClientPermit {
    fn drop(&mut self) {
        if let Some(per_client) = &self.limits.per_client {
            let mut open = per_client.open();
            if let Some(count) = open.get_mut(&self.client) {
                *count -= 1;
                if *count == 0 {
                    open.remove(&self.client);
                }
            }
        }
    }
}
