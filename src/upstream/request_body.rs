//! The request body on its way upstream, chunk by chunk and without a copy.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use crate::http::MessageBody;
use crate::sigv4::{BodyHash, hash_body};

/// The body of a request: the chunks that the gate has read, and optionally a stream of the rest.
#[derive(Default)]
pub struct RequestBody {
    raw_head: Option<Bytes>,
    chunks: VecDeque<Bytes>,
    len: u64,
    permit: Option<OwnedSemaphorePermit>,
    stream: Option<Box<dyn BodyStream>>,
    progress: Option<Rc<Cell<u64>>>,
}

/// The rest of a body, which the gate checks as it streams.
pub trait BodyStream {
    /// The next chunk; `None` after the last.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyAborted>>>;
}

/// The gate aborts the body: the request must never be complete upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyAborted;

impl RequestBody {
    /// An empty body. `raw_head` is the request's head, if it is forwarded as received.
    pub fn new(raw_head: Option<Bytes>) -> RequestBody {
        RequestBody {
            raw_head,
            ..RequestBody::default()
        }
    }

    /// Makes the request's head be sent as it is now, and not as received.
    pub(super) fn drop_raw_head(&mut self) {
        self.raw_head = None;
    }

    /// Whether the request's head is forwarded as received.
    #[cfg(test)]
    pub(super) fn has_raw_head(&self) -> bool {
        self.raw_head.is_some()
    }

    /// Appends a chunk.
    pub fn push(&mut self, chunk: Bytes) {
        self.len = self.len.saturating_add(chunk.len() as u64);
        self.chunks.push_back(chunk);
    }

    /// Holds the permit of the buffer budget until the body is dropped.
    pub fn hold_permit(&mut self, permit: Option<OwnedSemaphorePermit>) {
        self.permit = permit;
    }

    /// Appends the stream of the chunks that follow.
    pub fn append_stream(&mut self, stream: impl BodyStream + 'static) {
        self.stream = Some(Box::new(stream));
    }

    /// The hash of the appended chunks.
    pub fn hash(&self) -> BodyHash {
        hash_body(self.chunks.iter().map(|chunk| &**chunk))
    }

    /// A counter that grows with every chunk of the stream.
    pub(super) fn progress(&mut self) -> Rc<Cell<u64>> {
        Rc::clone(self.progress.get_or_insert_default())
    }

    /// The bytes of the appended chunks that are not sent yet.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no bytes of the appended chunks are left.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyAborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyAborted>>> {
        if let Some(chunk) = self.chunks.pop_front() {
            self.len = self.len.saturating_sub(chunk.len() as u64);
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(None);
        };
        let chunk = ready!(stream.poll_chunk(cx));
        if let Some(progress) = &self.progress {
            progress.set(progress.get() + 1);
        }
        if !matches!(chunk, Some(Ok(_))) {
            self.stream = None;
        }
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.chunks.is_empty() && self.stream.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.stream {
            None => SizeHint::with_exact(self.len),
            Some(_) => SizeHint::default(),
        }
    }
}

impl MessageBody for RequestBody {
    fn raw_head(&self) -> Option<&Bytes> {
        self.raw_head.as_ref()
    }
}

impl fmt::Display for BodyAborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the rest of the body is withheld")
    }
}

impl std::error::Error for BodyAborted {}
