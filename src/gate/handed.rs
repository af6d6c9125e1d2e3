//! Answers that hand out an opaque token.
//!
//! Such an answer streams like any other, but for its last piece: that is held back until the whole
//! answer has been read and its token bound. INVARIANT: no client has the whole of an answer whose
//! token is not bound yet. What cannot be read in one way only binds nothing, and is passed on.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use crate::http::{BodyError, MessageBody};
use crate::kinesis::{Scanner, Target};
use crate::observe::Observer;
use crate::tokens::{BindOutcome, PublishFuture, TokenStoreHandle};
use crate::upstream::ResponseBody;

use super::asked::Asked;
use super::body::Reading;
use super::decide::Ruled;
use super::site::TokenRule;
use super::subscription::Events;
use super::{Worker, head};

/// A token that the answer to a request will hand out.
pub(super) struct Expected {
    handed: TokenRule,
    /// The ARN of the stream that it will stand for.
    stream: Arc<str>,
}

/// An answer on its way to the client.
#[expect(
    clippy::large_enum_variant,
    reason = "most answers are unread; a box would be an allocation for each"
)]
pub(super) enum Passing {
    /// As it comes.
    Unread(ResponseBody),
    /// Read on its way, with its last piece held back.
    Watched(Box<Watched>),
    /// An event stream, as long as it is allowed.
    Judged(Box<Events>),
}

/// An answer that is read on its way.
pub(super) struct Watched {
    body: ResponseBody,
    scanner: Scanner,
    expected: Expected,
    tokens: TokenStoreHandle,
    observer: Rc<Observer>,
    /// The piece that was read last, never an empty one, and what follows it.
    held: Option<Bytes>,
    trailers: Option<Frame<Bytes>>,
    stage: Stage,
    /// Nothing more comes from upstream.
    ended: bool,
}

enum Stage {
    Reading,
    /// The other replicas have to know of the binding first.
    Publishing(PublishFuture),
    /// Nothing more to be read: what is held leaves, and what may follow.
    Passing,
}

/// The token that the answer will hand out, if it has to be known and is one stream's for sure.
pub(super) fn expected(
    asked: &Asked<'_>,
    reading: &Reading<'_>,
    ruled: &Ruled,
) -> Option<Expected> {
    let Target::Operation(operation) = asked.head.target else {
        return None;
    };
    let handed = asked.endpoint().token_rules.handed_out_by(operation)?;
    // A body that is still arriving may name another stream yet.
    if !reading.has_ended() {
        return None;
    }
    Some(Expected {
        handed,
        stream: ruled.stream()?.into(),
    })
}

/// The answer, watched if a token is expected in it.
pub(super) fn pass(
    worker: &Worker,
    answer: Response<ResponseBody>,
    expected: Option<Expected>,
) -> Response<Passing> {
    let (Some(expected), StatusCode::OK) = (expected, answer.status()) else {
        return answer.map(Passing::Unread);
    };
    let Some(scanner) = scanner(answer.headers(), expected.handed.member) else {
        worker.observer.counters.tokens_unread.increment();
        return answer.map(Passing::Unread);
    };
    answer.map(|body| {
        Passing::Watched(Box::new(Watched {
            body,
            scanner,
            expected,
            tokens: worker.tokens.clone(),
            observer: Rc::clone(&worker.observer),
            held: None,
            trailers: None,
            stage: Stage::Reading,
            ended: false,
        }))
    })
}

/// A reader of an answer with these headers; none where they do not tell how to read it.
fn scanner(headers: &HeaderMap, member: &'static str) -> Option<Scanner> {
    if headers.contains_key(CONTENT_ENCODING) {
        return None;
    }
    Some(Scanner::for_response(head::only_format(headers)?, member))
}

impl Watched {
    /// Reads the next piece; the one before it may leave.
    fn take(&mut self, chunk: Bytes) -> Option<Bytes> {
        if self.scanner.push(&chunk).is_err() {
            self.unread();
        }
        if chunk.is_empty() {
            None
        } else {
            self.held.replace(chunk)
        }
    }

    fn unread(&mut self) {
        self.observer.counters.tokens_unread.increment();
        self.stage = Stage::Passing;
    }

    /// Binds the token of an answer that has ended.
    fn bind(&mut self) {
        self.stage = Stage::Passing;
        if self.scanner.finish().is_err() {
            return self.unread();
        }
        let Some(token) = self.scanner.members().next_token() else {
            return;
        };
        let Expected { handed, stream } = &self.expected;
        let now = self.observer.now();
        let token = self.tokens.hash_token(handed.taker.name, token);
        self.observer.counters.tokens_bound.increment();
        if self.tokens.bind(token, stream, now) == BindOutcome::Evicted {
            self.observer.counters.tokens_evicted.increment();
        }
        if let Some(publish) = self.tokens.publish(token, stream, now) {
            self.stage = Stage::Publishing(publish);
        }
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            match &mut self.stage {
                Stage::Reading => match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                    Some(Ok(frame)) => {
                        let passed = match frame.into_data() {
                            Ok(chunk) => self.take(chunk),
                            Err(trailers) => {
                                self.trailers = Some(trailers);
                                None
                            }
                        };
                        self.ended = self.body.is_end_stream() || self.trailers.is_some();
                        if self.ended && matches!(self.stage, Stage::Reading) {
                            self.bind();
                        }
                        if let Some(passed) = passed {
                            return Poll::Ready(Some(Ok(Frame::data(passed))));
                        }
                    }
                    Some(Err(error)) => {
                        self.stage = Stage::Passing;
                        self.ended = true;
                        self.held = None;
                        return Poll::Ready(Some(Err(error)));
                    }
                    None => {
                        self.ended = true;
                        self.bind();
                    }
                },
                Stage::Publishing(publish) => {
                    if ready!(publish.as_mut().poll(cx)).is_err() {
                        self.observer.counters.token_store_failures.increment();
                    }
                    self.stage = Stage::Passing;
                }
                Stage::Passing => {
                    let held = self.held.take().map(Frame::data);
                    return match held.or_else(|| self.trailers.take()) {
                        Some(frame) => Poll::Ready(Some(Ok(frame))),
                        None if self.ended => Poll::Ready(None),
                        None => Pin::new(&mut self.body).poll_frame(cx),
                    };
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let ended = self.ended || self.body.is_end_stream();
        ended && self.held.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.held.as_ref().map_or(0, Bytes::len) as u64;
        let left = self.body.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = left.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint.set_lower(left.lower().saturating_add(held));
        hint
    }
}

impl Body for Passing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Passing::Unread(body) => Pin::new(body).poll_frame(cx),
            Passing::Watched(watched) => watched.poll_frame(cx),
            Passing::Judged(events) => events.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Passing::Unread(body) => body.is_end_stream(),
            Passing::Watched(watched) => watched.is_end_stream(),
            Passing::Judged(events) => events.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Passing::Unread(body) => body.size_hint(),
            Passing::Watched(watched) => watched.size_hint(),
            Passing::Judged(events) => events.body.size_hint(),
        }
    }
}

impl MessageBody for Passing {
    fn raw_head(&self) -> Option<&Bytes> {
        match self {
            Passing::Unread(body) => body.raw_head(),
            Passing::Watched(watched) => watched.body.raw_head(),
            Passing::Judged(events) => events.body.raw_head(),
        }
    }
}
