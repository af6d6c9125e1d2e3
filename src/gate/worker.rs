//! What a request is handled with: its event loop's share of the gate, and its connection.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::config::{Limits, OnReload};
use crate::observe::Observer;
use crate::tokens::TokenStoreHandle;
use crate::upstream::Upstream;

/// One event loop's share of the gate. Nothing of it is shared with another loop but what is
/// read-only.
pub struct Worker {
    /// Counters and the decision log.
    pub observer: Rc<Observer>,
    /// Connections to Kinesis.
    pub upstream: Upstream,
    /// Caps and deadlines.
    pub limits: Limits,
    /// What becomes of open event streams that a reload denies.
    pub on_reload: OnReload,
    /// Bytes of request bodies this loop may still hold.
    pub budget: Arc<Semaphore>,
    /// What opaque tokens stand for.
    pub tokens: TokenStoreHandle,
}
