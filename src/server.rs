//! HTTP/1.1 and HTTP/2 over one TLS connection: timers, limits, drain.

use std::convert::Infallible;
use std::rc::Rc;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::config::Limits;
use crate::executor::LocalExecutor;
use crate::gate::{self, Connection, Worker};
use crate::shutdown::Draining;

/// What ALPN agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `http/1.1`.
    Http1,
    /// `h2`.
    Http2,
    /// Nothing: the first bytes tell. Java's async client and the KCL speak HTTP/2 by prior
    /// knowledge inside TLS.
    Unnamed,
}

/// Bytes read from a client at once. A request head must fit; bodies come in pieces of this size.
const READ_BUFFER: usize = 64 << 10;
/// Bytes a client may send ahead of our reading, on one HTTP/2 stream and on one connection.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 4 << 20;

impl Protocol {
    /// From the protocol that ALPN agreed on.
    pub fn of_alpn(agreed: Option<&[u8]>) -> Protocol {
        match agreed {
            Some(b"h2") => Protocol::Http2,
            Some(_) => Protocol::Http1,
            None => Protocol::Unnamed,
        }
    }
}

/// Serves one connection until it ends. When the drain begins, HTTP/2 gets a GOAWAY, HTTP/1.1
/// closes after the answer under way.
pub async fn serve(
    stream: TlsStream<TcpStream>,
    protocol: Protocol,
    connection: Connection,
    worker: Rc<Worker>,
    mut draining: Draining,
) {
    let mut builder = builder(&worker.limits);
    builder = match protocol {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
        Protocol::Unnamed => builder,
    };
    let connection = Rc::new(connection);
    let service = service_fn(move |request| {
        let (worker, connection) = (Rc::clone(&worker), Rc::clone(&connection));
        async move { Ok::<_, Infallible>(gate::handle(&worker, &connection, request).await) }
    });
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    // Errors here are the client's: it left, or spoke no HTTP. Requests have their own records.
    tokio::select! {
        _ = &mut serving => return,
        () = draining.begun() => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

fn builder(limits: &Limits) -> Builder<LocalExecutor> {
    let mut builder = Builder::new(LocalExecutor);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.head_bytes.max(READ_BUFFER))
        .preserve_header_case(true)
        .auto_date_header(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.head_timeout)
        .keep_alive_timeout(limits.handshake_timeout)
        .auto_date_header(false);
    builder
}
