//! Deliveries: a collector that is away, hangs, refuses or is not who it should be.

use std::net::{SocketAddr, TcpListener};
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

use super::collector::{Answer, Collector, HANGS, TAKES, attribute};
use super::{EVERY, POLICY, Setting, put, refused};

impl Setting {
    fn sent(&self) -> u64 {
        metric(self.gate.admin(), "kinesis_gate_spans_sent_total ")
    }

    fn dropped(&self, kind: &str) -> u64 {
        let series = format!("kinesis_gate_spans_dropped_total{{kind=\"{kind}\"}} ");
        metric(self.gate.admin(), &series)
    }
}

/// Bound and not listening: nobody else gets the port, and nobody answers there.
fn unheard() -> (socket2::Socket, SocketAddr) {
    let kept = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    kept.bind(&any.into()).unwrap();
    let address = kept.local_addr().unwrap().as_socket().unwrap();
    (kept, address)
}

#[test]
fn a_collector_that_is_away_holds_nothing_up_and_what_is_lost_is_counted() {
    let (_kept, away) = unheard();
    let table = format!("[traces]\nendpoint = \"http://{away}/v1/traces\"\nsample = 1\n");
    let setting = Setting::new(&table);
    let mut connection = setting.connect();
    for _ in 0..20 {
        connection.write(&put("orders").bytes());
        assert_eq!(connection.response().status, 200);
    }
    wait_until(|| setting.dropped("away") > 0);
    wait_until(|| {
        connection.write(&put("orders").bytes());
        connection.response().status == 200 && setting.dropped("away") >= 40
    });
    assert_eq!(setting.dropped("queue"), 0);
    assert_eq!(setting.sent(), 0);
}

#[test]
fn a_collector_that_hangs_holds_nothing_up_and_the_queue_is_bounded() {
    let collector = Collector::start(HANGS);
    let mut setting = Setting::new(&collector.table("sample = 1\ntimeout = \"1h\""));
    let mut connection = setting.connect();
    refused(&mut connection, 600);
    collector.wait(1);
    // As many as the thread holds, the queue does and one loop does, and some more.
    refused(&mut connection, 10_000);
    wait_until(|| setting.dropped("queue") > 0);
    let dropped = setting.dropped("queue");
    assert!((64..2500).contains(&dropped), "{dropped}");
    refused(&mut connection, 200);
    wait_until(|| setting.dropped("queue") >= dropped + 128);
    drop(connection);
    let begun = Instant::now();
    setting.drain();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_collector_that_is_too_slow_is_given_up() {
    let collector = Collector::start(|number| match number {
        ..=3 => Answer::Nothing,
        _ => Answer::Status(200, Vec::new()),
    });
    let setting = Setting::new(&collector.table("sample = 1\ntimeout = \"50ms\""));
    assert_eq!(setting.send(&put("invoices")), 400);
    wait_until(|| setting.dropped("away") == 1);
    assert_eq!(collector.deliveries().len(), 4);
    // The next one is taken.
    assert_eq!(setting.send(&put("orders")), 200);
    wait_until(|| setting.sent() == 2);
}

#[test]
fn what_a_collector_refuses_is_counted_and_what_it_may_take_later_is_sent_again() {
    let collector = Collector::start(|number| match number {
        0 => Answer::Status(503, Vec::new()),
        1 => {
            let refused = ExportTracePartialSuccess {
                rejected_spans: 1,
                error_message: "not \"this\"".to_owned(),
            };
            let answer = ExportTraceServiceResponse {
                partial_success: Some(refused),
            };
            Answer::Status(200, answer.encode_to_vec())
        }
        _ => Answer::Status(401, b"who are you?".to_vec()),
    });
    let setting = Setting::new(&collector.table(EVERY));
    assert_eq!(setting.send(&put("orders")), 200);
    wait_until(|| setting.sent() == 1);
    assert_eq!(setting.dropped("refused"), 1);
    let deliveries = collector.deliveries();
    assert_eq!(deliveries.len(), 2);
    assert_eq!(deliveries[0].bytes, deliveries[1].bytes);
    assert_eq!(setting.send(&put("orders")), 200);
    wait_until(|| setting.dropped("refused") == 3);
    assert_eq!(collector.deliveries().len(), 3);
    assert_eq!(collector.connections(), 1, "connections are kept");
}

#[test]
fn a_kept_connection_that_has_ended_loses_nothing() {
    let collector = Collector::start(|number| match number {
        1 => Answer::End,
        _ => Answer::Status(200, Vec::new()),
    });
    let setting = Setting::new(&collector.table(EVERY));
    for sent in [1, 2] {
        assert_eq!(setting.send(&put("invoices")), 400);
        wait_until(|| setting.sent() == sent);
    }
    assert_eq!(collector.deliveries().len(), 3);
    assert_eq!(collector.connections(), 2);
}

#[test]
fn an_https_collector_must_show_a_certificate_that_is_trusted() {
    let authority = Authority::create().unwrap();
    let other = Authority::create().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("collector-ca.pem");
    std::fs::write(&roots, authority.pem()).unwrap();
    for (signer, trusted) in [(&authority, true), (&other, false)] {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let tls = signer.server("localhost").unwrap();
        let collector = Collector::at(socket, TAKES, Some(tls));
        let table = format!(
            "[traces]\nendpoint = \"https://localhost:{}/v1/traces\"\nsample = 1\nca-file = \"{}\"\n",
            collector.address().port(),
            roots.display()
        );
        let mut setting = Setting::new(&table);
        assert_eq!(setting.send(&put("orders")), 200);
        setting.drain();
        assert_eq!(collector.spans().len(), if trusted { 2 } else { 0 });
        assert!(collector.connections() > 0);
    }
}

#[test]
fn the_operator_is_told_once_that_a_collector_is_away_and_once_that_it_is_back() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let folder = tempfile::tempdir().unwrap();
    authority.write(folder.path()).unwrap();
    std::fs::write(folder.path().join("policy.json"), POLICY).unwrap();
    let (kept, collector) = unheard();
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
    // The environment decides nothing.
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.1:4318")];
    let mut gate = GateProcess::start(&file, &environment);
    let told = gate.messages();
    let admin = told.iter().find_map(|line| line.strip_prefix("admin on "));
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
    let lines = |told: &[String]| -> Vec<String> {
        let ours = told.iter().filter(|line| line.starts_with("traces: "));
        ours.cloned().collect()
    };
    let told = lines(&gate.messages());
    assert_eq!(told.len(), 1, "{told:?}");
    let expected =
        format!("traces: the collector at http://{collector}/v1/traces is not reached: ");
    assert!(told[0].starts_with(&expected), "{told:?}");

    kept.listen(16).unwrap();
    let collector = Collector::at(kept.into(), TAKES, None);
    send();
    gate.wait_for_messages(|told| lines(told).len() == 2);
    let told = lines(&gate.messages());
    assert!(told[1].ends_with(" takes spans again"), "{told:?}");
    let deliveries = collector.deliveries();
    let resource = deliveries[0].message.resource_spans[0].resource.clone();
    let name = attribute(&resource.unwrap().attributes, "service.name");
    assert_eq!(name.as_deref(), Some("my-gate"));
}
