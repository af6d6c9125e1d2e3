//! Traces: the spans that a collector receives; tracing changes no request and no response.

mod callers;
mod collector;
mod deliveries;
mod table;

use std::sync::Arc;

use kinesis_gate::sandbox::Authority;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;

use crate::support::raw::{Connection, Request};
use crate::support::{ACCOUNT, Behaviour, ENDPOINT, Gate, GateBuilder, HOST, Recorder, SECRET_KEY};

use collector::{ACCEPT, Collector, attribute};

const POLICY: &str = r#"{"Statement":[
    {"Sid":"Iterators","Effect":"Allow","Principal":"*","Action":"kinesis:GetShardIterator","Resource":"*"},
    {"Sid":"Orders","Effect":"Allow","Principal":"*",
     "Action":["kinesis:PutRecord","kinesis:GetRecords"],
     "Resource":"arn:aws:kinesis:us-east-1:123456789012:stream/orders"},
    {"Sid":"Never","Effect":"Deny","Principal":"*","Action":"kinesis:DeleteStream","Resource":"*"}]}"#;
const SAMPLE_ALL: &str = "sample = 1";

struct Fixture {
    authority: Arc<Authority>,
    recorder: Recorder,
    gate: Gate,
}

impl Fixture {
    fn new(traces: &str) -> Fixture {
        Fixture::with_upstream(traces, Behaviour::Respond)
    }

    fn with_upstream(traces: &str, behaviour: Behaviour) -> Fixture {
        let authority = Arc::new(Authority::create().unwrap());
        let recorder = Recorder::start(&authority, behaviour);
        let gate = GateBuilder::new(&authority, recorder.address())
            .endpoint(ENDPOINT, POLICY)
            .log(traces)
            .start();
        Fixture {
            authority,
            recorder,
            gate,
        }
    }

    fn send(&self, request: &Request) -> u16 {
        request.send(&self.authority, self.gate.address()).status
    }

    fn connect(&self) -> Connection {
        Connection::open(&self.authority, self.gate.address(), HOST)
    }

    /// Stops the gate, which then exports its last spans.
    fn drain(&mut self) {
        self.gate.drain().join().unwrap();
    }
}

fn put(stream: &str) -> Request {
    let body = format!(r#"{{"StreamName":"{stream}","PartitionKey":"p-key","Data":"cmVjb3Jk"}}"#);
    Request::new("PutRecord", body)
}

fn arn(stream: &str) -> String {
    format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/{stream}")
}

fn of_kind(spans: &[Span], kind: SpanKind) -> Vec<&Span> {
    let spans = spans.iter().filter(|span| span.kind == kind as i32);
    spans.collect()
}

fn is_error(span: &Span) -> bool {
    let status = span.status.as_ref();
    status.is_some_and(|status| status.code == StatusCode::Error as i32)
}

/// Asserts the attributes of a span; `None` for one that it must not have.
fn assert_attributes(span: &Span, expected: &[(&str, Option<&str>)]) {
    for (key, value) in expected {
        let found = attribute(&span.attributes, key);
        assert_eq!(found.as_deref(), *value, "{key} of {span:#?}");
    }
}

#[test]
fn each_request_has_its_spans() {
    let collector = Collector::start(ACCEPT);
    let mut fixture = Fixture::new(&collector.table(SAMPLE_ALL));
    assert_eq!(fixture.send(&put("orders")), 200);
    assert_eq!(fixture.send(&put("invoices")), 400);
    let delete = Request::new("DeleteStream", r#"{"StreamName":"orders"}"#);
    assert_eq!(fixture.send(&delete), 400);
    assert_eq!(fixture.send(&Request::new("PutRecord", "{")), 400);
    assert_eq!(fixture.send(&Request::new("MadeUp", "{}")), 400);
    let lines = fixture.gate.log(5);
    fixture.drain();

    let spans = collector.spans();
    let servers = of_kind(&spans, SpanKind::Server);
    assert_eq!((servers.len(), spans.len()), (5, 6));
    for (server, line) in servers.iter().zip(&lines) {
        let text = |name: &str| line[name].as_str();
        assert_attributes(
            server,
            &[
                ("rpc.system", Some("aws-api")),
                ("rpc.service", Some("Kinesis")),
                (
                    "rpc.method",
                    text("action").and_then(|action| action.strip_prefix("kinesis:")),
                ),
                ("aws.request_id", text("request_id")),
                ("client.address", Some("127.0.0.1")),
                ("server.address", Some(HOST)),
                (
                    "http.response.status_code",
                    Some(&line["status"].to_string()),
                ),
                (
                    "http.request.body.size",
                    Some(&line["request_bytes"].to_string()),
                ),
                (
                    "http.response.body.size",
                    Some(&line["response_bytes"].to_string()),
                ),
                ("kinesis_gate.account", Some(ACCOUNT)),
                (
                    "kinesis_gate.principal",
                    Some("arn:aws:iam::123456789012:user/producer"),
                ),
                ("kinesis_gate.endpoint", Some(ENDPOINT)),
                ("kinesis_gate.resource", text("resource")),
                ("kinesis_gate.decision", text("decision")),
                ("kinesis_gate.layer", text("layer")),
                ("kinesis_gate.policy", text("policy")),
                ("kinesis_gate.statement", text("statement")),
                ("kinesis_gate.reason", text("reason")),
                ("error.type", None),
            ],
        );
        assert!(!is_error(server), "a client's mistake is no error");
        let began = server.start_time_unix_nano;
        let millis = line["time"].as_str().unwrap().parse::<jiff::Timestamp>();
        assert_eq!(began / 1_000_000, millis.unwrap().as_millisecond() as u64);
        let micros = (server.end_time_unix_nano - began) / 1000;
        assert_eq!(micros, line["total_us"].as_u64().unwrap());
        assert_eq!((server.trace_id.len(), server.span_id.len()), (16, 8));
        assert_eq!((&*server.parent_span_id, server.flags), (&[][..], 0x101));
    }
    let names: Vec<&str> = servers.iter().map(|span| span.name.as_str()).collect();
    let put = "Kinesis.PutRecord";
    assert_eq!(names, [put, put, "Kinesis.DeleteStream", put, "Kinesis"]);
    let stream = |span: &Span| attribute(&span.attributes, "aws.kinesis.stream_name");
    let streams: Vec<_> = servers.iter().map(|span| stream(span)).collect();
    let orders = Some("orders".to_owned());
    let invoices = Some("invoices".to_owned());
    let expected = [orders.clone(), invoices, orders, None, None];
    assert_eq!(streams, expected);
    let decisions: Vec<_> = lines.iter().map(|line| &line["decision"]).collect();
    let (explicit, implicit) = ("explicit-deny", "implicit-deny");
    let expected = ["allow", implicit, explicit, "refused", implicit];
    assert_eq!(decisions, expected);

    let (server, client) = (servers[0], of_kind(&spans, SpanKind::Client)[0]);
    assert_eq!(client.parent_span_id, server.span_id);
    assert_eq!(client.trace_id, server.trace_id);
    assert_eq!(client.name, put);
    assert!(server.start_time_unix_nano <= client.start_time_unix_nano);
    assert!(client.end_time_unix_nano <= server.end_time_unix_nano);
    let micros = (client.end_time_unix_nano - client.start_time_unix_nano) / 1000;
    assert_eq!(micros, lines[0]["upstream_us"].as_u64().unwrap());
    let expected = [
        ("rpc.method", Some("PutRecord")),
        ("aws.request_id", Some("upstream-id")),
        ("aws.kinesis.stream_name", Some("orders")),
        ("http.response.status_code", Some("200")),
        ("server.address", Some(HOST)),
        ("client.address", None),
        ("error.type", None),
    ];
    assert_attributes(client, &expected);
    assert!(!is_error(client));

    let delivery = &collector.deliveries()[0];
    assert_eq!(delivery.path, "/v1/traces");
    assert_eq!(delivery.headers["content-type"], "application/x-protobuf");
    assert_eq!(delivery.headers["host"], collector.address().to_string());
    let resource = delivery.message.resource_spans[0].resource.as_ref();
    let named = |key| attribute(&resource.unwrap().attributes, key);
    assert_eq!(named("service.name").as_deref(), Some("kinesis-gate"));
    assert_eq!(
        named("service.version").as_deref(),
        Some(env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(named("service.instance.id").unwrap().len(), 36);
}

#[test]
fn the_span_of_a_request_with_only_a_token_names_the_tokens_stream() {
    const RESPONSE: &str = "HTTP/1.1 200 OK\r\nx-amzn-RequestId: upstream-id\r\n\
        Content-Type: application/x-amz-json-1.1\r\nContent-Length: 31\r\n\r\n\
        {\"ShardIterator\":\"token-12345\"}";
    let collector = Collector::start(ACCEPT);
    let mut fixture = Fixture::with_upstream(
        &collector.table(SAMPLE_ALL),
        Behaviour::RespondWith(RESPONSE),
    );
    let mut connection = fixture.connect();
    let iterator = |stream: &str| {
        let body = format!(
            r#"{{"StreamName":"{stream}","ShardId":"shardId-0","ShardIteratorType":"LATEST"}}"#
        );
        Request::new("GetShardIterator", body)
    };
    connection.write(&iterator("orders").bytes());
    assert_eq!(connection.response().status, 200);
    let records = |token: &str| {
        let body = format!(r#"{{"ShardIterator":"{token}"}}"#);
        Request::new("GetRecords", body)
    };
    connection.write(&records("token-12345").bytes());
    assert_eq!(connection.response().status, 200);
    connection.write(&records("token-67890").bytes());
    assert_eq!(connection.response().status, 400);
    fixture.drain();

    let spans = collector.spans();
    let servers = of_kind(&spans, SpanKind::Server);
    assert_eq!(of_kind(&spans, SpanKind::Client).len(), 2);
    let [_, known, unknown] = servers[..] else {
        panic!("{servers:#?}");
    };
    let orders = arn("orders");
    assert_attributes(
        known,
        &[
            ("rpc.method", Some("GetRecords")),
            ("aws.kinesis.stream_name", Some("orders")),
            ("kinesis_gate.resource", Some(&orders)),
            ("kinesis_gate.statement", Some("Orders")),
            ("kinesis_gate.decision", Some("allow")),
        ],
    );
    assert_attributes(unknown, &[("aws.kinesis.stream_name", None)]);
    for delivery in collector.deliveries() {
        assert!(
            !contains(&delivery.bytes, b"token-"),
            "a span holds a token"
        );
    }
}

#[test]
fn an_upstream_failure_is_an_error() {
    let collector = Collector::start(ACCEPT);
    let mut closing = Fixture::with_upstream(&collector.table(SAMPLE_ALL), Behaviour::Close);
    let status = closing.send(&put("orders"));
    assert!(status >= 500);
    closing.drain();
    const FAILURE: &str = "HTTP/1.1 500 Not Ok\r\nContent-Length: 2\r\n\r\n{}";
    let mut failing = Fixture::with_upstream(
        &collector.table(SAMPLE_ALL),
        Behaviour::RespondWith(FAILURE),
    );
    assert_eq!(failing.send(&put("orders")), 500);
    failing.drain();

    let spans = collector.spans();
    assert_eq!(spans.len(), 4);
    assert!(spans.iter().all(is_error));
    for (n, span) in spans.iter().enumerate() {
        let kind = if n < 2 { "broken" } else { "500" };
        assert_attributes(span, &[("error.type", Some(kind))]);
    }
    let text = status.to_string();
    assert_attributes(&spans[0], &[("http.response.status_code", Some(&text))]);
    assert_attributes(&spans[1], &[("http.response.status_code", None)]);
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn secrets_and_records_are_in_no_span() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "Bearer for-the-collector\n").unwrap();
    let headers = format!(
        "sample = 1\nheaders = {{ authorization = \"{}\" }}",
        token.display()
    );
    let collector = Collector::start(ACCEPT);
    let mut fixture = Fixture::new(&collector.table(&headers));
    let signed = put("orders").header("X-Amz-Security-Token", "session-token-of-the-client");
    let (_, authorization) = signed
        .headers
        .iter()
        .find(|(name, _)| name == "Authorization")
        .unwrap();
    let client_signature = authorization
        .rsplit_once("Signature=")
        .unwrap()
        .1
        .to_owned();
    assert_eq!(fixture.send(&signed), 200);
    // Malformed in ways that a reason might quote.
    for body in [
        "{\"Data\":\"cmVjb3Jk\",,",
        "{\"Data\":\"cmVjb3Jk\",\"Data\":\"cmVjb3Jk\"}",
    ] {
        let request = Request::new("PutRecord", body)
            .header("X-Amz-Security-Token", "session-token-of-the-client");
        assert_eq!(fixture.send(&request), 400);
    }
    fixture.drain();
    let deliveries = collector.deliveries();
    assert_eq!(collector.spans().len(), 4);
    for delivery in &deliveries {
        assert_eq!(
            delivery.headers["authorization"],
            "Bearer for-the-collector"
        );
        assert!(
            contains(&delivery.bytes, b"orders"),
            "the search finds what is there"
        );
        let secrets = [
            client_signature.as_str(),
            SECRET_KEY,
            "session-token",
            "cmVjb3Jk",
            "p-key",
            "for-the-collector",
            "AKIA",
        ];
        for secret in secrets {
            assert!(!contains(&delivery.bytes, secret.as_bytes()), "`{secret}`");
        }
    }
}

#[test]
fn values_that_a_client_makes_up_are_truncated() {
    let collector = Collector::start(ACCEPT);
    let mut fixture = Fixture::new(&collector.table(SAMPLE_ALL));
    let request = Request::new(&"M".repeat(30_000), "{}");
    assert_eq!(fixture.send(&request), 400);
    fixture.drain();
    let span = &collector.spans()[0];
    assert_eq!(span.name, "Kinesis");
    for attribute in &span.attributes {
        assert!(attribute.encoded_len() < 1100, "{}", attribute.key);
    }
}

/// Sends this many requests that are refused, and reads all responses.
fn send_refused(connection: &mut Connection, count: usize) {
    let request = Request::new("PutRecord", "{").bytes();
    let batch = 50;
    for _ in 0..count / batch {
        connection.write(&request.repeat(batch));
        let (mut bytes, mut seen) = (Vec::new(), 0);
        while seen < batch {
            assert!(connection.read_some(&mut bytes));
            seen = String::from_utf8_lossy(&bytes)
                .matches("HTTP/1.1 400")
                .count();
        }
    }
}
