//! Bodies: a request's is read under the budget and scanned as it arrives; an answer's carries its
//! record until it ends.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{timeout, timeout_at};

use crate::http::{BodyError, IncomingBody, MessageBody};
use crate::kinesis::{Scanner, WireFormat};
use crate::observe::{LimitHit, Record};
use crate::reject::{Overloaded, Rejection};
use crate::upstream::RequestBody;

use super::Worker;
use super::handed::Passing;
use super::pace::Pace;

/// A request's body as far as it was read: every piece scanned, none of it gone.
///
/// INVARIANT: the bytes held are those of the permits taken: never more than the worker's budget.
pub(super) struct Reading<'w> {
    worker: &'w Worker,
    incoming: IncomingBody,
    pub(super) scanner: Scanner,
    pub(super) body: RequestBody,
    permits: Option<OwnedSemaphorePermit>,
    pace: Pace,
    ended: bool,
}

/// A body that has begun: what was read, and where the rest comes from.
pub(super) struct Begun<'w> {
    pub(super) worker: &'w Worker,
    pub(super) incoming: IncomingBody,
    pub(super) scanner: Scanner,
    pub(super) body: RequestBody,
    pub(super) pace: Pace,
}

/// An answer's body. Its record is closed when it has ended or the client has gone.
pub struct RecordedBody {
    body: Source,
    record: Record,
}

enum Source {
    Upstream(Passing),
    Own(Full<Bytes>),
}

/// A body that is shorter is read whole before it is judged: holding it costs less than a second
/// look at its head, which a body that is judged on its way needs.
const WHOLE: u64 = 96 << 10;

/// How long a body may wait for room while it holds some: two that hold what the other waits for
/// would else stand until both have waited for `body-timeout`. The first to give up lets go of its
/// share, and the others go on.
const HOLDING: Duration = Duration::from_secs(1);

/// Trailers could say anything after the judgement, and no client sends them.
pub(super) const TRAILERS: Rejection = Rejection::Ambiguous("the request has trailers");

impl<'w> Reading<'w> {
    /// Begins to read a body; refuses one that says it is too long.
    pub(super) fn begin(
        mut incoming: IncomingBody,
        format: WireFormat,
        worker: &'w Worker,
    ) -> Result<Reading<'w>, Rejection> {
        let announced = incoming.size_hint().exact();
        if announced.is_some_and(|len| len > worker.limits.body_bytes as u64) {
            return Err(Rejection::BodyTooLarge);
        }
        let body = RequestBody::new(incoming.take_raw_head());
        Ok(Reading {
            worker,
            incoming,
            scanner: Scanner::new(format),
            body,
            permits: None,
            pace: Pace::new(&worker.limits),
            ended: false,
        })
    }

    /// Whether all of it was read.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Reads to the end.
    pub(super) async fn read_to_end(&mut self) -> Result<(), Rejection> {
        while !self.ended {
            self.piece().await?;
        }
        Ok(())
    }

    /// Reads to the end, or until a body that may be large is, and has named a resource.
    pub(super) async fn read_to_be_judged(&mut self, may_be_large: bool) -> Result<(), Rejection> {
        let enough = |reading: &Reading<'_>| {
            may_be_large && reading.body.len() >= WHOLE && reading.scanner.members().has_resource()
        };
        while !self.ended && !enough(self) {
            self.piece().await?;
        }
        Ok(())
    }

    /// A body that has begun, to be read on by another.
    pub(super) fn into_begun(mut self) -> Begun<'w> {
        self.body.hold_permit(self.permits.take());
        let Reading {
            worker,
            incoming,
            scanner,
            body,
            pace,
            ..
        } = self;
        Begun {
            worker,
            incoming,
            scanner,
            body,
            pace,
        }
    }

    /// The body that was read whole.
    pub(super) fn into_whole(mut self) -> RequestBody {
        self.body.hold_permit(self.permits.take());
        self.body
    }

    /// The next piece: at once if it is there, or when the client sends it.
    async fn frame(&mut self) -> Result<Option<Result<Frame<Bytes>, BodyError>>, Rejection> {
        let there = poll_fn(|cx| Poll::Ready(Pin::new(&mut self.incoming).poll_frame(cx))).await;
        if let Poll::Ready(frame) = there {
            return Ok(frame);
        }
        let until = self.pace.wait(self.body.len());
        let frame = timeout_at(until, self.incoming.frame()).await;
        self.pace.came();
        frame.map_err(|_| Rejection::BodyTimeout)
    }

    async fn piece(&mut self) -> Result<(), Rejection> {
        let limits = &self.worker.limits;
        let frame = match self.frame().await? {
            Some(Ok(frame)) => frame,
            Some(Err(_)) => return Err(Rejection::IncompleteBody),
            None => {
                self.ended = true;
                return self.scanner.finish().map_err(Rejection::MalformedBody);
            }
        };
        let Ok(chunk) = frame.into_data() else {
            return Err(TRAILERS);
        };
        self.scanner
            .push(&chunk)
            .map_err(Rejection::MalformedBody)?;
        let len = self.body.len().saturating_add(chunk.len() as u64);
        if len > limits.body_bytes as u64 {
            return Err(Rejection::BodyTooLarge);
        }
        let room = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        let patience = match &self.permits {
            Some(_) => limits.body_timeout.min(HOLDING),
            None => limits.body_timeout,
        };
        let permit = reserve(self.worker, room, patience).await?;
        match &mut self.permits {
            Some(permits) => permits.merge(permit),
            None => self.permits = Some(permit),
        }
        self.body.push(chunk);
        if self.incoming.is_end_stream() {
            self.ended = true;
            self.scanner.finish().map_err(Rejection::MalformedBody)?;
        }
        Ok(())
    }
}

/// Waits for room in the budget, but not for ever: the client is told to come back.
async fn reserve(
    worker: &Worker,
    bytes: u32,
    patience: Duration,
) -> Result<OwnedSemaphorePermit, Rejection> {
    let budget = Arc::clone(&worker.budget);
    match Arc::clone(&budget).try_acquire_many_owned(bytes) {
        Ok(permit) => Ok(permit),
        Err(_) => match timeout(patience, budget.acquire_many_owned(bytes)).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Rejection::Overloaded(Overloaded::BufferBudget)),
        },
    }
}

impl RecordedBody {
    /// Kinesis' answer, streaming.
    pub(super) fn upstream(body: Passing, record: Record) -> RecordedBody {
        RecordedBody {
            body: Source::Upstream(body),
            record,
        }
    }

    /// An answer of the gate's own.
    pub(super) fn own(body: Bytes, record: Record) -> RecordedBody {
        RecordedBody {
            body: Source::Own(Full::new(body)),
            record,
        }
    }
}

impl Body for RecordedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
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
                answer.record.reason = Some(match error {
                    BodyError::Ended(_) => error.to_string(),
                    BodyError::Http1(_) | BodyError::Http2(_) => {
                        format!("the answer broke off: {error}")
                    }
                });
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

impl MessageBody for RecordedBody {
    fn raw_head(&self) -> Option<&Bytes> {
        match &self.body {
            Source::Upstream(body) => body.raw_head(),
            Source::Own(_) => None,
        }
    }

    fn on_write_timeout(&mut self) {
        self.record.count_limit_hit(LimitHit::BodyTime);
        self.record.reason = Some("the client takes no more of the answer".to_owned());
    }
}
