//! An HTTP server for one TLS connection, of either HTTP version.

use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::limits::Limits;
use super::protocol::Protocol;
use super::read_ahead::ReadAhead;
use super::service::Service;
use super::{http1, http2};

/// A client connection. On the heap: otherwise each async function that passes it on would reserve
/// room for it, 5 KiB of a connection.
pub type Stream = Box<TlsStream<ReadAhead<TcpStream>>>;

/// Serves one connection until it ends. When the service must drain, HTTP/2 gets a GOAWAY, and
/// HTTP/1.1 closes after the response in progress.
///
/// Its future holds at most 12 KiB, including the current request; `tests/sizes.rs` measures it.
pub async fn serve(mut stream: Stream, protocol: Protocol, limits: &Limits, service: impl Service) {
    match protocol.is_http2(&mut stream, limits.head_timeout).await {
        Some(true) => http2::serve(stream, protocol, limits, service).await,
        Some(false) => {
            let handle = |request| service.handle(request);
            http1::serve(stream, limits, service.drain(), handle).await;
        }
        None => {}
    }
}
