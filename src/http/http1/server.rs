//! The HTTP/1.1 server: one task reads a connection's requests in turn and writes the responses.
//! Keep-alive, its timeouts, backpressure, graceful shutdown.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::{Request, Response, StatusCode, response};
use tokio::io::{AsyncBufRead, AsyncWrite};
use tokio::time::timeout;

use crate::http::body::{Http1Body, IncomingBody, MessageBody};
use crate::http::limits::Limits;

use super::buffered_io::HeadError;
use super::deadline::Deadline;
use super::head::{self, MalformedHead, RequestHead};
use super::message_io::{CONTINUE, MessageIo};
use super::write_queue::{Framing, WriteError, WriteQueue};

/// How long writing a refusal may take, and closing a connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a draining connection waits for the first byte of a request that may be on its way: a
/// request that meets a closed connection would be lost.
const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// Serves a connection until it ends. Once `drain` is ready, the current response is the last, or
/// the response to a request that begins within a second.
pub async fn serve<S, H, F, B>(
    stream: S,
    limits: &Limits,
    drain: impl Future<Output = ()>,
    mut handle: H,
) where
    S: AsyncBufRead + AsyncWrite + Unpin + 'static,
    H: FnMut(Request<IncomingBody>) -> F,
    F: Future<Output = Response<B>>,
    B: MessageBody,
{
    let mut drain = pin!(drain);
    let mut connection = Connection {
        io: Rc::new(RefCell::new(MessageIo::new(stream))),
        queue: WriteQueue::default(),
        idle: Deadline::after(limits.head_timeout),
        limits,
        is_draining: false,
    };
    let lingers = loop {
        let persistence = match connection.read_head(drain.as_mut()).await {
            NextHead::Request(head) => {
                let drain = drain.as_mut();
                connection.exchange(head, drain, &mut handle).await
            }
            NextHead::Refused(refusal) => {
                let _ = timeout(CLOSE_TIMEOUT, connection.write_refusal(refusal)).await;
                Persistence::LingeringClose
            }
            NextHead::None => Persistence::Close,
        };
        match persistence {
            Persistence::KeepAlive => connection.idle.reset(limits.head_timeout),
            Persistence::Close => break false,
            Persistence::LingeringClose => break true,
            // No close_notify: the client must see that the response is not whole.
            Persistence::Abort => return,
        }
    };
    let close = async {
        let closed = poll_fn(|cx| connection.io.borrow_mut().io.poll_close(cx)).await;
        // A socket that is closed with bytes unread resets the connection, and the client may lose
        // the response to it (RFC 9112 section 9.6).
        if lingers && closed.is_ok() {
            poll_fn(|cx| connection.io.borrow_mut().io.poll_discard(cx)).await;
        }
    };
    let _ = timeout(CLOSE_TIMEOUT, close).await;
}

struct Connection<'a, S> {
    io: Rc<RefCell<MessageIo<S>>>,
    queue: WriteQueue,
    /// The deadline of the next request head.
    idle: Deadline,
    limits: &'a Limits,
    is_draining: bool,
}

/// The next request head, or the reason that there is none.
#[expect(
    clippy::large_enum_variant,
    reason = "lives for a moment; a box would cost every request an allocation"
)]
enum NextHead {
    Request(RequestHead),
    /// Bytes that are not a request, and the response to them.
    Refused(&'static [u8]),
    None,
}

/// The fate of a connection after an exchange (RFC 9112 section 9.3).
enum Persistence {
    KeepAlive,
    Close,
    /// It closes, and the client may still be sending.
    LingeringClose,
    Abort,
}

const BAD_REQUEST: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const FIELDS_TOO_LARGE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\n\
    connection: close\r\ncontent-length: 0\r\n\r\n";

impl<S: AsyncBufRead + AsyncWrite + Unpin + 'static> Connection<'_, S> {
    /// Waits for the next request head.
    async fn read_head(&mut self, mut drain: Pin<&mut impl Future<Output = ()>>) -> NextHead {
        let mut is_grace = false;
        let read = poll_fn(|cx| {
            let io = &mut self.io.borrow_mut().io;
            if let Poll::Ready(read) = io.poll_head(self.limits.head_bytes, cx) {
                return Poll::Ready(Some(read));
            }
            if io.is_empty() {
                io.release_buffer();
                if !self.is_draining && drain.as_mut().poll(cx).is_ready() {
                    self.is_draining = true;
                    self.idle.reset(DRAIN_GRACE.min(self.limits.head_timeout));
                    is_grace = true;
                }
            } else if std::mem::take(&mut is_grace) {
                self.idle.reset(self.limits.head_timeout);
            }
            self.idle.poll_elapsed(cx).map(|()| None)
        });
        match read.await {
            None | Some(Err(HeadError::Closed)) => NextHead::None,
            Some(Err(HeadError::TooLong)) => NextHead::Refused(FIELDS_TOO_LARGE),
            Some(Err(HeadError::BareLineFeed)) => NextHead::Refused(BAD_REQUEST),
            Some(Ok(bytes)) => match head::parse_request(bytes) {
                Ok(head) => NextHead::Request(head),
                Err(MalformedHead::TooManyHeaders) => NextHead::Refused(FIELDS_TOO_LARGE),
                Err(_) => NextHead::Refused(BAD_REQUEST),
            },
        }
    }

    /// Handles one request and writes its response.
    async fn exchange<H, F, B>(
        &mut self,
        head: RequestHead,
        mut drain: Pin<&mut impl Future<Output = ()>>,
        handle: &mut H,
    ) -> Persistence
    where
        H: FnMut(Request<IncomingBody>) -> F,
        F: Future<Output = Response<B>>,
        B: MessageBody,
    {
        {
            let mut io = self.io.borrow_mut();
            io.decoder = head.decoder;
            io.interim_response = if head.expects_continue { CONTINUE } else { &[] };
        }
        let source = Rc::<RefCell<MessageIo<S>>>::clone(&self.io);
        let body = Http1Body::new(source, head.decoder.remaining(), Some(head.raw));
        let request = Request::from_parts(head.parts, IncomingBody::Http1(body));
        let mut handling = pin!(handle(request));
        let response = poll_fn(|cx| match handling.as_mut().poll(cx) {
            Poll::Ready(response) => {
                self.is_draining = self.is_draining || drain.as_mut().poll(cx).is_ready();
                Poll::Ready(Some(response))
            }
            // A client that has closed wants no response: dropping the exchange ends it upstream too.
            Poll::Pending => self.io.borrow_mut().poll_peer_closed(cx).map(|()| None),
        });
        let Some(response) = response.await else {
            return Persistence::Abort;
        };
        // The holder of the request's body has dropped it with the response: no one reads on.
        let is_clean = self.io.borrow_mut().skip_body() && Rc::strong_count(&self.io) == 1;
        let keeps_alive = head.is_persistent && is_clean && !self.is_draining;
        match self.write_response(response, keeps_alive).await {
            Ok(()) if keeps_alive => Persistence::KeepAlive,
            Ok(()) if is_clean => Persistence::Close,
            Ok(()) => Persistence::LingeringClose,
            Err(()) => Persistence::Abort,
        }
    }

    async fn write_response<B: MessageBody>(
        &mut self,
        response: Response<B>,
        keeps_alive: bool,
    ) -> Result<(), ()> {
        let (mut parts, mut body) = response.into_parts();
        let head = match body.raw_head() {
            Some(head) if keeps_alive => head.clone(),
            Some(head) => with_close(head),
            None => encode_head(&mut parts, &body, keeps_alive),
        };
        let framing = match parts.status {
            // Their `Content-Length` describes no body of their own (RFC 9110 section 8.6).
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Framing::Length(0),
            _ => Framing::from_headers(&parts.headers),
        };
        self.queue.begin(head, framing);
        let mut stalled: Option<Deadline> = None;
        let mut is_broken = false;
        poll_fn(|cx| {
            let before = self.queue.write_count();
            let mut io = self.io.borrow_mut();
            if !is_broken {
                match self.queue.poll_write(&mut io.io, &mut body, cx) {
                    // The client gets a part of the response, and then sees that it breaks off.
                    Poll::Ready(Err(WriteError::Body(_))) => is_broken = true,
                    Poll::Ready(written) => return Poll::Ready(written.map_err(|_| ())),
                    Poll::Pending => {}
                }
            }
            if is_broken && self.queue.poll_write_queued(&mut io.io, cx).is_ready() {
                return Poll::Ready(Err(()));
            }
            let is_blocked = !self.queue.is_empty();
            if self.queue.write_count() != before || !is_blocked {
                stalled = None;
            }
            if is_blocked {
                let deadline = || Deadline::after(self.limits.write_timeout);
                if stalled
                    .get_or_insert_with(deadline)
                    .poll_elapsed(cx)
                    .is_ready()
                {
                    return Poll::Ready(Err(()));
                }
            }
            io.poll_peer_closed(cx).map(Err)
        })
        .await
    }

    async fn write_refusal(&mut self, refusal: &'static [u8]) -> io::Result<()> {
        let refusal = Bytes::from_static(refusal);
        self.queue.begin(refusal, Framing::Length(0));
        poll_fn(|cx| {
            let io = &mut self.io.borrow_mut().io;
            self.queue.poll_write_queued(io, cx)
        })
        .await
    }
}

const CLOSE: &[u8] = b"connection: close\r\n\r\n";

/// The same head with `Connection: close`.
fn with_close(head: &Bytes) -> Bytes {
    let lines = head.len().saturating_sub(2);
    let mut closing = BytesMut::with_capacity(lines + CLOSE.len());
    closing.extend_from_slice(head.get(..lines).unwrap_or_default());
    closing.extend_from_slice(CLOSE);
    closing.freeze()
}

/// A head for a response that has no raw head.
fn encode_head<B: MessageBody>(parts: &mut response::Parts, body: &B, keeps_alive: bool) -> Bytes {
    let headers = &mut parts.headers;
    if !headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(TRANSFER_ENCODING) {
        match body.size_hint().exact() {
            Some(len) => headers.insert(CONTENT_LENGTH, HeaderValue::from(len)),
            None => headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked")),
        };
    }
    let reason = parts.status.canonical_reason().unwrap_or_default();
    let mut head = BytesMut::with_capacity(512);
    for part in ["HTTP/1.1 ", parts.status.as_str(), " ", reason, "\r\n"] {
        head.extend_from_slice(part.as_bytes());
    }
    head::write_headers(headers, &mut head);
    head.extend_from_slice(if keeps_alive { b"\r\n" } else { CLOSE });
    head.freeze()
}
