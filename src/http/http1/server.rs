//! The side that answers: one task reads a connection's requests in turn and writes the answers.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
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

use super::deadline::Deadline;
use super::head::{self, Malformed, RequestHead};
use super::outbound::{Framing, Outbound, Unsent};
use super::wire::{CONTINUE, NoHead, Wire};

/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long a connection that is to end waits for the first byte of a request that may be on its
/// way: it would be lost if the connection closed on it.
const LAST_REQUEST: Duration = Duration::from_secs(1);

/// Serves a connection until it ends. When `draining` is ready, the answer under way is the last, or
/// the one to a request that begins within a second.
pub async fn serve<S, H, F, B>(
    stream: S,
    limits: &Limits,
    draining: impl Future<Output = ()>,
    mut handle: H,
) where
    S: AsyncBufRead + AsyncWrite + Unpin + 'static,
    H: FnMut(Request<IncomingBody>) -> F,
    F: Future<Output = Response<B>>,
    B: MessageBody,
{
    let mut draining = pin!(draining);
    let mut connection = Connection {
        wire: Rc::new(RefCell::new(Wire::new(stream))),
        outbound: Outbound::default(),
        idle: Deadline::after(limits.head_timeout),
        limits,
        drained: false,
    };
    let unread = loop {
        let stays = match connection.head(draining.as_mut()).await {
            Next::Request(head) => {
                let draining = draining.as_mut();
                connection.exchange(head, draining, &mut handle).await
            }
            Next::Refused(answer) => {
                let written = connection.refuse(answer);
                let _ = timeout(GOODBYE, written).await;
                Stays::Unread
            }
            Next::Ended => Stays::No,
        };
        match stays {
            Stays::Yes => connection.idle.put_off(limits.head_timeout),
            Stays::No => break false,
            Stays::Unread => break true,
            // No close_notify: the client must see that the answer is not whole.
            Stays::Broken => return,
        }
    };
    let goodbye = async {
        let closed = poll_fn(|cx| connection.wire.borrow_mut().poll_close(cx)).await;
        // A socket that is closed with bytes unread resets the connection, and the client may lose
        // the answer to it (RFC 9112 section 9.6).
        if unread && closed.is_ok() {
            poll_fn(|cx| connection.wire.borrow_mut().poll_drained(cx)).await;
        }
    };
    let _ = timeout(GOODBYE, goodbye).await;
}

struct Connection<'a, S> {
    wire: Rc<RefCell<Wire<S>>>,
    outbound: Outbound,
    idle: Deadline,
    limits: &'a Limits,
    drained: bool,
}

/// What came instead of, or as, the next request.
#[expect(
    clippy::large_enum_variant,
    reason = "lives for a moment; a box would cost every request an allocation"
)]
enum Next {
    Request(RequestHead),
    Refused(&'static [u8]),
    Ended,
}

/// What becomes of a connection after an exchange.
enum Stays {
    Yes,
    No,
    /// It closes, and the client may still be sending.
    Unread,
    Broken,
}

const BAD_REQUEST: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const FIELDS_TOO_LARGE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\n\
    connection: close\r\ncontent-length: 0\r\n\r\n";

impl<S: AsyncBufRead + AsyncWrite + Unpin + 'static> Connection<'_, S> {
    /// Waits for the next request's head.
    async fn head(&mut self, mut draining: Pin<&mut impl Future<Output = ()>>) -> Next {
        let mut hurried = false;
        let read = poll_fn(|cx| {
            let mut wire = self.wire.borrow_mut();
            if let Poll::Ready(read) = wire.poll_head(self.limits.head_bytes, cx) {
                return Poll::Ready(Some(read));
            }
            if wire.is_empty() {
                wire.rest();
                if !self.drained && draining.as_mut().poll(cx).is_ready() {
                    self.drained = true;
                    self.idle
                        .put_off(LAST_REQUEST.min(self.limits.head_timeout));
                    hurried = true;
                }
            } else if std::mem::take(&mut hurried) {
                self.idle.put_off(self.limits.head_timeout);
            }
            self.idle.poll_passed(cx).map(|()| None)
        });
        match read.await {
            None | Some(Err(NoHead::Ended)) => Next::Ended,
            Some(Err(NoHead::TooLong)) => Next::Refused(FIELDS_TOO_LARGE),
            Some(Err(NoHead::BareLineFeed)) => Next::Refused(BAD_REQUEST),
            Some(Ok(bytes)) => match head::request(bytes) {
                Ok(head) => Next::Request(head),
                Err(Malformed::TooManyHeaders) => Next::Refused(FIELDS_TOO_LARGE),
                Err(_) => Next::Refused(BAD_REQUEST),
            },
        }
    }

    /// One request and its answer.
    async fn exchange<H, F, B>(
        &mut self,
        head: RequestHead,
        mut draining: Pin<&mut impl Future<Output = ()>>,
        handle: &mut H,
    ) -> Stays
    where
        H: FnMut(Request<IncomingBody>) -> F,
        F: Future<Output = Response<B>>,
        B: MessageBody,
    {
        {
            let mut wire = self.wire.borrow_mut();
            wire.decoder = head.decoder;
            wire.interim = if head.expects_continue { CONTINUE } else { &[] };
        }
        let source = Rc::<RefCell<Wire<S>>>::clone(&self.wire);
        let body = IncomingBody::Http1(Http1Body::new(
            source,
            head.decoder.remaining(),
            Some(head.raw_head),
        ));
        let mut answering = pin!(handle(Request::from_parts(head.parts, body)));
        let answer = poll_fn(|cx| match answering.as_mut().poll(cx) {
            Poll::Ready(answer) => {
                self.drained = self.drained || draining.as_mut().poll(cx).is_ready();
                Poll::Ready(Some(answer))
            }
            // A client that has gone wants no answer: dropping the exchange ends it upstream too.
            Poll::Pending => self.wire.borrow_mut().poll_gone(cx).map(|()| None),
        });
        let Some(answer) = answer.await else {
            return Stays::Broken;
        };
        // Nobody reads on: whoever held the body has let go of it with the answer.
        let clean = self.wire.borrow_mut().skip_body() && Rc::strong_count(&self.wire) == 1;
        let stays = head.is_persistent && clean && !self.drained;
        match self.answer(answer, stays).await {
            Ok(()) if stays => Stays::Yes,
            Ok(()) if clean => Stays::No,
            Ok(()) => Stays::Unread,
            Err(()) => Stays::Broken,
        }
    }

    async fn answer<B: MessageBody>(&mut self, answer: Response<B>, stays: bool) -> Result<(), ()> {
        let (mut parts, mut body) = answer.into_parts();
        let head = match body.raw_head() {
            Some(head) if stays => head.clone(),
            Some(head) => closing(head),
            None => head_of(&mut parts, &body, stays),
        };
        let framing = match parts.status {
            // What they say of a length is not about a body of theirs.
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Framing::Length(0),
            _ => Framing::of(&parts.headers),
        };
        self.outbound.begin(head, framing);
        let patience = self.limits.write_timeout;
        let mut stalled: Option<Deadline> = None;
        let mut broken = false;
        poll_fn(|cx| {
            let before = self.outbound.written();
            let mut wire = self.wire.borrow_mut();
            if !broken {
                match self.outbound.poll_send(&mut wire, &mut body, cx) {
                    // The client gets as much of it as there is, and then sees that it breaks off.
                    Poll::Ready(Err(Unsent::Body(_))) => broken = true,
                    Poll::Ready(sent) => return Poll::Ready(sent.map_err(|_| ())),
                    Poll::Pending => {}
                }
            }
            if broken && self.outbound.poll_rest(&mut wire, cx).is_ready() {
                return Poll::Ready(Err(()));
            }
            if self.outbound.written() != before || !self.outbound.is_held_up() {
                stalled = None;
            }
            if self.outbound.is_held_up() {
                let stalled = stalled.get_or_insert_with(|| Deadline::after(patience));
                if stalled.poll_passed(cx).is_ready() {
                    return Poll::Ready(Err(()));
                }
            }
            wire.poll_gone(cx).map(Err)
        })
        .await
    }

    async fn refuse(&mut self, answer: &'static [u8]) {
        let mut left = answer;
        while !left.is_empty() {
            let write = poll_fn(|cx| {
                let mut wire = self.wire.borrow_mut();
                wire.poll_write(&[std::io::IoSlice::new(left)], cx)
            });
            match write.await {
                Ok(count) if count > 0 => left = left.get(count..).unwrap_or_default(),
                _ => return,
            }
        }
    }
}

const CLOSE: &[u8] = b"connection: close\r\n\r\n";

/// The same head, saying that the connection closes.
fn closing(head: &Bytes) -> Bytes {
    let lines = head.len().saturating_sub(2);
    let mut closing = BytesMut::with_capacity(lines + CLOSE.len());
    closing.extend_from_slice(head.get(..lines).unwrap_or_default());
    closing.extend_from_slice(CLOSE);
    closing.freeze()
}

/// A head for an answer that came without one to send on.
fn head_of<B: MessageBody>(parts: &mut response::Parts, body: &B, stays: bool) -> Bytes {
    let headers = &mut parts.headers;
    if !headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(TRANSFER_ENCODING) {
        match body.size_hint().exact() {
            Some(len) => headers.insert(CONTENT_LENGTH, HeaderValue::from(len)),
            None => headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked")),
        };
    }
    let mut head = BytesMut::with_capacity(512);
    head.extend_from_slice(b"HTTP/1.1 ");
    head.extend_from_slice(parts.status.as_str().as_bytes());
    head.extend_from_slice(b" ");
    let reason = parts.status.canonical_reason().unwrap_or_default();
    head.extend_from_slice(reason.as_bytes());
    head.extend_from_slice(b"\r\n");
    head::write_headers(headers, &mut head);
    head.extend_from_slice(if stays { b"\r\n" } else { CLOSE });
    head.freeze()
}
