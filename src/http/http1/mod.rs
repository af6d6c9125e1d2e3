//! HTTP/1.1 (RFC 9112) on one event loop: strict heads, framed bodies, keep-alive, nothing rebuilt.
//!
//! hyper serves HTTP/2. For HTTP/1.1 it costs this gate 3 µs and four task switches a request, and
//! a copy of each head. Here one task reads a connection's requests in turn, and the bytes of heads
//! and bodies are sent on as they were received. We accept a part of what hyper accepts: one line
//! ending, one framing, no chunk extensions; `tests/http1.rs` compares the two.

mod buffered_io;
mod client;
mod deadline;
mod decoder;
mod head;
mod message_io;
mod server;
mod write_queue;

pub use client::{Client, IncomingResponse, SendError};
pub use head::{MalformedHead, RequestHead, parse_request};
pub use server::serve;
