//! Request and response bodies, as they are received and as they are sent, of either HTTP version.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A request or response body to send.
pub trait MessageBody: Body<Data = Bytes> + Unpin {
    /// The message's head as received, to be sent unchanged. If `None`, the head is written from
    /// the message's parts.
    fn raw_head(&self) -> Option<&Bytes>;

    /// Called when an HTTP/2 client takes no bytes of a response for the write timeout. The body is
    /// dropped next.
    fn on_write_timeout(&mut self) {}
}

/// A request or response body that is received.
pub enum IncomingBody {
    /// Over HTTP/1.1.
    Http1(Http1Body),
    /// Over HTTP/2.
    Http2(hyper::body::Incoming),
}

/// The reason that a body did not arrive whole.
#[derive(Debug)]
pub enum BodyError {
    /// An HTTP/1.1 connection broke, or the framing is wrong.
    Http1(io::Error),
    /// An HTTP/2 stream or connection broke.
    Http2(hyper::Error),
    /// The gate ended the body, for this reason.
    Ended(String),
}

/// The body of the message that an HTTP/1.1 connection is reading.
pub struct Http1Body {
    /// `None` once the body has ended: the bytes of the next message are not part of this body.
    source: Option<Rc<RefCell<dyn BodySource>>>,
    raw_head: Option<Bytes>,
    /// The bytes still to come, where the head has the length.
    remaining: Option<u64>,
}

/// The connection that an HTTP/1.1 body is read from.
pub(super) trait BodySource {
    /// The next frame of the body; `None` after the last. The frame of trailers is empty.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Frame<Bytes>>>>;
    /// Whether the last frame has been read.
    fn has_ended(&self) -> bool;
}

impl Http1Body {
    /// The body of a message whose head has been read. `remaining` is its length, where the head
    /// has it.
    pub(super) fn new(
        source: Rc<RefCell<dyn BodySource>>,
        remaining: Option<u64>,
        raw_head: Option<Bytes>,
    ) -> Http1Body {
        Http1Body {
            source: (remaining != Some(0)).then_some(source),
            raw_head,
            remaining,
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(source) = &self.source else {
            return Poll::Ready(None);
        };
        let (frame, has_ended) = {
            let mut source = source.borrow_mut();
            (ready!(source.poll_frame(cx)), source.has_ended())
        };
        if has_ended || frame.is_err() {
            self.source = None;
        }
        if let (Some(remaining), Ok(Some(frame))) = (&mut self.remaining, &frame) {
            let len = frame.data_ref().map_or(0, Bytes::len) as u64;
            *remaining = remaining.saturating_sub(len);
        }
        Poll::Ready(frame.transpose())
    }
}

impl IncomingBody {
    /// Takes the head of the message as received, if it can be sent unchanged.
    pub fn take_raw_head(&mut self) -> Option<Bytes> {
        match self {
            IncomingBody::Http1(body) => body.raw_head.take(),
            IncomingBody::Http2(_) => None,
        }
    }
}

impl Body for IncomingBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            IncomingBody::Http1(body) => body.poll_frame(cx).map_err(BodyError::Http1),
            IncomingBody::Http2(body) => Pin::new(body).poll_frame(cx).map_err(BodyError::Http2),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            IncomingBody::Http1(body) => body.source.is_none(),
            IncomingBody::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            IncomingBody::Http1(body) => body
                .remaining
                .map_or_else(SizeHint::new, SizeHint::with_exact),
            IncomingBody::Http2(body) => body.size_hint(),
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::Http1(error) => error.fmt(f),
            BodyError::Http2(error) => error.fmt(f),
            BodyError::Ended(why) => write!(f, "ended: {why}"),
        }
    }
}

// hyper finds the reset code of an HTTP/2 response among the sources.
impl std::error::Error for BodyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BodyError::Http1(error) => error.source(),
            BodyError::Http2(error) => error.source(),
            BodyError::Ended(_) => None,
        }
    }
}
