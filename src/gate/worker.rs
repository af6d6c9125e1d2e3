//! The worker: one event loop's share of the gate.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::config::{Limits, OnReload};
use crate::observe::Observer;
use crate::tokens::TokenStoreHandle;
use crate::upstream::Upstream;

/// One event loop's share of the gate. Loops share only what is read-only.
pub struct Worker {
    /// Counters and the decision log.
    pub observer: Rc<Observer>,
    /// Upstream connections.
    pub upstream: Upstream,
    /// Limits and timeouts.
    pub limits: Limits,
    /// The action on an open event stream that a reload denies.
    pub on_reload: OnReload,
    /// The buffer budget: bytes of request bodies that this loop may still hold.
    pub budget: Arc<Semaphore>,
    /// The token bindings.
    pub tokens: TokenStoreHandle,
}
