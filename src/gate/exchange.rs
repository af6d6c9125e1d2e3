//! What an exchange of one request and one response is handled with.

use std::rc::Rc;

use super::connection::{ClientConnection, ConnectionInfo};
use super::worker::Worker;

/// The worker, the client connection, and what is known of it under the exchange's snapshot.
#[derive(Clone, Copy)]
pub(super) struct Exchange<'a> {
    pub(super) worker: &'a Worker,
    pub(super) client: &'a Rc<ClientConnection>,
    pub(super) connection: &'a Rc<ConnectionInfo>,
}
