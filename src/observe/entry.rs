//! An entry of the decision log (the access log): the facts about one request.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::labels::RequestOutcome;

/// The facts about one request for the decision log, the metrics and the traces.
pub struct LogEntry {
    pub(super) arrival_time: SystemTime,
    /// The time from the request's arrival to the end of its response; set when the record closes.
    pub(super) total_time: Duration,
    pub(super) endpoint_id: Arc<str>,
    /// The client's address.
    pub(super) peer: IpAddr,
    /// The operation's index in the operation table, if the table has the operation.
    pub operation: Option<u16>,
    /// The IAM action, such as `kinesis:PutRecord`, once the target has been read.
    pub action: Option<Cow<'static, str>>,
    /// The principal that signed the request, as far as it is known.
    pub principal: LoggedPrincipal,
    /// The ARN that the decision is about, or `*`; of several ARNs, the one that made the decision.
    pub resource: Option<String>,
    /// All ARNs that the request names, if it names several.
    pub resources: Vec<String>,
    /// The outcome of the request.
    pub outcome: RequestOutcome,
    /// The policy and the statement that made the decision.
    pub decision_source: Option<DecisionSource>,
    /// The decision of the candidate policies, if it differs.
    pub candidate: Option<(RequestOutcome, DecisionSource)>,
    /// Whether the endpoint is in audit mode: a denied request is forwarded.
    pub is_audited: bool,
    /// The rate limit rule that throttled the request.
    pub rate_limit_rule: Option<Arc<str>>,
    /// The reason for a refusal or failure, for people.
    pub reason: Option<String>,
    /// The kind of the upstream failure.
    pub upstream_failure: Option<&'static str>,
    /// The request id that the client sees.
    pub request_id: Option<String>,
    /// The status that the client sees.
    pub status: u16,
    /// The status of the upstream's response.
    pub upstream_status: Option<u16>,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the response's body that were sent.
    pub response_bytes: u64,
    /// The time spent on reading the caller and the resources, and on the decision.
    pub decision_time: Option<Duration>,
    /// The time from forwarding to the head of the response.
    pub upstream_time: Option<Duration>,
}

/// The policy and the statement that made a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionSource {
    /// `endpoint` or `identity`.
    pub layer: &'static str,
    /// The policy's file, or `default-full-access`.
    pub policy: Arc<str>,
    /// The statement's Sid, or its number.
    pub statement: Option<String>,
    /// The unknown fact that made the decision: the principal, the resource or a condition key.
    pub unknown: Option<String>,
}

/// The principal that signed a request, as far as it is known. An access key id names a key and is
/// not a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LoggedPrincipal {
    /// The access key id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// The account, decoded from the access key id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The principal's ARN from the identity map.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<Arc<str>>,
}

impl LogEntry {
    /// A new entry, with only the connection's facts.
    pub(super) fn new(arrival_time: SystemTime, endpoint_id: Arc<str>, peer: IpAddr) -> LogEntry {
        LogEntry {
            arrival_time,
            total_time: Duration::ZERO,
            endpoint_id,
            peer,
            operation: None,
            action: None,
            principal: LoggedPrincipal::default(),
            resource: None,
            resources: Vec::new(),
            outcome: RequestOutcome::Cancelled,
            decision_source: None,
            candidate: None,
            is_audited: false,
            rate_limit_rule: None,
            reason: None,
            upstream_failure: None,
            request_id: None,
            status: 0,
            upstream_status: None,
            request_bytes: 0,
            response_bytes: 0,
            decision_time: None,
            upstream_time: None,
        }
    }

    /// When the request arrived.
    pub fn arrival_time(&self) -> SystemTime {
        self.arrival_time
    }

    /// Whether the request was denied and, in audit mode, forwarded.
    pub(super) fn is_audited_denial(&self) -> bool {
        use RequestOutcome::{ExplicitDeny, ImplicitDeny};
        self.is_audited && matches!(self.outcome, ExplicitDeny | ImplicitDeny)
    }
}
