//! Clients that connect and then say nothing are not waited for.

use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kinesis_gate::sandbox::Authority;

use crate::decision_log::wait_until;
use crate::health_and_drain::get;
use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, GateBuilder, HOST, Recorder};

/// Longer than any deadline below, shorter than any default.
const PATIENCE: Duration = Duration::from_secs(8);

#[test]
fn a_handshake_has_a_deadline() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("handshake-timeout = \"200ms\"")
        .start();
    let mut silent = TcpStream::connect(gate.address()).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(silent.read(&mut [0; 16]).unwrap(), 0, "it is closed");
    // It is closed a moment before it is counted.
    let line = r#"kinesis_gate_tls_failures_total{kind="timeout"} 1"#;
    wait_until(|| get(gate.admin(), "/metrics").1.contains(line));
}

#[test]
fn a_head_has_a_deadline() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("head-timeout = \"200ms\"")
        .start();
    let head = Request::new("ListStreams", "{}").head();
    for begun in [&head[..0], &head[..10], &head[..head.len() - 2]] {
        let mut slow = Connection::open(&authority, gate.address(), HOST);
        slow.write(begun);
        let since = Instant::now();
        assert!(slow.try_response().is_none());
        assert!(since.elapsed() < PATIENCE, "after {} bytes", begun.len());
    }
    assert!(recorder.requests().is_empty());
}
