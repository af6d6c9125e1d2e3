//! Export of spans: a collector that is unreachable, hangs, refuses or fails authentication.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kinesis_gate::sandbox::Authority;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;

use crate::decision_log::{metric, wait_until};
use crate::support::process::GateProcess;
use crate::support::raw::Connection;
use crate::support::{Behaviour, ENDPOINT, HOST, Recorder};
use crate::upstream_failures::refusing;

use super::collector::{ACCEPT, Collector, HANG, Response, attribute};
use super::{Fixture, POLICY, SAMPLE_ALL, put, send_refused};

impl Fixture {
    fn sent(&self) -> u64 {
        metric(self.gate.admin(), "kinesis_gate_spans_sent_total ")
    }

    fn dropped(&self, kind: &str) -> u64 {
        let series = format!("kinesis_gate_spans_dropped_total{{kind=\"{kind}\"}} ");
        metric(self.gate.admin(), &series)
    }
}

#[test]
fn an_unreachable_collector_delays_no_request_and_lost_spans_are_counted() {
    let (_socket, unreachable) = refusing();
    let table = format!("[traces]\nendpoint = \"http://{unreachable}/v1/traces\"\nsample = 1\n");
    let fixture = Fixture::new(&table);
    let mut connection = fixture.connect();
    for _ in 0..20 {
        connection.write(&put("orders").bytes());
        assert_eq!(connection.response().status, 200);
    }
    wait_until(|| fixture.dropped("away") > 0);
    wait_until(|| {
        connection.write(&put("orders").bytes());
        connection.response().status == 200 && fixture.dropped("away") >= 40
    });
    assert_eq!(fixture.dropped("queue"), 0);
    assert_eq!(fixture.sent(), 0);
}

#[test]
fn a_hanging_collector_delays_no_request_and_the_queue_is_bounded() {
    let collector = Collector::start(HANG);
    let mut fixture = Fixture::new(&collector.table("sample = 1\ntimeout = \"1h\""));
    let mut connection = fixture.connect();
    send_refused(&mut connection, 600);
    collector.wait(1);
    // More spans than the exporter's thread, the queue and one worker hold.
    send_refused(&mut connection, 10_000);
    wait_until(|| fixture.dropped("queue") > 0);
    let dropped = fixture.dropped("queue");
    assert!((64..2500).contains(&dropped), "{dropped}");
    send_refused(&mut connection, 200);
    wait_until(|| fixture.dropped("queue") >= dropped + 128);
    drop(connection);
    let started = Instant::now();
    fixture.drain();
    let elapsed = started.elapsed();
    assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");
}

#[test]
fn a_slow_collector_times_out() {
    let collector = Collector::start(|number| match number {
        ..=3 => Response::Nothing,
        _ => Response::Status(200, Vec::new()),
    });
    let fixture = Fixture::new(&collector.table("sample = 1\ntimeout = \"50ms\""));
    assert_eq!(fixture.send(&put("invoices")), 400);
    wait_until(|| fixture.dropped("away") == 1);
    assert_eq!(collector.deliveries().len(), 4);
    // The collector accepts the next delivery.
    assert_eq!(fixture.send(&put("orders")), 200);
    wait_until(|| fixture.sent() == 2);
}

#[test]
fn refused_spans_are_counted_and_retryable_ones_are_sent_again() {
    let collector = Collector::start(|number| match number {
        0 => Response::Status(503, Vec::new()),
        1 => {
            let partial_success = ExportTracePartialSuccess {
                rejected_spans: 1,
                error_message: "not \"this\"".to_owned(),
            };
            let response = ExportTraceServiceResponse {
                partial_success: Some(partial_success),
            };
            Response::Status(200, response.encode_to_vec())
        }
        _ => Response::Status(401, b"who are you?".to_vec()),
    });
    let fixture = Fixture::new(&collector.table(SAMPLE_ALL));
    assert_eq!(fixture.send(&put("orders")), 200);
    wait_until(|| fixture.sent() == 1);
    assert_eq!(fixture.dropped("refused"), 1);
    let deliveries = collector.deliveries();
    assert_eq!(deliveries.len(), 2);
    assert_eq!(deliveries[0].bytes, deliveries[1].bytes);
    assert_eq!(fixture.send(&put("orders")), 200);
    wait_until(|| fixture.dropped("refused") == 3);
    assert_eq!(collector.deliveries().len(), 3);
    assert_eq!(collector.connections(), 1, "connections are reused");
}

#[test]
fn a_closed_idle_connection_loses_no_span() {
    let collector = Collector::start(|number| match number {
        1 => Response::End,
        _ => Response::Status(200, Vec::new()),
    });
    let fixture = Fixture::new(&collector.table(SAMPLE_ALL));
    for sent in [1, 2] {
        assert_eq!(fixture.send(&put("invoices")), 400);
        wait_until(|| fixture.sent() == sent);
    }
    assert_eq!(collector.deliveries().len(), 3);
    assert_eq!(collector.connections(), 2);
}

#[test]
fn an_https_collector_needs_a_trusted_certificate() {
    let authority = Authority::create().unwrap();
    let other = Authority::create().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("collector-ca.pem");
    std::fs::write(&roots, authority.pem()).unwrap();
    for (signer, trusted) in [(&authority, true), (&other, false)] {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let tls = signer.server("localhost").unwrap();
        let collector = Collector::at(socket, ACCEPT, Some(tls));
        let table = format!(
            "[traces]\nendpoint = \"https://localhost:{}/v1/traces\"\nsample = 1\nca-file = \"{}\"\n",
            collector.address().port(),
            roots.display()
        );
        let mut fixture = Fixture::new(&table);
        assert_eq!(fixture.send(&put("orders")), 200);
        fixture.drain();
        assert_eq!(collector.spans().len(), if trusted { 2 } else { 0 });
        assert!(collector.connections() > 0);
    }
}

#[test]
fn the_operator_is_told_once_that_a_collector_is_unreachable_and_once_that_it_is_back() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let folder = tempfile::tempdir().unwrap();
    authority.write(folder.path()).unwrap();
    std::fs::write(folder.path().join("policy.json"), POLICY).unwrap();
    let (socket, collector) = refusing();
    let text = format!(
        "workers = 1\n[upstream]\nconnect = \"{}\"\nserver-name = \"localhost\"\nca-file = \"ca.pem\"\n\
         [admin]\naddress = \"127.0.0.1:0\"\n[traces]\nendpoint = \"http://{collector}/v1/traces\"\n\
         sample = 1\nservice-name = \"my-gate\"\n\
         [[endpoint]]\nid = \"{ENDPOINT}\"\nregion = \"us-east-1\"\npolicy = \"policy.json\"\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\nendpoint = \"{ENDPOINT}\"\n\
         tls = {{ ca-certificate = \"ca.pem\", ca-key = \"ca-key.pem\" }}\n",
        recorder.address()
    );
    let file = folder.path().join("gate.toml");
    std::fs::write(&file, text).unwrap();
    // The environment has no effect.
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.1:4318")];
    let mut gate = GateProcess::start(&file, &environment);
    let lines = gate.messages();
    let admin = lines.iter().find_map(|line| line.strip_prefix("admin on "));
    let admin = admin.unwrap().parse().unwrap();
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    let mut send = || {
        connection.write(&put("orders").bytes());
        assert_eq!(connection.response().status, 200);
    };
    let dropped = "kinesis_gate_spans_dropped_total{kind=\"away\"} ";
    // Two batches are lost.
    for lost in [2, 4] {
        send();
        wait_until(|| metric(admin, dropped) >= lost);
    }
    let trace_lines = |lines: &[String]| -> Vec<String> {
        let ours = lines.iter().filter(|line| line.starts_with("traces: "));
        ours.cloned().collect()
    };
    let lines = trace_lines(&gate.messages());
    assert_eq!(lines.len(), 1, "{lines:?}");
    let expected =
        format!("traces: the collector at http://{collector}/v1/traces is not reached: ");
    assert!(lines[0].starts_with(&expected), "{lines:?}");

    socket.listen(16).unwrap();
    let collector = Collector::at(socket.into(), ACCEPT, None);
    send();
    gate.wait_for_messages(|lines| trace_lines(lines).len() == 2);
    let lines = trace_lines(&gate.messages());
    assert!(lines[1].ends_with(" takes spans again"), "{lines:?}");
    let deliveries = collector.deliveries();
    let resource = deliveries[0].message.resource_spans[0].resource.clone();
    let name = attribute(&resource.unwrap().attributes, "service.name");
    assert_eq!(name.as_deref(), Some("my-gate"));
}
