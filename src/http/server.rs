//! HTTP/1.1 and HTTP/2 over one TLS connection: timers, limits, drain.

mod taken;

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use http::Request;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::AsyncBufReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutWriter;
use tokio_rustls::server::TlsStream;

use crate::config::Limits;
use crate::gate::{self, Visit, Worker};
use crate::http::http1::{self, Incoming};
use crate::http::read_ahead::ReadAhead;
use crate::shutdown::Draining;

use taken::{Streams, Taken};

/// A client's connection. On the heap: each async function that hands it on would hold room for it,
/// 5 KiB of a connection.
pub type Stream = Box<TlsStream<ReadAhead<TcpStream>>>;

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
/// Bytes a client may send ahead of our reading, on one HTTP/2 stream and on one connection. With
/// what is read before a large body is judged, they are what a body that cannot go on holds: under
/// 256 KiB.
const STREAM_WINDOW: u32 = 96 << 10;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// Bytes of an answer that one stream holds for a client that takes none: hyper would hold 400 KiB.
const SEND_BUFFER: usize = 64 << 10;

/// Streams of one HTTP/2 connection that may end by errors of the client's.
const ERRONEOUS: usize = 1024;

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
    mut stream: Stream,
    protocol: Protocol,
    visit: Visit,
    worker: Rc<Worker>,
    draining: Draining,
) {
    let visit = Rc::new(visit);
    let http2 = match protocol {
        Protocol::Http1 => false,
        Protocol::Http2 => true,
        Protocol::Unnamed => match begins_http2(&mut stream, worker.limits.head_timeout).await {
            Some(http2) => http2,
            None => return,
        },
    };
    match http2 {
        true => serve_http2(stream, protocol, visit, worker, draining).await,
        false => serve_http1(stream, visit, worker, draining).await,
    }
}

/// What HTTP/2 begins with (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether the first bytes may be those of HTTP/2; `None` where none come.
async fn begins_http2(stream: &mut Stream, patience: Duration) -> Option<bool> {
    let first = stream.fill_buf();
    let first = timeout(patience, first).await.ok()?.ok()?;
    let mut pairs = first.iter().zip(PREFACE);
    (!first.is_empty()).then(|| pairs.all(|(byte, expected)| byte == expected))
}

/// When a connection is to end: the process stops, or what it was accepted under has changed.
async fn end(visit: &Visit, mut draining: Draining) {
    tokio::select! {
        () = draining.begun() => {}
        () = visit.expelled() => {}
    }
}

async fn serve_http1(stream: Stream, visit: Rc<Visit>, worker: Rc<Worker>, draining: Draining) {
    let limits = http1::Limits {
        head_bytes: worker.limits.head_bytes,
        head_timeout: worker.limits.head_timeout,
        write_timeout: worker.limits.body_timeout,
    };
    let (visit, worker) = (&visit, &worker);
    let handle = |request| gate::handle(worker, visit, request);
    http1::serve(stream, limits, end(visit, draining), handle).await;
}

/// hyper tells the versions apart where only a part of the preface has come.
async fn serve_http2(
    stream: Stream,
    protocol: Protocol,
    visit: Rc<Visit>,
    worker: Rc<Worker>,
    draining: Draining,
) {
    let mut builder = builder(&worker.limits);
    let patience = worker.limits.body_timeout;
    if protocol == Protocol::Http2 {
        builder = builder.http2_only();
    }
    let serving = Rc::clone(&visit);
    // On the heap: hyper and tokio would move it nine times on its way through a stream's task.
    let service = service_fn(move |request: Request<_>| {
        let (worker, visit) = (Rc::clone(&worker), Rc::clone(&serving));
        let request = request.map(Incoming::Hyper);
        Box::pin(async move {
            let response = gate::handle(&worker, &visit, request).await;
            Ok::<_, Infallible>(response.map(Taken::new))
        })
    });
    // The keep-alive's goodbye would wait for ever for a client that takes no bytes.
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(patience));
    let serving = builder.serve_connection(TokioIo::new(Box::pin(stream)), service);
    tokio::pin!(serving);
    // Errors here are the client's: it left, or spoke no HTTP. Requests have their own records.
    tokio::select! {
        _ = &mut serving => return,
        () = end(&visit, draining) => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

fn builder(limits: &Limits) -> Builder<Streams> {
    let mut builder = Builder::new(Streams {
        patience: limits.body_timeout,
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
        .max_concurrent_streams(limits.streams)
        .max_pending_accept_reset_streams(limits.resets)
        .max_local_error_reset_streams(ERRONEOUS)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.head_timeout)
        .keep_alive_timeout(limits.handshake_timeout)
        .auto_date_header(false);
    builder
}
