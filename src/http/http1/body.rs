//! Bodies that come in and bodies that go out.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::decoder::Decoder;

/// A body that goes out, and the head it goes with.
pub trait Outgoing: http_body::Body<Data = Bytes> + Unpin {
    /// The bytes of the head as it came, to be sent as they are. `None`: it is written from the
    /// message's parts.
    fn verbatim(&self) -> Option<&Bytes>;
}

/// A message's body as it comes in, over either version of HTTP.
pub enum Incoming {
    /// Read here.
    Http1(Body),
    /// Read by hyper.
    Hyper(hyper::body::Incoming),
}

/// A body that broke off, or is framed in no way that HTTP knows.
#[derive(Debug)]
pub enum Broken {
    /// Read here.
    Http1(io::Error),
    /// Read by hyper.
    Hyper(hyper::Error),
    /// It was ended here; why.
    Ended(String),
}

/// The body of the message that a connection is reading.
pub struct Body {
    /// Gone once the body has ended: the next message's bytes are not this body's.
    source: Option<Rc<RefCell<dyn Source>>>,
    head: Option<Bytes>,
    left: Option<u64>,
}

/// Where a body is read from.
pub(super) trait Source {
    /// The next piece; `None` behind the last.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Piece>>>;
    /// Whether the last piece has come.
    fn has_ended(&self) -> bool;
}

/// A piece of a body.
pub(super) enum Piece {
    Data(Bytes),
    /// There are trailers; what they say is not read.
    Trailers,
}

impl Body {
    pub(super) fn new(
        source: Rc<RefCell<dyn Source>>,
        decoder: Decoder,
        head: Option<Bytes>,
    ) -> Body {
        Body {
            source: (!decoder.has_ended()).then_some(source),
            head,
            left: decoder.left(),
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Piece>>> {
        let Some(source) = &self.source else {
            return Poll::Ready(None);
        };
        let (piece, ended) = {
            let mut source = source.borrow_mut();
            (ready!(source.poll_piece(cx)), source.has_ended())
        };
        if ended || piece.is_err() {
            self.source = None;
        }
        if let (Some(left), Ok(Some(Piece::Data(data)))) = (&mut self.left, &piece) {
            *left = left.saturating_sub(data.len() as u64);
        }
        Poll::Ready(piece.transpose())
    }
}

impl Incoming {
    /// The head's bytes as they came, where they can be sent on as they are; told once.
    pub fn take_verbatim(&mut self) -> Option<Bytes> {
        match self {
            Incoming::Http1(body) => body.head.take(),
            Incoming::Hyper(_) => None,
        }
    }
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut *self {
            Incoming::Http1(body) => body.poll_piece(cx).map(|piece| {
                piece.map(|piece| match piece {
                    Ok(Piece::Data(data)) => Ok(Frame::data(data)),
                    Ok(Piece::Trailers) => Ok(Frame::trailers(HeaderMap::new())),
                    Err(error) => Err(Broken::Http1(error)),
                })
            }),
            Incoming::Hyper(body) => Pin::new(body).poll_frame(cx).map_err(Broken::Hyper),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Incoming::Http1(body) => body.source.is_none(),
            Incoming::Hyper(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Incoming::Http1(body) => body.left.map_or_else(SizeHint::new, SizeHint::with_exact),
            Incoming::Hyper(body) => body.size_hint(),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Http1(error) => error.fmt(f),
            Broken::Hyper(error) => error.fmt(f),
            Broken::Ended(why) => write!(f, "ended: {why}"),
        }
    }
}

impl std::error::Error for Broken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Broken::Http1(error) => error.source(),
            Broken::Hyper(error) => error.source(),
            Broken::Ended(_) => None,
        }
    }
}
