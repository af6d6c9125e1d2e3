//! The spans of a request, by OpenTelemetry's conventions for AWS APIs,
//! <https://opentelemetry.io/docs/specs/semconv/cloud-providers/aws-sdk/>. The gate's own
//! attributes begin with `kinesis_gate.` and have the names of the decision log.

use std::time::{Duration, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, SpanFlags, Status};

use crate::kinesis::ACTION_NAMES;

use super::super::entry::LogEntry;
use super::super::label_counters;
use super::buffer::TracedRequest;

/// The resource and the scope that every span belongs to.
pub(super) struct SpanSource {
    resource: Resource,
    scope: InstrumentationScope,
}

const SERVICE: &str = "Kinesis";

impl SpanSource {
    pub(super) fn new(service_name: String) -> SpanSource {
        let version = env!("CARGO_PKG_VERSION");
        // Distinguishes replicas.
        let instance = uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes());
        let mut attributes = Attributes::default();
        attributes.text("service.name", service_name);
        attributes.text("service.version", version);
        attributes.text("service.instance.id", instance.into_uuid().to_string());
        SpanSource {
            resource: Resource {
                attributes: attributes.0,
                ..Resource::default()
            },
            scope: InstrumentationScope {
                name: env!("CARGO_PKG_NAME").to_owned(),
                version: version.to_owned(),
                ..InstrumentationScope::default()
            },
        }
    }

    /// The export request for the spans of these requests.
    pub(super) fn message(&self, batch: &[TracedRequest]) -> ExportTraceServiceRequest {
        let spans = batch.iter().flat_map(|traced| {
            let server = server_span(traced);
            let client = client_span(traced, &server);
            [Some(server), client].into_iter().flatten()
        });
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource.clone()),
                scope_spans: vec![ScopeSpans {
                    scope: Some(self.scope.clone()),
                    spans: spans.collect(),
                    schema_url: String::new(),
                }],
                schema_url: String::new(),
            }],
        }
    }
}

/// The span of the request, from its head to the end of its response.
fn server_span(traced: &TracedRequest) -> Span {
    let entry = &traced.entry;
    let mut attributes = call_attributes(entry, entry.status);
    let names = traced.trace.names.as_ref();
    attributes.optional("server.address", names.map(|(called, _)| &**called));
    attributes.text("client.address", entry.peer.to_string());
    attributes.optional("kinesis_gate.account", entry.principal.account.as_deref());
    attributes.optional("kinesis_gate.principal", entry.principal.arn.as_deref());
    attributes.text("kinesis_gate.endpoint", &*entry.endpoint_id);
    attributes.optional("kinesis_gate.resource", entry.resource.as_deref());
    attributes.text("kinesis_gate.decision", entry.outcome.name());
    if entry.is_audited_denial() {
        attributes.text("kinesis_gate.mode", "audit");
    }
    if let Some(source) = &entry.decision_source {
        attributes.text("kinesis_gate.layer", source.layer);
        attributes.text("kinesis_gate.policy", &*source.policy);
        attributes.optional("kinesis_gate.statement", source.statement.as_deref());
        attributes.optional("kinesis_gate.unknown", source.unknown.as_deref());
    }
    let candidate = entry.candidate.as_ref();
    let candidate = candidate.map(|(outcome, _)| outcome.name());
    attributes.optional("kinesis_gate.candidate", candidate);
    attributes.optional("kinesis_gate.reason", entry.reason.as_deref());
    attributes.number("http.request.body.size", entry.request_bytes);
    attributes.number("http.response.body.size", entry.response_bytes);
    let failed = entry.status >= 500;
    let kind = entry.upstream_failure.map(str::to_owned);
    let kind = kind.unwrap_or_else(|| entry.status.to_string());
    attributes.optional("error.type", failed.then_some(kind.as_str()));
    let context = match traced.trace.parent {
        Some(_) => SpanFlags::ContextHasIsRemoteMask as u32 | SpanFlags::ContextIsRemoteMask as u32,
        None => SpanFlags::ContextHasIsRemoteMask as u32,
    };
    Span {
        parent_span_id: traced.trace.parent.map(id).unwrap_or_default(),
        flags: SAMPLED | context,
        status: failed.then(error),
        ..span(
            traced,
            SpanKind::Server,
            (Duration::ZERO, entry.total_time),
            attributes,
        )
    }
}

/// The span of the upstream call, from forwarding to the head of the response.
fn client_span(traced: &TracedRequest, server: &Span) -> Option<Span> {
    let entry = &traced.entry;
    let (delay, duration) = traced.trace.forwarding_delay.zip(entry.upstream_time)?;
    let status = entry.upstream_status.unwrap_or(0);
    let mut attributes = call_attributes(entry, status);
    let names = traced.trace.names.as_ref();
    attributes.optional("server.address", names.map(|(_, to)| &**to));
    let failed = match (entry.upstream_failure, status) {
        (Some(kind), _) => Some(kind.to_owned()),
        (None, 400..) => Some(status.to_string()),
        (None, _) => None,
    };
    attributes.optional("error.type", failed.as_deref());
    Some(Span {
        parent_span_id: server.span_id.clone(),
        flags: SAMPLED | SpanFlags::ContextHasIsRemoteMask as u32,
        status: failed.map(|_| error()),
        ..span(traced, SpanKind::Client, (delay, duration), attributes)
    })
}

/// The sampled flag of W3C Trace Context, in the lowest bits of a span's flags.
const SAMPLED: u32 = 1;

/// The attributes of both spans. `status` is that of the response which the span observes.
fn call_attributes(entry: &LogEntry, status: u16) -> Attributes {
    let mut attributes = Attributes::default();
    attributes.text("rpc.system", "aws-api");
    attributes.text("rpc.service", SERVICE);
    let action = entry.action.as_deref();
    let method = action.and_then(|action| action.split_once(':'));
    attributes.optional("rpc.method", method.map(|(_, method)| method));
    if status != 0 {
        attributes.number("http.response.status_code", status.into());
    }
    attributes.optional("aws.request_id", entry.request_id.as_deref());
    let stream = entry.resource.as_deref().and_then(label_counters::stream);
    let stream = stream.and_then(|arn| Some(arn.rsplit_once('/')?.1));
    // `*` stands for an unknown name.
    attributes.optional("aws.kinesis.stream_name", stream.filter(|it| *it != "*"));
    attributes
}

fn span(
    traced: &TracedRequest,
    kind: SpanKind,
    (delay, duration): (Duration, Duration),
    attributes: Attributes,
) -> Span {
    let arrival = traced.entry.arrival_time.duration_since(UNIX_EPOCH);
    let start = arrival.unwrap_or_default().saturating_add(delay);
    // A client can invent operations: the span has a name from the table, or only the service's.
    let number = traced.entry.operation.map(usize::from);
    let operation = number.and_then(|number| ACTION_NAMES.get(number));
    Span {
        trace_id: traced.trace.id.to_be_bytes().to_vec(),
        span_id: id(fastrand::u64(1..)),
        name: match operation {
            Some(operation) => format!("{SERVICE}.{operation}"),
            None => SERVICE.to_owned(),
        },
        kind: kind as i32,
        start_time_unix_nano: nanos(start),
        end_time_unix_nano: nanos(start.saturating_add(duration)),
        attributes: attributes.0,
        ..Span::default()
    }
}

fn id(id: u64) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

fn error() -> Status {
    Status {
        code: StatusCode::Error as i32,
        message: String::new(),
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The attributes of a span or a resource.
#[derive(Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn text(&mut self, key: &str, value: impl Into<String>) {
        self.add(key, Value::StringValue(value.into()));
    }

    fn optional(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    fn number(&mut self, key: &str, value: u64) {
        self.add(
            key,
            Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)),
        );
    }

    fn add(&mut self, key: &str, value: Value) {
        self.0.push(KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        });
    }
}
