//! Health checks, the metrics page and the drain (graceful shutdown).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kinesis_gate::sandbox::Authority;

use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, GateBuilder, HOST, Recorder, http2};

/// The status and body of an admin page.
pub fn get(admin: SocketAddr, path: &str) -> (u16, String) {
    let mut tcp = TcpStream::connect(admin).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(
        tcp,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut response = String::new();
    tcp.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (
        head.split(' ').nth(1).unwrap().parse().unwrap(),
        body.to_owned(),
    )
}

#[test]
fn health_and_metrics_are_served() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    Request::new("ListStreams", "{}").send(&authority, gate.address());
    Request::new("PutRecord", "{").send(&authority, gate.address());
    gate.log(2);
    assert_eq!(get(gate.admin(), "/livez").0, 200);
    assert_eq!(get(gate.admin(), "/readyz").0, 200);
    assert_eq!(get(gate.admin(), "/other").0, 404);
    let (status, page) = get(gate.admin(), "/metrics");
    assert_eq!(status, 200);
    let series = [
        r#"kinesis_gate_requests_total{endpoint="vpce-33cc44dd",operation="ListStreams",decision="allow"} 1"#,
        r#"kinesis_gate_requests_total{endpoint="vpce-33cc44dd",operation="PutRecord",decision="refused"} 1"#,
        "kinesis_gate_connections_total 2",
        "kinesis_gate_request_seconds_count 2",
        r#"kinesis_gate_upstream_failures_total{kind="certificate"} 0"#,
    ];
    for line in series {
        assert!(page.contains(line), "`{line}` is not in\n{page}");
    }
    assert!(page.ends_with("# EOF\n"));
}

#[test]
fn a_drain_finishes_accepted_requests() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let mut gate = GateBuilder::new(&authority, recorder.address()).start();
    let address = gate.address();
    let request = Request::new("ListStreams", "{}");
    // One request is in flight, one connection is idle.
    let mut busy = Connection::open(&authority, address, HOST);
    busy.write(&request.head());
    let mut idle = Connection::open(&authority, address, HOST);
    idle.write(&request.bytes());
    assert_eq!(idle.response().status, 200);
    std::thread::sleep(Duration::from_millis(100));

    let admin = gate.admin();
    let drain = gate.drain();
    let deadline = Instant::now() + Duration::from_secs(5);
    while get(admin, "/readyz").0 != 503 {
        assert!(Instant::now() < deadline, "never stopped being ready");
    }
    assert!(
        idle.try_response().is_none(),
        "an idle connection is closed"
    );
    busy.write(&request.body);
    let response = busy.response();
    assert_eq!(response.status, 200, "an accepted request is finished");
    assert_eq!(response.header("connection"), Some("close"));
    drop((busy, idle));
    drain.join().unwrap();
    assert!(
        TcpStream::connect(address).is_err(),
        "nothing listens any more"
    );
}

#[test]
fn a_drain_has_a_deadline() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Hang);
    let mut gate = GateBuilder::new(&authority, recorder.address())
        .limits("drain = \"300ms\"")
        .start();
    let mut stuck = Connection::open(&authority, gate.address(), HOST);
    stuck.write(&Request::new("ListStreams", "{}").bytes());
    std::thread::sleep(Duration::from_millis(200));
    let started = Instant::now();
    gate.drain().join().unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "took {:?}",
        started.elapsed()
    );
    let record = &gate.log(1)[0];
    assert_eq!(
        (&record["action"], &record["status"]),
        (&"kinesis:ListStreams".into(), &0.into()),
        "a request that was cut off is logged: {record}"
    );
}

#[test]
fn a_client_that_disconnects_is_logged() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Hang);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    connection.write(&Request::new("PutRecord", r#"{"StreamName":"orders"}"#).bytes());
    let deadline = Instant::now() + Duration::from_secs(5);
    while recorder.requests().is_empty() {
        assert!(Instant::now() < deadline, "the request never arrived");
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(connection);
    let record = &gate.log(1)[0];
    assert_eq!(record["status"], 0, "{record}");
}

#[test]
fn a_drain_sends_goaway_to_http2_clients() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start_http2(&authority);
    let mut gate = GateBuilder::new(&authority, recorder.address()).start();
    let address = gate.address();
    http2::block_on(async {
        let (sender, connection) = http2::connect(&authority, address, http2::H2, None).await;
        let ended = tokio::spawn(connection);
        let drain = gate.drain();
        // Without a GOAWAY an idle connection would stay until its timeout, a minute later.
        let deadline = Duration::from_secs(5);
        tokio::time::timeout(deadline, ended)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        drop(sender);
        drain.join().unwrap();
    });
}
