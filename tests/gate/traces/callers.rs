//! Trace context of callers (`traceparent`, `X-Amzn-Trace-Id`): spans continue the context, and
//! requests keep it unchanged.

use std::collections::HashSet;
use std::sync::Arc;

use kinesis_gate::sandbox::Authority;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::support::raw::Request;
use crate::support::{GateBuilder, HOST, Recorder, http2, signature};

use super::collector::{ACCEPT, Collector};
use super::{Fixture, SAMPLE_ALL, of_kind, put, send_refused};

/// A trace and a span of a caller.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// A request's headers, and the trace and the parent of its span.
type Case<'a> = (Vec<(&'static str, String)>, &'a str, &'a str);

fn w3c(flags: &str) -> (&'static str, String) {
    ("traceparent", format!("00-{TRACE}-{SPAN}-{flags}"))
}

fn x_ray(rest: &str) -> (&'static str, String) {
    let (time, random) = TRACE.split_at(8);
    ("X-Amzn-Trace-Id", format!("Root=1-{time}-{random}{rest}"))
}

fn with(headers: &[(&str, String)]) -> Request {
    let add = |request: Request, (name, value): &(&str, String)| request.header(name, value);
    headers.iter().fold(put("orders"), add)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_callers_trace_is_continued_and_its_request_unchanged() {
    let known = format!(";Parent={SPAN};Sampled=1");
    let all = vec![
        w3c("00"),
        x_ray(";Sampled=0"),
        ("tracestate", "a=b".to_owned()),
    ];
    let malformed = ("traceparent", format!("00-{TRACE}-{SPAN}-01-"));
    let cases: [Case<'_>; 7] = [
        (vec![w3c("01")], TRACE, SPAN),
        (vec![x_ray(&known)], TRACE, SPAN),
        (vec![x_ray("")], TRACE, ""),
        (all, TRACE, SPAN),
        (vec![malformed], "", ""),
        (vec![w3c("01"), w3c("01")], "", ""),
        (vec![], "", ""),
    ];
    let collector = Collector::start(ACCEPT);
    let mut traced = Fixture::new(&collector.table(SAMPLE_ALL));
    let plain = Fixture::new("");
    for (headers, _, _) in &cases {
        let request = with(headers);
        assert_eq!(traced.send(&request), 200);
        assert_eq!(plain.send(&request), 200);
    }
    traced.drain();

    let (after, before) = (traced.recorder.requests(), plain.recorder.requests());
    assert_eq!(after.len(), cases.len());
    for (n, (after, before)) in after.iter().zip(&before).enumerate() {
        assert_eq!(after.head, before.head, "{n}");
        assert_eq!(after.body, before.body, "{n}");
        assert_eq!(after.head, with(&cases[n].0).head(), "{n}");
        assert!(signature::is_valid(&after.headers, &after.body), "{n}");
    }
    let spans = collector.spans();
    let servers = of_kind(&spans, SpanKind::Server);
    let mut traces = HashSet::new();
    for (server, (_, trace, parent)) in servers.iter().zip(&cases) {
        assert_eq!(hex(&server.parent_span_id), *parent);
        let remote = if parent.is_empty() { 0x101 } else { 0x301 };
        assert_eq!(server.flags, remote);
        if trace.is_empty() {
            assert!(traces.insert(hex(&server.trace_id)), "a trace of its own");
            assert_ne!(hex(&server.trace_id), TRACE);
        } else {
            assert_eq!(hex(&server.trace_id), *trace);
        }
    }
    assert_eq!(traces.len(), 3);
}

#[test]
fn http2_requests_are_unchanged_too() {
    let collector = Collector::start(ACCEPT);
    let arrived = |traces: &str| {
        let authority = Arc::new(Authority::create().unwrap());
        let recorder = Recorder::start_http2(&authority);
        let mut gate = GateBuilder::new(&authority, recorder.address())
            .log(traces)
            .start();
        let body = r#"{"StreamName":"orders","PartitionKey":"1","Data":"eA=="}"#;
        let mut headers = http2::signed_headers("PutRecord", body, HOST);
        headers.push(("traceparent".to_owned(), w3c("01").1));
        let request = http2::request(&headers, body);
        let status = http2::send_for_status(&authority, gate.address(), http2::H2, request);
        assert_eq!(status, 200);
        gate.drain().join().unwrap();
        let arrived = recorder.requests().remove(0);
        assert!(signature::is_valid(&arrived.headers, &arrived.body));
        (arrived.headers, arrived.body)
    };
    assert_eq!(arrived(&collector.table(SAMPLE_ALL)), arrived(""));
    let spans = collector.spans();
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE));
}

#[test]
fn a_callers_sampled_flag_counts_only_where_configured() {
    let flags = ["01", "00", "01", "00", "01"];
    for (settings, traced) in [
        ("sample = 0", 0),
        ("sample = 0.0\nfollow-callers = false", 0),
        ("sample = 1.0", 5),
        ("sample = 0\nfollow-callers = true", 3),
        ("sample = 1\nfollow-callers = true", 3),
    ] {
        let collector = Collector::start(ACCEPT);
        let mut fixture = Fixture::new(&collector.table(settings));
        for flags in flags {
            assert_eq!(fixture.send(&with(&[w3c(flags)])), 200);
        }
        fixture.drain();
        let spans = collector.spans();
        let servers = of_kind(&spans, SpanKind::Server);
        assert_eq!(servers.len(), traced, "{settings}");
        if traced == 0 {
            assert_eq!(collector.connections(), 0, "{settings}");
        }
    }
}

#[test]
fn the_configured_share_of_requests_is_sampled() {
    let collector = Collector::start(ACCEPT);
    let mut fixture = Fixture::new(&collector.table("sample = 0.25"));
    send_refused(&mut fixture.connect(), 1000);
    fixture.drain();
    let sampled = collector.spans().len();
    // Ten standard deviations to either side.
    assert!((115..385).contains(&sampled), "{sampled}");
}
