//! A large request body that streams upstream while it is scanned, with its last bytes held back.
//!
//! A large `PutRecords` need not be stored to be decided. Once the body has named its stream and
//! the policy allows the request, the gate sends the part that was read, then the rest, and scans
//! each chunk before it leaves. INVARIANT: the last bytes leave only after the whole body was
//! scanned without an error and the request was evaluated again by all of it. The service never
//! sees the end of a body that does not pass, and so never executes it.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use bytes::Bytes;
use http::request::Parts;
use http_body::Body;
use tokio::time::{Sleep, sleep};

use crate::http::IncomingBody;
use crate::kinesis::Scanner;
use crate::observe::Record;
use crate::reject::Rejection;
use crate::sigv4::BodyHash;
use crate::upstream::{BodyAborted, BodyStream, RequestBody};

use super::body_timeout::BodyTimeout;
use super::connection::ConnectionInfo;
use super::evaluation::{Evaluation, RecordedDecision};
use super::request_body::{BodyReader, BodyRemainder, TRAILERS};
use super::retained_head::RetainedHead;

/// The rest of a request body.
struct StreamingBody {
    incoming: IncomingBody,
    scanner: Scanner,
    /// The chunk that was read last. Never empty: an empty chunk would release the last bytes.
    held: Option<Bytes>,
    has_ended: bool,
    limit: u64,
    timeout: BodyTimeout,
    deadline: Pin<Box<Sleep>>,
    connection: Rc<ConnectionInfo>,
    head: RetainedHead,
    arrival_time: SystemTime,
    outcome: Rc<RefCell<StreamOutcome>>,
}

/// What happened to a streaming body; read when the exchange with the upstream has ended.
#[derive(Default)]
pub(super) struct StreamOutcome {
    /// Bytes read from the client.
    received: u64,
    /// Why the last bytes were not sent.
    rejection: Option<Rejection>,
    /// The decision by the whole body.
    decision: Option<RecordedDecision>,
}

/// The body to forward, and the outcome of its rest, if its end has not been read yet.
pub(super) fn into_forwarded(
    reader: BodyReader<'_>,
    connection: &Rc<ConnectionInfo>,
    parts: &Parts,
    arrival_time: SystemTime,
) -> (RequestBody, Option<Rc<RefCell<StreamOutcome>>>) {
    if reader.has_ended() {
        return (reader.into_body(), None);
    }
    let BodyRemainder {
        incoming,
        scanner,
        worker,
        mut body,
        timeout,
    } = reader.into_remainder();
    let outcome = Rc::new(RefCell::new(StreamOutcome {
        received: body.len(),
        ..StreamOutcome::default()
    }));
    body.append_stream(StreamingBody {
        incoming,
        scanner,
        held: None,
        has_ended: false,
        limit: worker.limits.body_bytes as u64,
        timeout,
        deadline: Box::pin(sleep(worker.limits.body_timeout)),
        connection: Rc::clone(connection),
        // INVARIANT: the body of a re-signed request has been read to its end: no hash is needed.
        head: RetainedHead::new(parts, BodyHash::default(), arrival_time),
        arrival_time,
        outcome: Rc::clone(&outcome),
    });
    (body, Some(outcome))
}

impl StreamOutcome {
    /// Writes the outcome into the record.
    ///
    /// # Errors
    /// Why the last bytes were not sent: the client gets this error, whatever the upstream answers.
    pub(super) fn record(&mut self, record: &mut Record) -> Result<(), Rejection> {
        record.request_bytes = self.received;
        if let Some(decision) = self.decision.take() {
            decision.record(record);
        }
        self.rejection.take().map_or(Ok(()), Err)
    }
}

impl StreamingBody {
    fn abort(&mut self, rejection: Rejection) -> Poll<Option<Result<Bytes, BodyAborted>>> {
        self.has_ended = true;
        self.outcome.borrow_mut().rejection = Some(rejection);
        Poll::Ready(Some(Err(BodyAborted)))
    }

    /// Scans a chunk and holds it back; returns the chunk before it.
    fn hold_back(&mut self, chunk: Bytes) -> Result<Option<Bytes>, Rejection> {
        self.scanner
            .push(&chunk)
            .map_err(Rejection::MalformedBody)?;
        let received = {
            let mut outcome = self.outcome.borrow_mut();
            outcome.received = outcome.received.saturating_add(chunk.len() as u64);
            outcome.received
        };
        if received > self.limit {
            return Err(Rejection::BodyTooLarge);
        }
        Ok(if chunk.is_empty() {
            None
        } else {
            self.held.replace(chunk)
        })
    }

    /// Evaluates the request by the whole body.
    fn reevaluate(&mut self) -> Result<(), Rejection> {
        self.scanner.finish().map_err(Rejection::MalformedBody)?;
        let (connection, outcome) = (&self.connection, &self.outcome);
        let on_evaluation = |evaluation: &Evaluation| {
            outcome.borrow_mut().decision =
                Some(evaluation.recorded_decision(connection.endpoint()));
        };
        let members = self.scanner.members();
        let now = self.arrival_time;
        self.head
            .reevaluate(connection, members, now, on_evaluation)
    }
}

impl BodyStream for StreamingBody {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyAborted>>> {
        loop {
            if self.has_ended {
                return Poll::Ready(self.held.take().map(Ok));
            }
            let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
                if !self.timeout.is_waiting() {
                    let deadline = self.timeout.start_wait(self.outcome.borrow().received);
                    self.deadline.as_mut().reset(deadline);
                }
                ready!(self.deadline.as_mut().poll(cx));
                return self.abort(Rejection::BodyTimeout);
            };
            self.timeout.end_wait();
            let released = match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) => self.hold_back(chunk),
                    Err(_) => Err(TRAILERS),
                },
                Some(Err(_)) => Err(Rejection::IncompleteBody),
                None => self.reevaluate().map(|()| {
                    self.has_ended = true;
                    None
                }),
            };
            match released {
                Ok(Some(chunk)) => return Poll::Ready(Some(Ok(chunk))),
                Ok(None) => {}
                Err(rejection) => return self.abort(rejection),
            }
        }
    }
}
