//! The routes of the admin port: a response to each request.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
    HeaderValue, REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body_util::{Either, Full};
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::observe::Metrics;
use crate::shutdown::Drain;

use super::console::Console;
use super::control::{Control, Status};
use super::decisions::{EventStream, Query};
use super::guard::{Guard, Refusal};

/// A response with a whole body, or with an event stream.
pub(super) type AdminResponse = Response<Either<Full<Bytes>, EventStream>>;

/// Routes requests to responses.
pub(super) struct Router {
    metrics: Metrics,
    drain: Drain,
    control: Arc<dyn Control>,
    guard: Guard,
    console: Console,
    followers: Arc<Semaphore>,
}

/// The most clients that may follow decisions at once.
const MAX_FOLLOWERS: usize = 8;

impl Router {
    pub(super) fn new(
        metrics: Metrics,
        drain: Drain,
        control: Arc<dyn Control>,
        guard: Guard,
    ) -> Router {
        Router {
            metrics,
            drain,
            control,
            guard,
            console: Console::new(),
            followers: Arc::new(Semaphore::new(MAX_FOLLOWERS)),
        }
    }

    /// The response to a request. `has_certificate`: its connection has a verified certificate.
    pub(super) fn respond(&self, head: &Parts, has_certificate: bool) -> AdminResponse {
        let mut response = match self.guard.admit(head, has_certificate) {
            Ok(()) => self.route(head),
            Err(refusal) => refused(refusal),
        };
        if head.method != Method::GET {
            // The body of the request, if any, is not read.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        for (name, value) in SECURITY_HEADERS {
            let value = HeaderValue::from_static(value);
            response.headers_mut().entry(name).or_insert(value);
        }
        response
    }

    fn route(&self, head: &Parts) -> AdminResponse {
        match (&head.method, head.uri.path()) {
            (&Method::GET, "/") => self.console(),
            (&Method::GET, "/livez") => text(StatusCode::OK, "ok\n"),
            (&Method::GET, "/readyz") if self.drain.has_begun() => {
                text(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
            }
            (&Method::GET, "/readyz") => text(StatusCode::OK, "ok\n"),
            (&Method::GET, "/metrics") => match self.metrics.page() {
                Ok(page) => typed(OPENMETRICS, page),
                Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "no metrics\n"),
            },
            (&Method::GET, "/status") => self.status(),
            (&Method::GET, "/decisions") => self.decisions(head),
            (&Method::POST, "/reload") => match self.control.reload() {
                Ok(()) => text(StatusCode::OK, "reloaded\n"),
                Err(error) => text(StatusCode::CONFLICT, format!("{error}\n")),
            },
            (&Method::POST, "/drain") => {
                self.control.drain();
                text(StatusCode::ACCEPTED, "draining\n")
            }
            (_, "/reload" | "/drain") => text(StatusCode::METHOD_NOT_ALLOWED, "POST it\n"),
            (&Method::GET, _) => text(
                StatusCode::NOT_FOUND,
                "known here are /, /livez, /readyz, /metrics, /status, /decisions, and POST /reload and /drain\n",
            ),
            _ => text(
                StatusCode::METHOD_NOT_ALLOWED,
                "only GET is answered here\n",
            ),
        }
    }

    fn console(&self) -> AdminResponse {
        let mut response = typed("text/html; charset=utf-8", self.console.html.clone());
        if let Ok(policy) = HeaderValue::from_str(&self.console.content_security_policy) {
            let headers = response.headers_mut();
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        response
    }

    fn status(&self) -> AdminResponse {
        #[derive(Serialize)]
        struct Body {
            #[serde(flatten)]
            status: Status,
            ready: bool,
            /// How often each statement decided, by policy.
            decided: BTreeMap<String, BTreeMap<String, u64>>,
        }
        let body = Body {
            status: self.control.status(),
            ready: !self.drain.has_begun(),
            decided: self.metrics.statement_counts(),
        };
        match serde_json::to_vec(&body) {
            Ok(json) => typed("application/json", json),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "no status\n"),
        }
    }

    fn decisions(&self, head: &Parts) -> AdminResponse {
        let query = match Query::parse(head.uri.query().unwrap_or_default()) {
            Ok(query) => query,
            Err(error) => return text(StatusCode::BAD_REQUEST, format!("{error}\n")),
        };
        let recent = self.metrics.log.recent();
        let accepts = head.headers.get(ACCEPT);
        if !query.follows && accepts.is_none_or(|types| types != EVENT_STREAM) {
            return typed("application/x-ndjson", query.lines(recent));
        }
        match Arc::clone(&self.followers).try_acquire_owned() {
            Ok(permit) => {
                let events = EventStream::new(query, recent, permit);
                let mut response = Response::new(Either::Right(events));
                let events = HeaderValue::from_static(EVENT_STREAM);
                response.headers_mut().insert(CONTENT_TYPE, events);
                response
            }
            Err(_) => text(
                StatusCode::SERVICE_UNAVAILABLE,
                "as many follow already as may\n",
            ),
        }
    }
}

const EVENT_STREAM: &str = "text/event-stream";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// No other site may frame, store or use a response; no CORS header ever.
const SECURITY_HEADERS: [(HeaderName, &str); 6] = [
    (CACHE_CONTROL, "no-store"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

fn refused(refusal: Refusal) -> AdminResponse {
    match refusal {
        Refusal::Host => text(
            StatusCode::MISDIRECTED_REQUEST,
            "name this port by its address or as localhost\n",
        ),
        Refusal::Origin => text(StatusCode::FORBIDDEN, "a page of another origin asks\n"),
        Refusal::Header => text(
            StatusCode::FORBIDDEN,
            "send a header `x-kinesis-gate: 1` with it, which no form can\n",
        ),
        Refusal::Credentials => {
            let mut response = text(
                StatusCode::UNAUTHORIZED,
                "send the token of `admin.token-file`, `authorization: Bearer …`, or show a client certificate\n",
            );
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
            response
        }
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> AdminResponse {
    let mut response = typed("text/plain; charset=utf-8", body);
    *response.status_mut() = status;
    response
}

fn typed(content_type: &'static str, body: impl Into<Bytes>) -> AdminResponse {
    let mut response = Response::new(Either::Left(Full::new(body.into())));
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
