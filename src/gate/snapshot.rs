//! Snapshots of the configuration: a reload replaces one as a whole while connections stay open.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::endpoints::ListenerEndpoints;

/// Holds the current snapshot. A frequent reader compares generations, which costs one load of a
/// cache line that hardly ever changes, and takes the lock only when they differ.
#[derive(Debug)]
pub struct SnapshotCell<T> {
    generation: AtomicU64,
    snapshot: RwLock<Arc<T>>,
    changed: Arc<Notify>,
}

/// The source of the current snapshot of a connection's listener.
pub trait SnapshotSource: Send + Sync {
    /// The number of the current snapshot; each reload adds one.
    fn generation(&self) -> u64;
    /// The current snapshot and its number.
    fn load(&self) -> (u64, Arc<ListenerEndpoints>);
    /// Completes at the next reload after this call.
    fn changed(&self) -> OwnedNotified;
}

impl<T> SnapshotCell<T> {
    /// A cell with its first snapshot, of generation 0.
    pub fn new(snapshot: Arc<T>) -> SnapshotCell<T> {
        SnapshotCell {
            generation: AtomicU64::new(0),
            snapshot: RwLock::new(snapshot),
            changed: Arc::default(),
        }
    }

    /// The number of the current snapshot.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The current snapshot and its number.
    pub fn load(&self) -> (u64, Arc<T>) {
        let snapshot = self.snapshot.read().unwrap_or_else(PoisonError::into_inner);
        (self.generation(), Arc::clone(&snapshot))
    }

    /// Replaces the snapshot.
    pub fn store(&self, snapshot: Arc<T>) {
        let mut current = self
            .snapshot
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = snapshot;
        self.generation.fetch_add(1, Ordering::Release);
        drop(current);
        self.changed.notify_waiters();
    }

    /// Completes at the next [`SnapshotCell::store`] after this call.
    pub fn changed(&self) -> OwnedNotified {
        Arc::clone(&self.changed).notified_owned()
    }
}
