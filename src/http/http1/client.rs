//! The HTTP/1.1 client: one connection, one request at a time. It never retries: it sends a request
//! once, and returns any error to the caller.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, StatusCode, request, response};
use tokio::io::{AsyncBufRead, AsyncWrite};

use crate::http::body::{Http1Body, IncomingBody, MessageBody};

use super::buffered_io::HeadError;
use super::deadline::Deadline;
use super::head::{self, MalformedHead};
use super::message_io::MessageIo;
use super::write_queue::{Framing, WriteError, WriteQueue};

/// A client on one connection to a server. Dropping it closes the connection.
pub struct Client<S> {
    io: Rc<RefCell<MessageIo<S>>>,
    queue: WriteQueue,
    deadline: Deadline,
    head_bytes: usize,
    /// Whether the last exchange left the connection fit for another request.
    is_persistent: bool,
}

/// A response whose body is still arriving.
pub struct IncomingResponse {
    /// Its head. With a raw head, `parts` has only the headers that the gate reads.
    pub parts: response::Parts,
    /// The bytes of the head, if they can be forwarded unchanged.
    pub raw_head: Option<Bytes>,
    /// Its body.
    pub body: IncomingBody,
    /// Whether the connection may serve another request when the body has ended.
    pub is_persistent: bool,
}

/// The reason that there is no response.
#[derive(Debug)]
pub enum SendError<E> {
    /// The connection broke.
    Io(io::Error),
    /// The server closed the connection without a response.
    Closed,
    /// The server's bytes are not a response.
    Malformed(MalformedHead),
    /// The response head is longer than the limit.
    HeadTooLong,
    /// The request's own body failed: the request is not whole upstream, and never will be.
    Body(E),
    /// The length of the request's body differs from the length in the head.
    BodyLength,
    /// No response came in time.
    Timeout,
}

impl<S: AsyncBufRead + AsyncWrite + Unpin + 'static> Client<S> {
    /// A client that reads response heads of `head_bytes` at most.
    pub fn new(stream: S, head_bytes: usize) -> Client<S> {
        Client {
            io: Rc::new(RefCell::new(MessageIo::new(stream))),
            queue: WriteQueue::default(),
            deadline: Deadline::after(Duration::ZERO),
            head_bytes,
            is_persistent: true,
        }
    }

    /// Whether the connection is ready for a request: it is open, and no unexpected byte has come.
    pub fn is_idle(&self) -> bool {
        // The holder of the last response's body has not read it to its end.
        self.is_persistent && Rc::strong_count(&self.io) == 1 && self.io.borrow_mut().is_idle()
    }

    /// Frees the buffers of exchanges that are over.
    pub fn release_buffers(&self) {
        self.io.borrow_mut().io.release_buffer();
    }

    /// Sends a request and waits for the head of its response. `timeout` starts again whenever
    /// bytes of the request are written.
    ///
    /// # Errors
    /// The reason that there is no response. The connection is not used again.
    pub async fn send<B: MessageBody>(
        &mut self,
        request: Request<B>,
        timeout: Duration,
    ) -> Result<IncomingResponse, SendError<B::Error>> {
        let (parts, mut body) = request.into_parts();
        self.is_persistent = false;
        let head = match body.raw_head() {
            Some(head) => head.clone(),
            None => encode_head(&parts),
        };
        self.queue
            .begin(head, Framing::from_headers(&parts.headers));
        self.deadline.reset(timeout);
        let mut progress = Progress::None;
        let exchange = poll_fn(|cx| self.poll_exchange(&mut body, &mut progress, timeout, cx));
        let response = exchange.await?;
        self.is_persistent = response.is_persistent;
        Ok(response)
    }

    fn poll_exchange<B: MessageBody>(
        &mut self,
        body: &mut B,
        progress: &mut Progress,
        timeout: Duration,
        cx: &mut Context<'_>,
    ) -> Poll<Result<IncomingResponse, SendError<B::Error>>> {
        let mut io = self.io.borrow_mut();
        if matches!(progress, Progress::None | Progress::Partial) {
            let before = self.queue.write_count();
            let polled = self.queue.poll_write(&mut io.io, body, cx);
            // Bytes that are written at once were written when the deadline began.
            let at_once = matches!(progress, Progress::None) && polled.is_ready();
            if self.queue.write_count() != before && !at_once {
                self.deadline.reset(timeout);
            }
            match polled {
                Poll::Pending => *progress = Progress::Partial,
                Poll::Ready(Ok(())) => *progress = Progress::Whole,
                // A server may respond before it has read all, and close.
                Poll::Ready(Err(WriteError::Io(error))) => *progress = Progress::Failed(error),
                Poll::Ready(Err(WriteError::Body(error))) => {
                    return Poll::Ready(Err(SendError::Body(error)));
                }
                Poll::Ready(Err(WriteError::BodyLength)) => {
                    return Poll::Ready(Err(SendError::BodyLength));
                }
            }
        }
        while let Poll::Ready(head) = io.io.poll_head(self.head_bytes, cx) {
            let head = match head {
                Ok(head) => head::parse_response(head).map_err(SendError::Malformed)?,
                Err(HeadError::TooLong) => return Poll::Ready(Err(SendError::HeadTooLong)),
                Err(HeadError::BareLineFeed) => {
                    return Poll::Ready(Err(SendError::Malformed(MalformedHead::Syntax)));
                }
                Err(HeadError::Closed) => {
                    return Poll::Ready(Err(progress.failure().unwrap_or(SendError::Closed)));
                }
            };
            if head.parts.status == StatusCode::SWITCHING_PROTOCOLS {
                return Poll::Ready(Err(SendError::Malformed(MalformedHead::Syntax)));
            }
            if head.parts.status.is_informational() {
                continue;
            }
            io.decoder = head.decoder;
            drop(io);
            // INVARIANT: a connection whose request was not written whole serves no other.
            let is_persistent = head.is_persistent && matches!(progress, Progress::Whole);
            let source = Rc::<RefCell<MessageIo<S>>>::clone(&self.io);
            let body = Http1Body::new(source, head.decoder.remaining(), None);
            return Poll::Ready(Ok(IncomingResponse {
                parts: head.parts,
                raw_head: head.raw,
                body: IncomingBody::Http1(body),
                is_persistent,
            }));
        }
        if let Some(error) = progress.failure() {
            return Poll::Ready(Err(error));
        }
        let elapsed = self.deadline.poll_elapsed(cx);
        elapsed.map(|()| Err(SendError::Timeout))
    }
}

/// How much of a request has been written.
enum Progress {
    None,
    Partial,
    Whole,
    Failed(io::Error),
}

impl Progress {
    /// The error that stopped the writing.
    fn failure<E>(&mut self) -> Option<SendError<E>> {
        let Progress::Failed(error) = self else {
            return None;
        };
        let error = std::mem::replace(error, io::ErrorKind::BrokenPipe.into());
        Some(SendError::Io(error))
    }
}

/// A head for a request that has no raw head.
fn encode_head(parts: &request::Parts) -> Bytes {
    let target = parts.uri.path_and_query();
    let target = target.map_or("/", |target| target.as_str());
    let mut head = BytesMut::with_capacity(2048);
    for part in [parts.method.as_str(), " ", target, " HTTP/1.1\r\n"] {
        head.extend_from_slice(part.as_bytes());
    }
    head::write_headers(&parts.headers, &mut head);
    head.extend_from_slice(b"\r\n");
    head.freeze()
}

impl<E: fmt::Display> fmt::Display for SendError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Io(error) => error.fmt(f),
            SendError::Closed => f.write_str("closed without an answer"),
            SendError::Malformed(why) => why.fmt(f),
            SendError::HeadTooLong => f.write_str("the head is too long"),
            SendError::Body(error) => error.fmt(f),
            SendError::BodyLength => f.write_str("the body is not as long as announced"),
            SendError::Timeout => f.write_str("no answer in time"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for SendError<E> {}
