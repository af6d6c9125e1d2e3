//! The exchange: the context in which one request and its response are handled.

use std::rc::Rc;

use super::connection::{ClientConnection, ConnectionInfo};
use super::worker::Worker;

/// The worker, the client connection, and the connection's info under the exchange's snapshot.
#[derive(Clone, Copy)]
pub(super) struct Exchange<'a> {
    pub(super) worker: &'a Worker,
    pub(super) client: &'a Rc<ClientConnection>,
    pub(super) connection: &'a Rc<ConnectionInfo>,
}
