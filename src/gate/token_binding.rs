//! Token binding: a response that issues an opaque token or iterator binds it to its stream.
//!
//! The response streams through, except for its last bytes, which are held back until the whole
//! response has been read and its token bound. INVARIANT: no client has the whole of a response
//! whose token is not bound yet. A response that is ambiguous binds nothing, and streams through.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use crate::http::BodyError;
use crate::kinesis::{Scanner, Target};
use crate::observe::Observer;
use crate::tokens::{BindOutcome, PublishFuture, TokenStoreHandle};
use crate::upstream::ResponseBody;

use super::endpoints::TokenRule;
use super::evaluation::Evaluation;
use super::request::ParsedRequest;
use super::request_body::BodyReader;
use super::request_head::single_format;
use super::worker::Worker;

/// The token that the response to a request is expected to issue.
pub(super) struct ExpectedToken {
    rule: TokenRule,
    /// The ARN of the stream that the token will stand for.
    stream: Arc<str>,
}

/// A response body that is scanned for a token.
pub(super) struct TokenScanBody {
    body: ResponseBody,
    scanner: Scanner,
    expected: ExpectedToken,
    tokens: TokenStoreHandle,
    observer: Rc<Observer>,
    /// The chunk that was read last, never empty, and the frame behind it.
    held: Option<Bytes>,
    trailers: Option<Frame<Bytes>>,
    stage: Stage,
    /// Whether the upstream's body has ended.
    has_ended: bool,
}

enum Stage {
    Scanning,
    /// Waits until the binding is published to the other replicas.
    Publishing(PublishFuture),
    /// The scan is over: the held chunk leaves, and then the rest.
    Releasing,
}

impl ExpectedToken {
    /// The token to bind, if the token stands for one stream for certain.
    pub(super) fn of(
        request: &ParsedRequest<'_, '_>,
        reader: &BodyReader<'_>,
        evaluation: &Evaluation,
    ) -> Option<ExpectedToken> {
        let Target::Operation(operation) = request.head.target else {
            return None;
        };
        let rule = request.endpoint().token_rules.issued_by(operation)?;
        // A body that is still arriving may yet name another stream.
        if !reader.has_ended() {
            return None;
        }
        let stream = evaluation.resources().single_stream()?.into();
        Some(ExpectedToken { rule, stream })
    }

    /// The scanner for a response; `None` if the response issues no token, or if its headers do not
    /// say how to read it.
    pub(super) fn scanner(
        &self,
        worker: &Worker,
        response: &Response<ResponseBody>,
    ) -> Option<Scanner> {
        if response.status() != StatusCode::OK {
            return None;
        }
        let headers = response.headers();
        let format = match headers.contains_key(CONTENT_ENCODING) {
            false => single_format(headers),
            true => None,
        };
        if format.is_none() {
            worker.observer.counters.tokens_unread.increment();
        }
        Some(Scanner::for_response(format?, self.rule.member))
    }
}

impl TokenScanBody {
    pub(super) fn new(
        worker: &Worker,
        body: ResponseBody,
        scanner: Scanner,
        expected: ExpectedToken,
    ) -> TokenScanBody {
        TokenScanBody {
            body,
            scanner,
            expected,
            tokens: worker.tokens.clone(),
            observer: Rc::clone(&worker.observer),
            held: None,
            trailers: None,
            stage: Stage::Scanning,
            has_ended: false,
        }
    }

    /// The upstream's response body.
    pub(super) fn upstream(&self) -> &ResponseBody {
        &self.body
    }

    /// Scans a chunk and holds it back; returns the chunk before it.
    fn hold_back(&mut self, chunk: Bytes) -> Option<Bytes> {
        if self.scanner.push(&chunk).is_err() {
            self.give_up();
        }
        if chunk.is_empty() {
            None
        } else {
            self.held.replace(chunk)
        }
    }

    /// Binds nothing: the response is ambiguous.
    fn give_up(&mut self) {
        self.observer.counters.tokens_unread.increment();
        self.stage = Stage::Releasing;
    }

    /// Binds the token of a response that has ended.
    fn bind(&mut self) {
        self.stage = Stage::Releasing;
        if self.scanner.finish().is_err() {
            return self.give_up();
        }
        let Some(token) = self.scanner.members().next_token() else {
            return;
        };
        let ExpectedToken { rule, stream } = &self.expected;
        let now = self.observer.now();
        let token = self.tokens.hash_token(rule.taker.name, token);
        self.observer.counters.tokens_bound.increment();
        if self.tokens.bind(token, stream, now) == BindOutcome::Evicted {
            self.observer.counters.tokens_evicted.increment();
        }
        if let Some(publish) = self.tokens.publish(token, stream, now) {
            self.stage = Stage::Publishing(publish);
        }
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            match &mut self.stage {
                Stage::Scanning => match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                    Some(Ok(frame)) => {
                        let released = match frame.into_data() {
                            Ok(chunk) => self.hold_back(chunk),
                            Err(trailers) => {
                                self.trailers = Some(trailers);
                                None
                            }
                        };
                        self.has_ended = self.body.is_end_stream() || self.trailers.is_some();
                        if self.has_ended && matches!(self.stage, Stage::Scanning) {
                            self.bind();
                        }
                        if let Some(chunk) = released {
                            return Poll::Ready(Some(Ok(Frame::data(chunk))));
                        }
                    }
                    Some(Err(error)) => {
                        self.stage = Stage::Releasing;
                        self.has_ended = true;
                        self.held = None;
                        return Poll::Ready(Some(Err(error)));
                    }
                    None => {
                        self.has_ended = true;
                        self.bind();
                    }
                },
                Stage::Publishing(publish) => {
                    if ready!(publish.as_mut().poll(cx)).is_err() {
                        self.observer.counters.token_store_failures.increment();
                    }
                    self.stage = Stage::Releasing;
                }
                Stage::Releasing => {
                    let held = self.held.take().map(Frame::data);
                    return match held.or_else(|| self.trailers.take()) {
                        Some(frame) => Poll::Ready(Some(Ok(frame))),
                        None if self.has_ended => Poll::Ready(None),
                        None => Pin::new(&mut self.body).poll_frame(cx),
                    };
                }
            }
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        let has_ended = self.has_ended || self.body.is_end_stream();
        has_ended && self.held.is_none() && self.trailers.is_none()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let held = self.held.as_ref().map_or(0, Bytes::len) as u64;
        let rest = self.body.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint.set_lower(rest.lower().saturating_add(held));
        hint
    }
}
