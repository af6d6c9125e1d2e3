//! The side that asks: one connection, one request at a time, nothing sent twice.

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

use super::deadline::Deadline;
use super::head::{self, Malformed};
use super::outbound::{Framing, Outbound, Unsent};
use super::wire::{NoHead, Wire};

/// A connection to a server. Dropped, it is closed.
pub struct Client<S> {
    wire: Rc<RefCell<Wire<S>>>,
    outbound: Outbound,
    deadline: Deadline,
    head_bytes: usize,
    /// Whether the last exchange left it fit for another one.
    fit: bool,
}

/// An answer, its body still coming.
pub struct Reply {
    /// Its head; of headers that leave as they came, only those that somebody reads.
    pub parts: response::Parts,
    /// The head's bytes, where they can be sent on as they are.
    pub raw_head: Option<Bytes>,
    /// Its body.
    pub body: IncomingBody,
    /// Whether the connection may serve another request when the body has ended.
    pub is_persistent: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum SendError<E> {
    /// The connection broke.
    Broken(io::Error),
    /// The server closed the connection without an answer.
    Closed,
    /// What came is no answer.
    Malformed(Malformed),
    /// The answer's head is longer than the cap.
    TooLong,
    /// The request's own body failed: it has not left whole, and never will.
    Body(E),
    /// The request's body is not as long as its head says.
    Length,
    /// Nothing came in time.
    Timeout,
}

impl<S: AsyncBufRead + AsyncWrite + Unpin + 'static> Client<S> {
    /// A connection that reads heads of `head_bytes` at most.
    pub fn new(stream: S, head_bytes: usize) -> Client<S> {
        Client {
            wire: Rc::new(RefCell::new(Wire::new(stream))),
            outbound: Outbound::default(),
            deadline: Deadline::after(Duration::ZERO),
            head_bytes,
            fit: true,
        }
    }

    /// Whether it may take a request: it is open, and nothing has come that was not asked for.
    pub fn is_idle(&self) -> bool {
        // Whoever holds the body of the last answer has not read it to its end.
        self.fit && Rc::strong_count(&self.wire) == 1 && self.wire.borrow_mut().is_idle()
    }

    /// Gives back what it holds of exchanges that are over.
    pub fn rest(&self) {
        self.wire.borrow_mut().rest();
    }

    /// Sends a request and waits for the head of its answer: `patience` long since bytes of the
    /// request last left.
    ///
    /// # Errors
    /// Why there is no answer; the connection is not used again.
    pub async fn send<B: MessageBody>(
        &mut self,
        request: Request<B>,
        patience: Duration,
    ) -> Result<Reply, SendError<B::Error>> {
        let (parts, mut body) = request.into_parts();
        self.fit = false;
        let head = match body.raw_head() {
            Some(head) => head.clone(),
            None => head_of(&parts),
        };
        self.outbound.begin(head, Framing::of(&parts.headers));
        self.deadline.put_off(patience);
        let mut sent = Sent::Nothing;
        let reply = poll_fn(|cx| self.poll_exchange(&mut body, &mut sent, patience, cx)).await?;
        self.fit = reply.is_persistent;
        Ok(reply)
    }

    fn poll_exchange<B: MessageBody>(
        &mut self,
        body: &mut B,
        sent: &mut Sent,
        patience: Duration,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Reply, SendError<B::Error>>> {
        let mut wire = self.wire.borrow_mut();
        if matches!(sent, Sent::Nothing | Sent::Partly) {
            let before = self.outbound.written();
            let polled = self.outbound.poll_send(&mut wire, body, cx);
            // What leaves at once has left when the deadline began.
            let at_once = matches!(sent, Sent::Nothing) && polled.is_ready();
            if self.outbound.written() != before && !at_once {
                self.deadline.put_off(patience);
            }
            match polled {
                Poll::Pending => *sent = Sent::Partly,
                Poll::Ready(Ok(())) => *sent = Sent::Wholly,
                // A server may answer before it has read all, and close.
                Poll::Ready(Err(Unsent::Io(error))) => *sent = Sent::Broken(error),
                Poll::Ready(Err(Unsent::Body(error))) => {
                    return Poll::Ready(Err(SendError::Body(error)));
                }
                Poll::Ready(Err(Unsent::Length)) => return Poll::Ready(Err(SendError::Length)),
            }
        }
        while let Poll::Ready(head) = wire.poll_head(self.head_bytes, cx) {
            let head = match (head, &mut *sent) {
                (Ok(head), _) => head::response(head).map_err(SendError::Malformed)?,
                (Err(NoHead::TooLong), _) => return Poll::Ready(Err(SendError::TooLong)),
                (Err(NoHead::BareLineFeed), _) => {
                    return Poll::Ready(Err(SendError::Malformed(Malformed::Syntax)));
                }
                (Err(NoHead::Ended), Sent::Broken(error)) => {
                    let error = std::mem::replace(error, io::ErrorKind::BrokenPipe.into());
                    return Poll::Ready(Err(SendError::Broken(error)));
                }
                (Err(NoHead::Ended), _) => return Poll::Ready(Err(SendError::Closed)),
            };
            if head.parts.status == StatusCode::SWITCHING_PROTOCOLS {
                return Poll::Ready(Err(SendError::Malformed(Malformed::Syntax)));
            }
            if head.parts.status.is_informational() {
                continue;
            }
            wire.decoder = head.decoder;
            drop(wire);
            // INVARIANT: a connection whose request has not left whole serves no other.
            let is_persistent = head.is_persistent && matches!(sent, Sent::Wholly);
            let source = Rc::<RefCell<Wire<S>>>::clone(&self.wire);
            return Poll::Ready(Ok(Reply {
                parts: head.parts,
                raw_head: head.raw_head,
                body: IncomingBody::Http1(Http1Body::new(source, head.decoder.remaining(), None)),
                is_persistent,
            }));
        }
        if let Sent::Broken(error) = sent {
            let error = std::mem::replace(error, io::ErrorKind::BrokenPipe.into());
            return Poll::Ready(Err(SendError::Broken(error)));
        }
        self.deadline
            .poll_passed(cx)
            .map(|()| Err(SendError::Timeout))
    }
}

/// How much of a request has left.
enum Sent {
    Nothing,
    Partly,
    Wholly,
    Broken(io::Error),
}

/// A head for a request that came without one to send on.
fn head_of(parts: &request::Parts) -> Bytes {
    let mut head = BytesMut::with_capacity(2048);
    head.extend_from_slice(parts.method.as_str().as_bytes());
    head.extend_from_slice(b" ");
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    head.extend_from_slice(target.as_bytes());
    head.extend_from_slice(b" HTTP/1.1\r\n");
    head::write_headers(&parts.headers, &mut head);
    head.extend_from_slice(b"\r\n");
    head.freeze()
}

impl<E: fmt::Display> fmt::Display for SendError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Broken(error) => error.fmt(f),
            SendError::Closed => f.write_str("closed without an answer"),
            SendError::Malformed(why) => why.fmt(f),
            SendError::TooLong => f.write_str("the head is too long"),
            SendError::Body(error) => error.fmt(f),
            SendError::Length => f.write_str("the body is not as long as announced"),
            SendError::Timeout => f.write_str("no answer in time"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for SendError<E> {}
