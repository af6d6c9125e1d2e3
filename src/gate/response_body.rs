//! The response body, which carries the record of its request until it ends.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use crate::http::{BodyError, MessageBody};
use crate::observe::{LimitHit, Record};
use crate::upstream;

use super::event_stream::{EventStreamBody, ReloadCheck};
use super::token_binding::{ExpectedToken, TokenScanBody};
use super::worker::Worker;

/// A response body and its record. The record closes when the body has ended or is dropped.
pub struct RecordedBody {
    body: ResponseBody,
    record: Record,
}

/// A response body on its way to the client.
pub(super) enum ResponseBody {
    /// From the upstream, unread.
    Upstream(upstream::ResponseBody),
    /// Scanned for a token.
    TokenScan(Box<TokenScanBody>),
    /// An event stream, as long as reloads allow it.
    EventStream(Box<EventStreamBody>),
    /// The gate's own.
    Local(Full<Bytes>),
}

/// What the gate does with the response to a request.
pub(super) enum ResponsePlan {
    /// It streams the response through.
    Stream,
    /// It binds the token that the response issues.
    BindToken(ExpectedToken),
    /// It evaluates the request again after each reload.
    CheckReloads(Box<ReloadCheck>),
}

impl ResponsePlan {
    /// Puts the plan into effect.
    pub(super) fn apply(
        self,
        worker: &Worker,
        response: Response<upstream::ResponseBody>,
    ) -> Response<ResponseBody> {
        let expected = match self {
            ResponsePlan::Stream => return response.map(ResponseBody::Upstream),
            ResponsePlan::CheckReloads(check) => {
                let body = |body| EventStreamBody::new(body, check);
                return response.map(|it| ResponseBody::EventStream(Box::new(body(it))));
            }
            ResponsePlan::BindToken(expected) => expected,
        };
        match expected.scanner(worker, &response) {
            Some(scanner) => response.map(|body| {
                let body = TokenScanBody::new(worker, body, scanner, expected);
                ResponseBody::TokenScan(Box::new(body))
            }),
            None => response.map(ResponseBody::Upstream),
        }
    }
}

impl RecordedBody {
    pub(super) fn new(body: ResponseBody, record: Record) -> RecordedBody {
        RecordedBody { body, record }
    }
}

impl Body for RecordedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let RecordedBody { body, record } = &mut *self;
        let polled = match body {
            ResponseBody::Upstream(body) => Pin::new(body).poll_frame(cx),
            ResponseBody::TokenScan(body) => body.poll_frame(cx),
            ResponseBody::EventStream(body) => body.poll_frame(cx),
            ResponseBody::Local(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|infallible| match infallible {}),
        };
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                record.response_bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
            }
            Poll::Ready(Some(Err(error))) => {
                record.reason = Some(match error {
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
            ResponseBody::Upstream(body) => body.is_end_stream(),
            ResponseBody::TokenScan(body) => body.is_end_stream(),
            ResponseBody::EventStream(body) => body.upstream().is_end_stream(),
            ResponseBody::Local(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            ResponseBody::Upstream(body) => body.size_hint(),
            ResponseBody::TokenScan(body) => body.size_hint(),
            ResponseBody::EventStream(body) => body.upstream().size_hint(),
            ResponseBody::Local(body) => body.size_hint(),
        }
    }
}

impl MessageBody for RecordedBody {
    fn raw_head(&self) -> Option<&Bytes> {
        match &self.body {
            ResponseBody::Upstream(body) => body.raw_head(),
            ResponseBody::TokenScan(body) => body.upstream().raw_head(),
            ResponseBody::EventStream(body) => body.upstream().raw_head(),
            ResponseBody::Local(_) => None,
        }
    }

    fn on_write_timeout(&mut self) {
        self.record.count_limit_hit(LimitHit::BodyTime);
        self.record.reason = Some("the client takes no more of the answer".to_owned());
    }
}
