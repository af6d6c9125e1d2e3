//! Bodies on their way through, chunk by chunk and without a copy.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use crate::http::{BodyError, IncomingBody, MessageBody};
use crate::sigv4::{BodyHash, hash_body};

use super::pool::Lease;

/// A request's body: the pieces that were read and judged, and perhaps a rest that still comes.
#[derive(Default)]
pub struct RequestBody {
    verbatim: Option<Bytes>,
    chunks: VecDeque<Bytes>,
    left: u64,
    held: Option<OwnedSemaphorePermit>,
    rest: Option<Box<dyn Rest>>,
    passed: Option<Rc<Cell<u64>>>,
}

/// The rest of a body, which is judged while it passes.
pub trait Rest {
    /// The next piece; `None` after the last.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Withheld>>>;
}

/// The rest of a body will not come: the request must not reach its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withheld;

/// An answer's body, streaming. Once it has ended, its connection serves another request; dropped
/// before, the connection is closed.
pub struct ResponseBody {
    verbatim: Option<Bytes>,
    incoming: IncomingBody,
    lease: Option<Lease>,
}

impl RequestBody {
    /// An empty body, and the bytes of its request's head where they are to leave as they came.
    pub fn new(verbatim: Option<Bytes>) -> RequestBody {
        RequestBody {
            verbatim,
            ..RequestBody::default()
        }
    }

    /// Lets the request's head leave as it is now, and not as it came.
    pub(super) fn rewrite_head(&mut self) {
        self.verbatim = None;
    }

    /// Whether the request's head leaves as it came.
    #[cfg(test)]
    pub(super) fn keeps_head(&self) -> bool {
        self.verbatim.is_some()
    }

    /// Adds what came next.
    pub fn push(&mut self, chunk: Bytes) {
        self.left = self.left.saturating_add(chunk.len() as u64);
        self.chunks.push_back(chunk);
    }

    /// Keeps the budget's permit until the body is gone.
    pub fn hold(&mut self, permit: Option<OwnedSemaphorePermit>) {
        self.held = permit;
    }

    /// Lets a rest follow what was added.
    pub fn follow(&mut self, rest: impl Rest + 'static) {
        self.rest = Some(Box::new(rest));
    }

    /// The hash of what was added.
    pub fn hash(&self) -> BodyHash {
        hash_body(self.chunks.iter().map(|chunk| &**chunk))
    }

    /// A number that grows as long as a rest passes.
    pub(super) fn passed(&mut self) -> Rc<Cell<u64>> {
        Rc::clone(self.passed.get_or_insert_default())
    }

    /// Bytes left of what was added.
    pub fn len(&self) -> u64 {
        self.left
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Withheld;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Withheld>>> {
        if let Some(chunk) = self.chunks.pop_front() {
            self.left = self.left.saturating_sub(chunk.len() as u64);
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(None);
        };
        let piece = ready!(rest.poll_piece(cx));
        if let Some(passed) = &self.passed {
            passed.set(passed.get() + 1);
        }
        if !matches!(piece, Some(Ok(_))) {
            self.rest = None;
        }
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.chunks.is_empty() && self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.rest {
            None => SizeHint::with_exact(self.left),
            Some(_) => SizeHint::default(),
        }
    }
}

impl MessageBody for RequestBody {
    fn raw_head(&self) -> Option<&Bytes> {
        self.verbatim.as_ref()
    }
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the rest of the body is withheld")
    }
}

impl std::error::Error for Withheld {}

impl ResponseBody {
    pub(super) fn new(
        incoming: IncomingBody,
        lease: Lease,
        verbatim: Option<Bytes>,
    ) -> ResponseBody {
        let mut body = ResponseBody {
            verbatim,
            incoming,
            lease: Some(lease),
        };
        body.release_at_end();
        body
    }

    fn release_at_end(&mut self) {
        if self.incoming.is_end_stream()
            && let Some(lease) = self.lease.take()
        {
            lease.release();
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        match &frame {
            Some(Ok(_)) => self.release_at_end(),
            Some(Err(_)) => drop(self.lease.take()),
            None => {
                if let Some(lease) = self.lease.take() {
                    lease.release();
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl MessageBody for ResponseBody {
    fn raw_head(&self) -> Option<&Bytes> {
        self.verbatim.as_ref()
    }
}
