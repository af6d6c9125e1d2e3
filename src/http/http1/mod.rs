//! HTTP/1.1 between sockets of one event loop: strict heads, framed bodies, nothing rebuilt.
//!
//! hyper serves HTTP/2. For HTTP/1.1 it costs this gate 3 µs and four task switches a request, and
//! a copy of each head; here one task reads a connection's requests in turn, and the bytes of a
//! head and of a body leave as they came. What is accepted is a part of what hyper accepts: one
//! line ending, one framing, no chunk extensions; `tests/http1.rs` holds the two side by side.

mod client;
mod deadline;
mod decoder;
mod head;
mod outbound;
mod server;
mod wire;

pub use client::{Client, Reply, SendError};
pub use head::{Malformed, RequestHead, request};
pub use server::serve;
