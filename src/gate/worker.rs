//! What a request is handled with: its event loop's share of the gate, and its connection.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::config::Limits;
use crate::observe::Observer;
use crate::tokens::Tokens;
use crate::upstream::Upstream;

use super::Site;
use super::principals::Certified;

/// One event loop's share of the gate. Nothing of it is shared with another loop but what is
/// read-only.
pub struct Worker {
    /// Counters and the decision log.
    pub observer: Rc<Observer>,
    /// Connections to Kinesis.
    pub upstream: Upstream,
    /// Caps and deadlines.
    pub limits: Limits,
    /// Bytes of request bodies this loop may still hold.
    pub budget: Arc<Semaphore>,
    /// What opaque tokens stand for.
    pub tokens: Tokens,
}

/// What is known of a connection before its first request.
pub struct Connection {
    /// Where it came in.
    pub site: Arc<Site>,
    /// The client's address.
    pub peer: IpAddr,
    /// The name the client asked for, in lower case.
    pub server_name: Option<String>,
    /// Whose certificate the client showed, if it showed one.
    pub certified: Option<Certified>,
}
