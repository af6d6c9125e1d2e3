//! The request handler of a server.

use std::future::Future;

use http::{Request, Response};

use super::body::{BodyError, IncomingBody, MessageBody};

/// Handles the requests of one connection.
pub trait Service: 'static {
    /// The body of its responses.
    type Body: MessageBody<Error = BodyError> + 'static;

    /// Handles one request.
    fn handle(&self, request: Request<IncomingBody>) -> impl Future<Output = Response<Self::Body>>;

    /// Waits until the connection must drain: it answers the requests in progress, then closes.
    fn drain(&self) -> impl Future<Output = ()>;
}
