//! The rest of a large body, forwarded while it is scanned, with its tail held back.
//!
//! A large `PutRecords` need not be stored to be judged. Once its stream is named and the policy
//! allows it, what was read goes upstream and the rest follows piece by piece, each scanned before
//! it leaves. INVARIANT: the last bytes leave only after the whole body was scanned clean and
//! judged again by all of it. The service never sees the end of a body that does not pass, and so
//! never executes it.

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
use crate::observe::{DecisionSource, Record, RequestOutcome};
use crate::reject::Rejection;
use crate::sigv4::BodyHash;
use crate::upstream::{BodyAborted, BodyStream, RequestBody};

use super::ConnectionInfo;
use super::again::Kept;
use super::body::{Begun, Reading, TRAILERS};
use super::decide::Ruled;
use super::pace::Pace;

/// The rest of a body, on its way.
pub(super) struct Tail {
    incoming: IncomingBody,
    scanner: Scanner,
    /// What was read last and has not left. Never empty bytes: they would let go of the tail.
    held: Option<Bytes>,
    ended: bool,
    limit: u64,
    pace: Pace,
    deadline: Pin<Box<Sleep>>,
    connection: Rc<ConnectionInfo>,
    kept: Kept,
    /// When the request arrived.
    now: SystemTime,
    shared: Rc<RefCell<Passage>>,
}

/// What becomes of a body on its way; read when its exchange has ended.
#[derive(Default)]
pub(super) struct Passage {
    /// Bytes read from the client.
    read: u64,
    /// Why the tail was withheld.
    withheld: Option<Rejection>,
    /// What decided about the whole body.
    ruled: Option<Told>,
}

/// What the record says of a decision.
struct Told {
    outcome: RequestOutcome,
    ruling: Option<DecisionSource>,
    candidate: Option<(RequestOutcome, DecisionSource)>,
    resource: String,
}

/// The body of a request that was judged before its end, and a view of what becomes of it.
pub(super) fn follow(
    reading: Reading<'_>,
    connection: &Rc<ConnectionInfo>,
    parts: &Parts,
    now: SystemTime,
) -> (RequestBody, Rc<RefCell<Passage>>) {
    let Begun {
        incoming,
        scanner,
        worker,
        mut body,
        pace,
    } = reading.into_begun();
    let shared = Rc::new(RefCell::new(Passage {
        read: body.len(),
        ..Passage::default()
    }));
    body.append_stream(Tail {
        incoming,
        scanner,
        held: None,
        ended: false,
        limit: worker.limits.body_bytes as u64,
        pace,
        deadline: Box::pin(sleep(worker.limits.body_timeout)),
        connection: Rc::clone(connection),
        // INVARIANT: what is signed anew has been read to its end, and needs no hash here.
        kept: Kept::new(parts, BodyHash::default(), now),
        now,
        shared: Rc::clone(&shared),
    });
    (body, shared)
}

impl Passage {
    /// Tells the record what became of the body.
    ///
    /// # Errors
    /// Why its tail was withheld, if it was: the client gets that, whatever came from upstream.
    pub(super) fn settle(&mut self, record: &mut Record) -> Result<(), Rejection> {
        record.request_bytes = self.read;
        if let Some(told) = self.ruled.take() {
            record.outcome = told.outcome;
            record.decision_source = told.ruling;
            record.candidate = told.candidate;
            record.resource = Some(told.resource);
        }
        self.withheld.take().map_or(Ok(()), Err)
    }
}

impl Tail {
    fn withhold(&mut self, rejection: Rejection) -> Poll<Option<Result<Bytes, BodyAborted>>> {
        self.ended = true;
        self.shared.borrow_mut().withheld = Some(rejection);
        Poll::Ready(Some(Err(BodyAborted)))
    }

    /// Takes the next piece in; the one before it may leave.
    fn take(&mut self, chunk: Bytes) -> Result<Option<Bytes>, Rejection> {
        self.scanner
            .push(&chunk)
            .map_err(Rejection::MalformedBody)?;
        let read = {
            let mut shared = self.shared.borrow_mut();
            shared.read = shared.read.saturating_add(chunk.len() as u64);
            shared.read
        };
        if read > self.limit {
            return Err(Rejection::BodyTooLarge);
        }
        Ok(if chunk.is_empty() {
            None
        } else {
            self.held.replace(chunk)
        })
    }

    /// Judges the whole body.
    fn confirm(&mut self) -> Result<(), Rejection> {
        self.scanner.finish().map_err(Rejection::MalformedBody)?;
        let endpoint = self.connection.endpoint();
        let shared = &self.shared;
        let told = |ruled: &Ruled| {
            shared.borrow_mut().ruled = Some(Told {
                outcome: ruled.outcome(),
                ruling: ruled.ruling(endpoint),
                candidate: ruled.difference(endpoint),
                resource: ruled.resource(),
            });
        };
        let members = self.scanner.members();
        self.kept.judge(&self.connection, members, self.now, told)
    }
}

impl BodyStream for Tail {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyAborted>>> {
        loop {
            if self.ended {
                return Poll::Ready(self.held.take().map(Ok));
            }
            let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
                if !self.pace.is_waiting() {
                    let until = self.pace.wait(self.shared.borrow().read);
                    self.deadline.as_mut().reset(until);
                }
                ready!(self.deadline.as_mut().poll(cx));
                return self.withhold(Rejection::BodyTimeout);
            };
            self.pace.came();
            let taken = match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) => self.take(chunk),
                    Err(_) => Err(TRAILERS),
                },
                Some(Err(_)) => Err(Rejection::IncompleteBody),
                None => self.confirm().map(|()| {
                    self.ended = true;
                    None
                }),
            };
            match taken {
                Ok(Some(piece)) => {
                    return Poll::Ready(Some(Ok(piece)));
                }
                Ok(None) => {}
                Err(rejection) => return self.withhold(rejection),
            }
        }
    }
}
