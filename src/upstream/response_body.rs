//! The response body from upstream, streamed. At the end, its connection returns to the pool.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::http::{BodyError, IncomingBody, MessageBody};

use super::lease::Lease;

/// The body of a response. At its end the connection can serve another request. If the body is
/// dropped earlier, the connection closes.
pub struct ResponseBody {
    raw_head: Option<Bytes>,
    incoming: IncomingBody,
    lease: Option<Lease>,
}

impl ResponseBody {
    pub(super) fn new(
        incoming: IncomingBody,
        lease: Lease,
        raw_head: Option<Bytes>,
    ) -> ResponseBody {
        let mut body = ResponseBody {
            raw_head,
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
        self.raw_head.as_ref()
    }
}
