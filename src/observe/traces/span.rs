//! From the record of a request to its spans, by OpenTelemetry's conventions for AWS' APIs,
//! <https://opentelemetry.io/docs/specs/semconv/cloud-providers/aws-sdk/>. What is the gate's own is
//! under `kinesis_gate.`, and named as in the decision log.

use std::time::{Duration, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, SpanFlags, Status};

use crate::kinesis::ACTION_NAMES;

use super::super::label_counters;
use super::Traced;

/// Whose spans they are.
pub(super) struct Origin {
    resource: Resource,
    scope: InstrumentationScope,
}

const SERVICE: &str = "Kinesis";

impl Origin {
    pub(super) fn new(service_name: String) -> Origin {
        let version = env!("CARGO_PKG_VERSION");
        // Tells replicas apart.
        let instance = uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes());
        let mut attributes = Attributes::default();
        attributes.text("service.name", service_name);
        attributes.text("service.version", version);
        attributes.text("service.instance.id", instance.into_uuid().to_string());
        Origin {
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

    /// The spans of these requests, as a collector takes them.
    pub(super) fn message(&self, batch: &[Traced]) -> ExportTraceServiceRequest {
        let spans = batch.iter().flat_map(|traced| {
            let server = server(traced);
            let client = client(traced, &server);
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

/// The request, from its head to the end of its answer.
fn server(traced: &Traced) -> Span {
    let mut attributes = called(traced, traced.status);
    let names = traced.trace.names.as_ref();
    attributes.optional("server.address", names.map(|(called, _)| &**called));
    attributes.text("client.address", traced.peer.to_string());
    attributes.optional("kinesis_gate.account", traced.caller.account.as_deref());
    attributes.optional("kinesis_gate.principal", traced.caller.arn.as_deref());
    attributes.text("kinesis_gate.endpoint", &*traced.endpoint);
    attributes.optional("kinesis_gate.resource", traced.resource.as_deref());
    attributes.text("kinesis_gate.decision", traced.outcome.name());
    if traced.audited {
        attributes.text("kinesis_gate.mode", "audit");
    }
    if let Some(ruling) = &traced.ruling {
        attributes.text("kinesis_gate.layer", ruling.layer);
        attributes.text("kinesis_gate.policy", &*ruling.policy);
        attributes.optional("kinesis_gate.statement", ruling.statement.as_deref());
        attributes.optional("kinesis_gate.unknown", ruling.unknown.as_deref());
    }
    let candidate = traced.candidate.map(|outcome| outcome.name());
    attributes.optional("kinesis_gate.candidate", candidate);
    attributes.optional("kinesis_gate.reason", traced.reason.as_deref());
    attributes.number("http.request.body.size", traced.request_bytes);
    attributes.number("http.response.body.size", traced.response_bytes);
    let failed = traced.status >= 500;
    let kind = traced.upstream_failure.map(str::to_owned);
    let kind = kind.unwrap_or_else(|| traced.status.to_string());
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
            (Duration::ZERO, traced.total),
            attributes,
        )
    }
}

/// Its way to Kinesis, from being forwarded to the head of the answer.
fn client(traced: &Traced, server: &Span) -> Option<Span> {
    let (after, took) = traced.trace.forwarded.zip(traced.upstream)?;
    let status = traced.upstream_status.unwrap_or(0);
    let mut attributes = called(traced, status);
    let names = traced.trace.names.as_ref();
    attributes.optional("server.address", names.map(|(_, to)| &**to));
    let failed = match (traced.upstream_failure, status) {
        (Some(kind), _) => Some(kind.to_owned()),
        (None, 400..) => Some(status.to_string()),
        (None, _) => None,
    };
    attributes.optional("error.type", failed.as_deref());
    Some(Span {
        parent_span_id: server.span_id.clone(),
        flags: SAMPLED | SpanFlags::ContextHasIsRemoteMask as u32,
        status: failed.map(|_| error()),
        ..span(traced, SpanKind::Client, (after, took), attributes)
    })
}

/// W3C's flag, in the lowest bits of a span's.
const SAMPLED: u32 = 1;

/// What both say of the call, and of the answer that one of them saw.
fn called(traced: &Traced, status: u16) -> Attributes {
    let mut attributes = Attributes::default();
    attributes.text("rpc.system", "aws-api");
    attributes.text("rpc.service", SERVICE);
    let action = traced.action.as_deref();
    let method = action.and_then(|action| action.split_once(':'));
    attributes.optional("rpc.method", method.map(|(_, method)| method));
    if status != 0 {
        attributes.number("http.response.status_code", status.into());
    }
    attributes.optional("aws.request_id", traced.request_id.as_deref());
    let stream = traced.resource.as_deref().and_then(label_counters::stream);
    let stream = stream.and_then(|arn| Some(arn.rsplit_once('/')?.1));
    // `*` stands for what is not known.
    attributes.optional("aws.kinesis.stream_name", stream.filter(|it| *it != "*"));
    attributes
}

fn span(
    traced: &Traced,
    kind: SpanKind,
    (after, took): (Duration, Duration),
    attributes: Attributes,
) -> Span {
    let arrived = traced.arrived.duration_since(UNIX_EPOCH);
    let began = arrived.unwrap_or_default().saturating_add(after);
    // A client can make up operations: a name is one of the table's, or the service's alone.
    let number = traced.operation.map(usize::from);
    let operation = number.and_then(|number| ACTION_NAMES.get(number));
    Span {
        trace_id: traced.trace.id.to_be_bytes().to_vec(),
        span_id: id(fastrand::u64(1..)),
        name: match operation {
            Some(operation) => format!("{SERVICE}.{operation}"),
            None => SERVICE.to_owned(),
        },
        kind: kind as i32,
        start_time_unix_nano: nanos(began),
        end_time_unix_nano: nanos(began.saturating_add(took)),
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

/// What a span says.
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
