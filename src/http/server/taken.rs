//! Answers over HTTP/2, and clients that do not take them.
//!
//! hyper asks a body for its next piece when the client's window has room, and tells nobody while
//! it has none. But the task of a stream is ours to run: it and the answer's body share whose turn it
//! is, and the task ends, and resets its stream, where a client lets its time pass. It costs a
//! `PutRecord` of 1 KiB 1,000 of 134,000 instructions.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::time::{Instant, sleep};

use crate::gate::Answer;

/// Runs streams on the event loop that made them, each for as long as its client takes its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streams {
    /// How long a client may take nothing of an answer that is there.
    pub(super) patience: Duration,
}

/// An answer in pieces that a slow client can take one by one.
pub(super) struct Taken {
    answer: Answer,
    /// What is left of the answer's last piece.
    rest: Bytes,
    turn: Option<Rc<Cell<Turn>>>,
}

/// Whose turn it is on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Ours: the answer, or its next piece, has not come.
    Ours,
    /// The client's, from now on.
    Theirs,
    /// The client's, and the time runs.
    Awaited,
    /// The client let its time pass.
    Over,
}

tokio::task_local! {
    /// Of the stream whose task this is.
    static TURN: Rc<Cell<Turn>>;
}

/// The largest piece: what any client takes in one frame (RFC 9113 section 4.2). Who takes one within
/// its time is alive; and the last is all that hyper keeps of an answer that we are done with.
const PIECE: usize = 16 << 10;

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, stream: F) {
        tokio::task::spawn_local(follow(stream, self.patience));
    }
}

async fn follow(stream: impl Future<Output = ()>, patience: Duration) {
    let turn = Rc::new(Cell::new(Turn::Ours));
    let mut stream = pin!(TURN.scope(Rc::clone(&turn), stream));
    // None for what is taken at once, as most answers are.
    let mut timer = None;
    poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if turn.get() == Turn::Ours {
            return Poll::Pending;
        }
        let timer = timer.get_or_insert_with(|| Box::pin(sleep(patience)));
        if turn.replace(Turn::Awaited) == Turn::Theirs {
            timer.as_mut().reset(Instant::now() + patience);
        }
        ready!(timer.as_mut().poll(cx));
        turn.set(Turn::Over);
        Poll::Ready(())
    })
    .await;
}

impl Taken {
    /// To be called in the task of its stream; an answer in no such task is waited for.
    pub(super) fn new(answer: Answer) -> Taken {
        let turn = TURN.try_with(Rc::clone).ok();
        let taken = Taken {
            answer,
            rest: Bytes::new(),
            turn,
        };
        taken.turn(Turn::Theirs);
        taken
    }

    fn turn(&self, next: Turn) {
        if let Some(turn) = &self.turn {
            turn.set(next);
        }
    }

    fn piece(&mut self) -> Frame<Bytes> {
        let len = self.rest.len().min(PIECE);
        Frame::data(self.rest.split_to(len))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.turn.as_ref().is_some_and(|it| it.get() == Turn::Over) {
            self.answer.give_up();
        }
    }
}

impl Body for Taken {
    type Data = Bytes;
    type Error = <Answer as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let taken = &mut *self;
        if taken.rest.is_empty() {
            let Poll::Ready(frame) = Pin::new(&mut taken.answer).poll_frame(cx) else {
                taken.turn(Turn::Ours);
                return Poll::Pending;
            };
            taken.turn(Turn::Theirs);
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => taken.rest = data,
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        } else {
            taken.turn(Turn::Theirs);
        }
        Poll::Ready(Some(Ok(taken.piece())))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let left = self.answer.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = left.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(left.lower().saturating_add(rest));
        hint
    }
}
