//! What is answered to which request.

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

use super::decisions::{Events, Query};
use super::guard::Refusal;
use super::page::Page;
use super::{Admin, Status};

/// The body of an answer: at hand, or as it comes.
pub(super) type Answer = Response<Either<Full<Bytes>, Events>>;

/// The admin port with what it prepared.
pub(super) struct Answering {
    admin: Admin,
    page: Page,
    followers: Arc<Semaphore>,
}

/// Readers that follow decisions at once.
const FOLLOWERS: usize = 8;

impl Answering {
    pub(super) fn new(admin: Admin) -> Answering {
        Answering {
            admin,
            page: Page::new(),
            followers: Arc::new(Semaphore::new(FOLLOWERS)),
        }
    }

    pub(super) fn answer(&self, head: &Parts, certified: bool) -> Answer {
        let mut answer = match self.admin.access.guard.admit(head, certified) {
            Ok(()) => self.route(head),
            Err(refusal) => refused(refusal),
        };
        if head.method != Method::GET {
            // Whatever body it may have is not read.
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(CONNECTION, close);
        }
        for (name, value) in ALWAYS {
            let value = HeaderValue::from_static(value);
            answer.headers_mut().entry(name).or_insert(value);
        }
        answer
    }

    fn route(&self, head: &Parts) -> Answer {
        match (&head.method, head.uri.path()) {
            (&Method::GET, "/") => self.page(),
            (&Method::GET, "/livez") => text(StatusCode::OK, "ok\n"),
            (&Method::GET, "/readyz") if self.admin.draining.has_begun() => {
                text(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
            }
            (&Method::GET, "/readyz") => text(StatusCode::OK, "ok\n"),
            (&Method::GET, "/metrics") => match self.admin.metrics.page() {
                Ok(page) => typed(OPENMETRICS, page),
                Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "no metrics\n"),
            },
            (&Method::GET, "/status") => self.status(),
            (&Method::GET, "/decisions") => self.decisions(head),
            (&Method::POST, "/reload") => match self.admin.control.reload() {
                Ok(()) => text(StatusCode::OK, "reloaded\n"),
                Err(error) => text(StatusCode::CONFLICT, format!("{error}\n")),
            },
            (&Method::POST, "/drain") => {
                self.admin.control.drain();
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

    fn page(&self) -> Answer {
        let mut answer = typed("text/html; charset=utf-8", self.page.html.clone());
        if let Ok(policy) = HeaderValue::from_str(&self.page.policy) {
            answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        }
        answer
    }

    fn status(&self) -> Answer {
        #[derive(Serialize)]
        struct Whole {
            #[serde(flatten)]
            status: Status,
            ready: bool,
            /// How often each statement decided, by policy.
            decided: std::collections::BTreeMap<String, std::collections::BTreeMap<String, u64>>,
        }
        let whole = Whole {
            status: self.admin.control.status(),
            ready: !self.admin.draining.has_begun(),
            decided: self.admin.metrics.decided(),
        };
        match serde_json::to_vec(&whole) {
            Ok(json) => typed("application/json", json),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "no status\n"),
        }
    }

    fn decisions(&self, head: &Parts) -> Answer {
        let query = match Query::parse(head.uri.query().unwrap_or_default()) {
            Ok(query) => query,
            Err(error) => return text(StatusCode::BAD_REQUEST, format!("{error}\n")),
        };
        let recent = self.admin.metrics.log.recent();
        let accepts = head.headers.get(ACCEPT);
        if !query.follow && accepts.is_none_or(|types| types != EVENTS) {
            return typed("application/x-ndjson", query.lines(recent));
        }
        match Arc::clone(&self.followers).try_acquire_owned() {
            Ok(permit) => {
                let events = Events::new(query, recent, permit);
                let mut answer = Response::new(Either::Right(events));
                let events = HeaderValue::from_static(EVENTS);
                answer.headers_mut().insert(CONTENT_TYPE, events);
                answer
            }
            Err(_) => text(
                StatusCode::SERVICE_UNAVAILABLE,
                "as many follow already as may\n",
            ),
        }
    }
}

const EVENTS: &str = "text/event-stream";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// No page of anywhere else may show, keep or use what is answered; no CORS header ever.
const ALWAYS: [(HeaderName, &str); 6] = [
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

fn refused(refusal: Refusal) -> Answer {
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
            let mut answer = text(
                StatusCode::UNAUTHORIZED,
                "send the token of `admin.token-file`, `authorization: Bearer …`, or show a client certificate\n",
            );
            let bearer = HeaderValue::from_static("Bearer");
            answer.headers_mut().insert(WWW_AUTHENTICATE, bearer);
            answer
        }
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = typed("text/plain; charset=utf-8", body);
    *answer.status_mut() = status;
    answer
}

fn typed(content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(body.into())));
    let content_type = HeaderValue::from_static(content_type);
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}
