//! The write timeout of HTTP/2 responses: backpressure from a client that takes no bytes has a limit.
//!
//! hyper polls a body for its next frame when the client's flow control window has room, and
//! reports nothing while the window has none. But the gate runs the task of each stream: the task
//! and the response body share a [`WriteState`]. The task ends, and resets its stream, when the
//! client takes no bytes for the write timeout. It costs a `PutRecord` of 1 KiB 1,000 of 134,000
//! instructions.

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

use crate::http::MessageBody;

/// Runs streams on the current event loop, each under the write timeout.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamExecutor {
    /// How long a client may take no bytes of a response that is ready.
    pub(super) write_timeout: Duration,
}

/// A response body in frames that a slow client can take one by one.
pub(super) struct TimedBody<B: MessageBody> {
    body: B,
    /// The rest of the body's last frame.
    remainder: Bytes,
    state: Option<Rc<Cell<WriteState>>>,
}

/// The party that a stream waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriteState {
    /// The gate: the response, or its next frame, is not ready.
    Preparing,
    /// The client, from this moment.
    Ready,
    /// The client, and the timeout runs.
    Waiting,
    /// The client took no bytes for the write timeout.
    TimedOut,
}

tokio::task_local! {
    /// The state of the stream whose task this is.
    static STATE: Rc<Cell<WriteState>>;
}

/// The longest frame: what any client accepts (RFC 9113 section 4.2). A client that takes one within
/// the timeout is alive; and the last frame is all that hyper holds of a response that we have sent.
const FRAME_BYTES: usize = 16 << 10;

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, stream: F) {
        tokio::task::spawn_local(run(stream, self.write_timeout));
    }
}

async fn run(stream: impl Future<Output = ()>, write_timeout: Duration) {
    let state = Rc::new(Cell::new(WriteState::Preparing));
    let mut stream = pin!(STATE.scope(Rc::clone(&state), stream));
    // None for a response that the client takes at once, as most.
    let mut timer = None;
    poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if state.get() == WriteState::Preparing {
            return Poll::Pending;
        }
        let timer = timer.get_or_insert_with(|| Box::pin(sleep(write_timeout)));
        if state.replace(WriteState::Waiting) == WriteState::Ready {
            timer.as_mut().reset(Instant::now() + write_timeout);
        }
        ready!(timer.as_mut().poll(cx));
        state.set(WriteState::TimedOut);
        Poll::Ready(())
    })
    .await;
}

impl<B: MessageBody> TimedBody<B> {
    /// Call this in the task of the stream; elsewhere there is no timeout.
    pub(super) fn new(body: B) -> TimedBody<B> {
        let body = TimedBody {
            body,
            remainder: Bytes::new(),
            state: STATE.try_with(Rc::clone).ok(),
        };
        body.set(WriteState::Ready);
        body
    }

    fn set(&self, next: WriteState) {
        if let Some(state) = &self.state {
            state.set(next);
        }
    }
}

impl<B: MessageBody> Drop for TimedBody<B> {
    fn drop(&mut self) {
        if let Some(state) = &self.state
            && state.get() == WriteState::TimedOut
        {
            self.body.on_write_timeout();
        }
    }
}

impl<B: MessageBody> Body for TimedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let frame = match std::mem::take(&mut this.remainder) {
            none if none.is_empty() => Pin::new(&mut this.body).poll_frame(cx),
            remainder => Poll::Ready(Some(Ok(Frame::data(remainder)))),
        };
        this.set(match frame {
            Poll::Pending => WriteState::Preparing,
            Poll::Ready(_) => WriteState::Ready,
        });
        frame.map_ok(|frame| {
            frame.map_data(|mut data| {
                this.remainder = data.split_off(data.len().min(FRAME_BYTES));
                data
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.remainder.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let remainder = self.remainder.len() as u64;
        let mut hint = self.body.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(remainder));
        }
        hint.set_lower(hint.lower().saturating_add(remainder));
        hint
    }
}
