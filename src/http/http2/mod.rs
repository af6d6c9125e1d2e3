//! HTTP/2 by hyper: flow control windows, stream and reset limits, keep-alive pings, GOAWAY.

mod write_timeout;

use std::convert::Infallible;
use std::rc::Rc;

use http::Request;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_io_timeout::TimeoutWriter;

use super::body::IncomingBody;
use super::limits::Limits;
use super::protocol::Protocol;
use super::service::Service;

use write_timeout::{StreamExecutor, TimedBody};

/// Bytes read from a client at once. A request head must fit; bodies come in pieces of this size.
const READ_BUFFER: usize = 64 << 10;
/// Bytes that a client may send before the gate reads them, on one stream and on one connection:
/// the backpressure on request bodies. With the bytes that are read before a large body is decided,
/// they are the most that a stalled body holds: under 256 KiB.
const STREAM_WINDOW: u32 = 96 << 10;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Bytes of a response that one stream holds for a client that takes none: hyper would hold 400 KiB.
const SEND_BUFFER: usize = 64 << 10;
/// Streams of one connection that may end by errors of the client.
const LOCAL_ERROR_RESETS: usize = 1024;

/// Serves one connection until it ends or drains. Where ALPN agreed on nothing, hyper detects the
/// version: only a part of the preface may have come.
pub(super) async fn serve<S: Service>(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    protocol: Protocol,
    limits: &Limits,
    service: S,
) {
    let mut builder = builder(limits);
    if protocol == Protocol::Http2 {
        builder = builder.http2_only();
    }
    let service = Rc::new(service);
    let shared = Rc::clone(&service);
    // On the heap: hyper and tokio would move it nine times on its way through a stream's task.
    let handle = service_fn(move |request: Request<_>| {
        let service = Rc::clone(&shared);
        let request = request.map(IncomingBody::Http2);
        Box::pin(async move {
            let response = service.handle(request).await;
            Ok::<_, Infallible>(response.map(TimedBody::new))
        })
    });
    // The keep-alive's GOAWAY would wait for ever for a client that takes no bytes.
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(limits.write_timeout));
    let serving = builder.serve_connection(TokioIo::new(Box::pin(stream)), handle);
    tokio::pin!(serving);
    // Errors here are the client's: it left, or spoke no HTTP. Requests have their own records.
    tokio::select! {
        _ = &mut serving => return,
        () = service.drain() => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

fn builder(limits: &Limits) -> Builder<StreamExecutor> {
    let mut builder = Builder::new(StreamExecutor {
        write_timeout: limits.write_timeout,
    });
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
        .max_send_buf_size(SEND_BUFFER)
        .max_concurrent_streams(limits.concurrent_streams)
        .max_pending_accept_reset_streams(limits.pending_resets)
        .max_local_error_reset_streams(LOCAL_ERROR_RESETS)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.head_timeout)
        .keep_alive_timeout(limits.ping_timeout)
        .auto_date_header(false);
    builder
}
