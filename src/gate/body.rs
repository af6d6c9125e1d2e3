//! Bodies: a request's is read under the budget and scanned as it arrives; an answer's carries its
//! record until it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::kinesis::{Format, Scanner};
use crate::observe::Record;
use crate::reject::Rejection;
use crate::upstream::{RequestBody, ResponseBody};

use super::Worker;

/// A request's body, whole and scanned, with what it takes of the budget.
pub(super) struct Judged {
    pub(super) scanner: Scanner,
    pub(super) body: RequestBody,
}

/// An answer's body. Its record is closed when it has ended or the client has gone.
pub struct Answer {
    body: Source,
    record: Record,
}

enum Source {
    Upstream(ResponseBody),
    Own(Full<Bytes>),
}

/// Reads and scans a body to its end. Nothing leaves before.
///
/// INVARIANT: the bytes held are those of the permits taken: never more than the worker's budget.
pub(super) async fn read(
    mut incoming: Incoming,
    format: Format,
    worker: &Worker,
) -> Result<Judged, Rejection> {
    let limits = &worker.limits;
    let announced = incoming.size_hint().exact();
    if announced.is_some_and(|len| len > limits.body_bytes as u64) {
        return Err(Rejection::TooLarge);
    }
    let mut scanner = Scanner::new(format);
    let mut body = RequestBody::default();
    let mut held = match announced.and_then(|len| u32::try_from(len).ok()) {
        Some(0) | None => None,
        Some(len) => Some(reserve(worker, len).await?),
    };
    let mut reserved = announced.unwrap_or(0);
    loop {
        let frame = match timeout(limits.body_timeout, incoming.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(Rejection::BodyBroken),
            Ok(None) => break,
            Err(_) => return Err(Rejection::BodyTimeout),
        };
        let Ok(chunk) = frame.into_data() else {
            return Err(Rejection::Ambiguous("the request has trailers"));
        };
        scanner.push(&chunk).map_err(Rejection::Malformed)?;
        let len = body.len().saturating_add(chunk.len() as u64);
        if len > limits.body_bytes as u64 {
            return Err(Rejection::TooLarge);
        }
        if len > reserved {
            let more = u32::try_from(len - reserved).unwrap_or(u32::MAX);
            let permit = reserve(worker, more).await?;
            match &mut held {
                Some(held) => held.merge(permit),
                None => held = Some(permit),
            }
            reserved = len;
        }
        body.push(chunk);
    }
    scanner.finish().map_err(Rejection::Malformed)?;
    body.hold(held);
    Ok(Judged { scanner, body })
}

/// Waits for room in the budget, but not for ever: the client is told to come back.
async fn reserve(worker: &Worker, bytes: u32) -> Result<OwnedSemaphorePermit, Rejection> {
    let budget = Arc::clone(&worker.budget);
    match Arc::clone(&budget).try_acquire_many_owned(bytes) {
        Ok(permit) => Ok(permit),
        Err(_) => match timeout(worker.limits.body_timeout, budget.acquire_many_owned(bytes)).await
        {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Rejection::Busy),
        },
    }
}

impl Answer {
    /// Kinesis' answer, streaming.
    pub(super) fn upstream(body: ResponseBody, record: Record) -> Answer {
        Answer {
            body: Source::Upstream(body),
            record,
        }
    }

    /// An answer of the gate's own.
    pub(super) fn own(body: Bytes, record: Record) -> Answer {
        Answer {
            body: Source::Own(Full::new(body)),
            record,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let answer = &mut *self;
        let polled = match &mut answer.body {
            Source::Upstream(body) => Pin::new(body).poll_frame(cx),
            Source::Own(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|infallible| match infallible {}),
        };
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let len = frame.data_ref().map_or(0, Bytes::len) as u64;
                answer.record.response_bytes += len;
            }
            Poll::Ready(Some(Err(error))) => {
                answer.record.reason = Some(format!("the answer broke off: {error}"));
            }
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Source::Upstream(body) => body.is_end_stream(),
            Source::Own(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Source::Upstream(body) => body.size_hint(),
            Source::Own(body) => body.size_hint(),
        }
    }
}
