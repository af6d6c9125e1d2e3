//! Reading a request body under the buffer budget, scanned as it arrives.
//!
//! Backpressure: without room in the budget, the gate reads no more from the client.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{timeout, timeout_at};

use crate::http::{BodyError, IncomingBody};
use crate::kinesis::{Members, Scanner, WireFormat};
use crate::reject::{Overloaded, Rejection};
use crate::sigv4::BodyHash;
use crate::upstream::RequestBody;

use super::body_timeout::BodyTimeout;
use super::worker::Worker;

/// Reads a request body: every chunk is scanned and held.
///
/// INVARIANT: the permits cover the bytes held, which therefore never exceed the worker's budget.
pub(super) struct BodyReader<'w> {
    worker: &'w Worker,
    incoming: IncomingBody,
    scanner: Scanner,
    body: RequestBody,
    permits: Option<OwnedSemaphorePermit>,
    timeout: BodyTimeout,
    has_ended: bool,
}

/// A body that was not read to its end: the part that was read, and the source of the rest.
pub(super) struct BodyRemainder<'w> {
    pub(super) worker: &'w Worker,
    pub(super) incoming: IncomingBody,
    pub(super) scanner: Scanner,
    pub(super) body: RequestBody,
    pub(super) timeout: BodyTimeout,
}

/// A shorter body is read to its end before the decision: holding it costs less than the second
/// evaluation, which a streaming body needs.
const DECIDE_AFTER_BYTES: u64 = 96 << 10;

/// How long a body that holds a part of the budget waits for more. Two bodies that wait for each
/// other's part would otherwise both wait for `body-timeout`. With this limit, the first to give up
/// releases its part, and the other continues.
const BUDGET_WAIT: Duration = Duration::from_secs(1);

/// Trailers arrive after the decision and could contradict it. No client sends them.
pub(super) const TRAILERS: Rejection = Rejection::Ambiguous("the request has trailers");

impl<'w> BodyReader<'w> {
    /// Prepares to read a body.
    ///
    /// # Errors
    /// If the announced length exceeds the limit.
    pub(super) fn new(
        mut incoming: IncomingBody,
        format: WireFormat,
        worker: &'w Worker,
    ) -> Result<BodyReader<'w>, Rejection> {
        let length = incoming.size_hint().exact();
        if length.is_some_and(|length| length > worker.limits.body_bytes as u64) {
            return Err(Rejection::BodyTooLarge);
        }
        let body = RequestBody::new(incoming.take_raw_head());
        Ok(BodyReader {
            worker,
            incoming,
            scanner: Scanner::new(format),
            body,
            permits: None,
            timeout: BodyTimeout::new(&worker.limits),
            has_ended: false,
        })
    }

    /// The members found so far.
    pub(super) fn members(&self) -> &Members {
        self.scanner.members()
    }

    /// The hash of the bytes read so far.
    pub(super) fn hash(&self) -> BodyHash {
        self.body.hash()
    }

    /// The number of bytes read so far.
    pub(super) fn len(&self) -> u64 {
        self.body.len()
    }

    /// Whether the body was read to its end.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Reads to the end.
    ///
    /// # Errors
    /// If the body is malformed, too large or too slow, or the budget has no room for it.
    pub(super) async fn read_to_end(&mut self) -> Result<(), Rejection> {
        while !self.has_ended {
            self.read_chunk().await?;
        }
        Ok(())
    }

    /// Reads to the end; a body that may stream, only until it is large and names a resource.
    ///
    /// # Errors
    /// As [`BodyReader::read_to_end`].
    pub(super) async fn read_until_decidable(&mut self, may_stream: bool) -> Result<(), Rejection> {
        let is_decidable = |reader: &BodyReader<'_>| {
            may_stream && reader.len() >= DECIDE_AFTER_BYTES && reader.members().has_resource()
        };
        while !self.has_ended && !is_decidable(self) {
            self.read_chunk().await?;
        }
        Ok(())
    }

    /// Splits a body that was not read to its end into its parts.
    pub(super) fn into_remainder(mut self) -> BodyRemainder<'w> {
        self.body.hold_permit(self.permits.take());
        BodyRemainder {
            worker: self.worker,
            incoming: self.incoming,
            scanner: self.scanner,
            body: self.body,
            timeout: self.timeout,
        }
    }

    /// The body that was read to its end.
    pub(super) fn into_body(mut self) -> RequestBody {
        self.body.hold_permit(self.permits.take());
        self.body
    }

    /// The next frame; waits for the client if no frame has arrived.
    async fn next_frame(&mut self) -> Result<Option<Result<Frame<Bytes>, BodyError>>, Rejection> {
        let ready = poll_fn(|cx| Poll::Ready(Pin::new(&mut self.incoming).poll_frame(cx))).await;
        if let Poll::Ready(frame) = ready {
            return Ok(frame);
        }
        let deadline = self.timeout.start_wait(self.len());
        let frame = timeout_at(deadline, self.incoming.frame()).await;
        self.timeout.end_wait();
        frame.map_err(|_| Rejection::BodyTimeout)
    }

    async fn read_chunk(&mut self) -> Result<(), Rejection> {
        let limits = &self.worker.limits;
        let frame = match self.next_frame().await? {
            Some(Ok(frame)) => frame,
            Some(Err(_)) => return Err(Rejection::IncompleteBody),
            None => {
                self.has_ended = true;
                return self.scanner.finish().map_err(Rejection::MalformedBody);
            }
        };
        let Ok(chunk) = frame.into_data() else {
            return Err(TRAILERS);
        };
        self.scanner
            .push(&chunk)
            .map_err(Rejection::MalformedBody)?;
        if self.len().saturating_add(chunk.len() as u64) > limits.body_bytes as u64 {
            return Err(Rejection::BodyTooLarge);
        }
        let bytes = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        let timeout = match &self.permits {
            Some(_) => limits.body_timeout.min(BUDGET_WAIT),
            None => limits.body_timeout,
        };
        let permit = reserve(self.worker, bytes, timeout).await?;
        match &mut self.permits {
            Some(permits) => permits.merge(permit),
            None => self.permits = Some(permit),
        }
        self.body.push(chunk);
        if self.incoming.is_end_stream() {
            self.has_ended = true;
            self.scanner.finish().map_err(Rejection::MalformedBody)?;
        }
        Ok(())
    }
}

/// Waits for room in the budget.
async fn reserve(
    worker: &Worker,
    bytes: u32,
    duration: Duration,
) -> Result<OwnedSemaphorePermit, Rejection> {
    let budget = Arc::clone(&worker.budget);
    match Arc::clone(&budget).try_acquire_many_owned(bytes) {
        Ok(permit) => Ok(permit),
        Err(_) => match timeout(duration, budget.acquire_many_owned(bytes)).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Rejection::Overloaded(Overloaded::BufferBudget)),
        },
    }
}
