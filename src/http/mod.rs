//! HTTP/1.1 and HTTP/2, server and client: framing, timeouts, limits, graceful shutdown.
//!
//! It knows nothing of the gate: `listener` passes in a [`Service`] that handles the requests.

mod body;
pub mod http1;
mod http2;
mod limits;
mod local_executor;
mod protocol;
mod read_ahead;
mod server;
mod service;

pub use body::{BodyError, IncomingBody, MessageBody};
pub use limits::Limits;
pub use local_executor::LocalExecutor;
pub use protocol::Protocol;
pub use read_ahead::ReadAhead;
pub use server::{Stream, serve};
pub use service::Service;
