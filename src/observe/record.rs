//! The record of one request.

use std::borrow::Cow;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use serde::Serialize;
use tokio::time::Instant;

use super::traces::Trace;
use super::{LimitHit, Observer};

/// Everything the decision log and the counters say about one request. Closed on drop.
pub struct Record {
    observer: Rc<Observer>,
    /// The endpoint's place in the configuration.
    endpoint: usize,
    arrived: SystemTime,
    started: Instant,
    /// Its trace, where it is sampled.
    trace: Option<Box<Trace>>,
    /// From its arrival to the end of its answer, once that has come.
    pub(super) total: Duration,
    pub(super) endpoint_id: Arc<str>,
    /// The client's address.
    pub(super) peer: IpAddr,
    /// The number of the operation in the table, if it is there.
    pub operation: Option<u16>,
    /// `kinesis:PutRecord`, once the target has been read.
    pub action: Option<Cow<'static, str>>,
    /// Who signed the request, as far as known.
    pub principal: LoggedPrincipal,
    /// The ARN that was decided, or `*`; the deciding one of several.
    pub resource: Option<String>,
    /// Every ARN that the request names, where it names several.
    pub resources: Vec<String>,
    /// What became of it.
    pub outcome: RequestOutcome,
    /// Which statement decided.
    pub decision_source: Option<DecisionSource>,
    /// What policies that are tried say, where it is something else.
    pub candidate: Option<(RequestOutcome, DecisionSource)>,
    /// Whether it is forwarded even if it is denied.
    pub audited: bool,
    /// The rule about requests a second that had no room for it.
    pub rate: Option<Arc<str>>,
    /// Why it was refused or failed, for people.
    pub reason: Option<String>,
    /// The kind of an upstream failure, by its place in the list of kinds.
    pub upstream_failure: Option<&'static str>,
    /// The request id that the client sees.
    pub request_id: Option<String>,
    /// The status that the client sees.
    pub status: u16,
    /// The status upstream answered.
    pub upstream_status: Option<u16>,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the answer's body that left.
    pub response_bytes: u64,
    /// Reading the caller and the resources, and deciding.
    pub decide: Option<Duration>,
    /// From forwarding to the head of the answer.
    pub upstream: Option<Duration>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    /// The policy allows it; it was forwarded.
    Allow,
    /// A statement denies it.
    ExplicitDeny,
    /// No statement allows it.
    ImplicitDeny,
    /// It was malformed, ambiguous or misdirected, and never decided.
    Refused,
    /// The client went away before it was decided.
    Cancelled,
}

/// Which policy and statement decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionSource {
    /// `endpoint` or `identity`.
    pub layer: &'static str,
    /// The policy's file, or `default-full-access`.
    pub policy: Arc<str>,
    /// The statement's Sid, or its number.
    pub statement: Option<String>,
    /// What this gate could not know and that decided.
    pub unknown: Option<String>,
}

/// Who signed a request, as far as known. Key ids name a key and are no secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LoggedPrincipal {
    /// The access key id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// The account, decoded from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The principal that the configuration names for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<Arc<str>>,
}

impl RequestOutcome {
    /// Labels, in the order of the variants.
    pub const NAMES: [&'static str; 5] = [
        "allow",
        "explicit-deny",
        "implicit-deny",
        "refused",
        "cancelled",
    ];

    /// The label.
    pub fn name(self) -> &'static str {
        match self {
            RequestOutcome::Allow => "allow",
            RequestOutcome::ExplicitDeny => "explicit-deny",
            RequestOutcome::ImplicitDeny => "implicit-deny",
            RequestOutcome::Refused => "refused",
            RequestOutcome::Cancelled => "cancelled",
        }
    }
}

impl Record {
    /// Opens the record of a request that has just arrived.
    pub fn open(
        observer: &Rc<Observer>,
        endpoint: usize,
        endpoint_id: &Arc<str>,
        peer: IpAddr,
    ) -> Record {
        observer.counters.requests_in_flight.add(1);
        Record {
            observer: Rc::clone(observer),
            endpoint,
            arrived: observer.now(),
            started: Instant::now(),
            trace: None,
            total: Duration::ZERO,
            endpoint_id: Arc::clone(endpoint_id),
            peer,
            operation: None,
            action: None,
            principal: LoggedPrincipal::default(),
            resource: None,
            resources: Vec::new(),
            outcome: RequestOutcome::Cancelled,
            decision_source: None,
            candidate: None,
            audited: false,
            rate: None,
            reason: None,
            upstream_failure: None,
            request_id: None,
            status: 0,
            upstream_status: None,
            request_bytes: 0,
            response_bytes: 0,
            decide: None,
            upstream: None,
        }
    }

    /// Begins its trace, or goes on with its caller's, if it is sampled.
    pub fn start_trace(&mut self, headers: &HeaderMap) {
        if let Some(spans) = &self.observer.spans {
            self.trace = spans.borrow().begin(headers);
        }
    }

    /// The client called it by the name `called`, which leads to `to`.
    pub fn set_server_names(&mut self, called: &str, to: &str) {
        if let Some(trace) = &mut self.trace {
            trace.set_server_names(called, to);
        }
    }

    /// Its answer's head has come, or failed to, since it was forwarded at `at`.
    pub fn set_upstream_time(&mut self, at: Instant) {
        self.upstream = Some(at.elapsed());
        if let Some(trace) = &mut self.trace {
            trace.set_forwarding_delay(at.saturating_duration_since(self.started));
        }
    }

    /// When the request arrived.
    pub fn arrival_time(&self) -> SystemTime {
        self.arrived
    }

    /// It came up against a limit.
    pub fn count_limit_hit(&self, limit: LimitHit) {
        self.observer.count_limit_hit(limit);
    }

    /// Whether it is denied, and forwarded all the same.
    pub(super) fn passes_denied(&self) -> bool {
        let denied = matches!(
            self.outcome,
            RequestOutcome::ExplicitDeny | RequestOutcome::ImplicitDeny
        );
        self.audited && denied
    }

    /// The time now.
    pub fn now(&self) -> SystemTime {
        (self.observer.clock)()
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.total = self.started.elapsed();
        let counters = &self.observer.counters;
        counters.requests_in_flight.sub(1);
        counters
            .requests(self.endpoint, self.operation, self.outcome)
            .add(1);
        if let Some(ruling) = &self.decision_source {
            let layer = usize::from(ruling.layer != "endpoint");
            counters.by_layer(layer, self.outcome).add(1);
            if let Some(statement) = &ruling.statement {
                counters.statements.add(&ruling.policy, statement);
            }
            if self.passes_denied() {
                counters.audited.at(self.endpoint).add(1);
            }
            if let Some((outcome, _)) = &self.candidate {
                match (self.outcome, outcome) {
                    (RequestOutcome::Allow, _) => counters.newly_denied.at(self.endpoint).add(1),
                    (_, RequestOutcome::Allow) => counters.newly_allowed.at(self.endpoint).add(1),
                    _ => {}
                }
            }
            if let Some(stream) = self.observer.streams.borrow_mut().place(self) {
                counters.by_stream(stream, self.outcome).add(1);
            }
        }
        counters.request_bytes.add(self.request_bytes);
        counters.response_bytes.add(self.response_bytes);
        counters.total.record(self.total);
        if let Some(took) = self.decide {
            counters.decide.record(took);
        }
        if let Some(took) = self.upstream {
            counters.upstream.record(took);
        }
        if let Some(kind) = self.upstream_failure {
            counters.upstream_failed(kind);
        }
        self.observer.log.borrow_mut().write(self, counters);
        if let Some(trace) = self.trace.take() {
            let observer = Rc::clone(&self.observer);
            if let Some(spans) = &observer.spans {
                spans.borrow_mut().close(trace, self);
            }
        }
    }
}
