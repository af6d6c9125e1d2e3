//! The gate's HTTP/1.1 request parser and hyper's, over the same bytes.

use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioIo, TokioTimer};
use kinesis_gate::http::{BodyError, IncomingBody, Limits, MessageBody, http1};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};

/// One request as a server parsed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParsedRequest {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// `None` where the body is incomplete, has a framing error or has trailers.
    pub(crate) body: Option<Vec<u8>>,
}

type Parsed = Rc<RefCell<Vec<ParsedRequest>>>;

const HEAD_BYTES: usize = 16 << 10;
const TIMEOUT: Duration = Duration::from_secs(5);
const LIMITS: Limits = Limits {
    head_bytes: HEAD_BYTES,
    head_timeout: TIMEOUT,
    write_timeout: TIMEOUT,
    ping_timeout: TIMEOUT,
    concurrent_streams: 1,
    pending_resets: 0,
};

/// The requests that the gate parses in `bytes`, which arrive `piece_bytes` at a time.
pub(crate) fn parse_with_gate(bytes: &[u8], piece_bytes: usize) -> Vec<ParsedRequest> {
    run(bytes, piece_bytes, |stream, parsed| async move {
        let handle = |request| record(request, Rc::clone(&parsed));
        let never = std::future::pending();
        http1::serve(BufReader::new(stream), &LIMITS, never, handle).await;
    })
}

/// The bytes that a client receives of `response`, which the gate's HTTP/1.1 forwards.
pub(crate) fn forward(response: &'static [u8]) -> Vec<u8> {
    block_on(async {
        let (mut client, downstream) = duplex(HEAD_BYTES);
        let (mut server, upstream) = duplex(HEAD_BYTES);
        server.write_all(response).await.unwrap();
        let mut upstream = Some(http1::Client::new(BufReader::new(upstream), HEAD_BYTES));
        let handle = |_| {
            let upstream = upstream.take();
            async {
                let request = Request::new(Empty(Full::default()));
                let response = upstream.unwrap().send(request, TIMEOUT).await.unwrap();
                let body = Forwarded(response.raw_head, response.body);
                Response::from_parts(response.parts, body)
            }
        };
        let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        client.write_all(request).await.unwrap();
        let mut received = Vec::new();
        let never = std::future::pending();
        let serve = http1::serve(BufReader::new(downstream), &LIMITS, never, handle);
        let (read, ()) = tokio::join!(client.read_to_end(&mut received), serve);
        read.unwrap();
        received
    })
}

/// The requests that hyper parses in `bytes`, which arrive `piece_bytes` at a time.
pub(crate) fn parse_with_hyper(bytes: &[u8], piece_bytes: usize) -> Vec<ParsedRequest> {
    run(bytes, piece_bytes, |stream, parsed| async move {
        let service = hyper::service::service_fn(move |request| {
            let response = record(request, Rc::clone(&parsed));
            async { Ok::<_, Infallible>(response.await.map(|body| body.0)) }
        });
        let _ = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .half_close(true)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .await;
    })
}

fn run<F: Future<Output = ()>>(
    bytes: &[u8],
    piece_bytes: usize,
    serve: impl FnOnce(DuplexStream, Parsed) -> F,
) -> Vec<ParsedRequest> {
    let parsed = Parsed::default();
    block_on(async {
        // The small buffer delivers the bytes in pieces. Responses are read at once, and dropped.
        let (client, server) = duplex(piece_bytes.max(1));
        let (mut responses, mut requests) = tokio::io::split(client);
        let write = async {
            let _ = requests.write_all(bytes).await;
            let _ = requests.shutdown().await;
        };
        let read = async {
            let _ = tokio::io::copy(&mut responses, &mut tokio::io::sink()).await;
        };
        let served = serve(server, Rc::clone(&parsed));
        let all = async { tokio::join!(write, read, served) };
        tokio::time::timeout(TIMEOUT * 4, all)
            .await
            .expect("a connection that ends");
    });
    parsed.take()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}

async fn record<B: Body<Data = Bytes> + Unpin>(
    request: Request<B>,
    parsed: Parsed,
) -> Response<Empty> {
    let (parts, mut body) = request.into_parts();
    let at = parsed.borrow().len();
    parsed.borrow_mut().push(ParsedRequest {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
            .collect(),
        body: None,
    });
    let mut bytes = Vec::new();
    loop {
        match body.frame().await.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => bytes.extend_from_slice(&data),
            Some(Ok(Err(_)) | Err(_)) => break,
            None => {
                parsed.borrow_mut()[at].body = Some(bytes);
                break;
            }
        }
    }
    Response::new(Empty(Full::default()))
}

/// A response without a body.
struct Empty(Full<Bytes>);

impl Body for Empty {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl MessageBody for Empty {
    fn raw_head(&self) -> Option<&Bytes> {
        None
    }
}

/// A response's head as received, and its body.
struct Forwarded(Option<Bytes>, IncomingBody);

impl Body for Forwarded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.1).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.1.is_end_stream()
    }
}

impl MessageBody for Forwarded {
    fn raw_head(&self) -> Option<&Bytes> {
        self.0.as_ref()
    }
}
