//! Timeouts of a client connection: the TLS handshake and the request head.

use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kinesis_gate::sandbox::Authority;

use crate::decision_log::wait_until;
use crate::health_and_drain::get;
use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, GateBuilder, HOST, Recorder};

/// Longer than any timeout below, shorter than any default.
const READ_TIMEOUT: Duration = Duration::from_secs(8);

#[test]
fn a_tls_handshake_times_out() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("handshake-timeout = \"200ms\"")
        .start();
    let mut silent = TcpStream::connect(gate.address()).unwrap();
    silent.set_read_timeout(Some(READ_TIMEOUT)).unwrap();
    assert_eq!(
        silent.read(&mut [0; 16]).unwrap(),
        0,
        "the connection is closed"
    );
    // The gate closes the connection a moment before it counts the failure.
    let line = r#"kinesis_gate_tls_failures_total{kind="timeout"} 1"#;
    wait_until(|| get(gate.admin(), "/metrics").1.contains(line));
}

#[test]
fn a_request_head_times_out() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("head-timeout = \"200ms\"")
        .start();
    let head = Request::new("ListStreams", "{}").head();
    for sent in [&head[..0], &head[..10], &head[..head.len() - 2]] {
        let mut slow = Connection::open(&authority, gate.address(), HOST);
        slow.write(sent);
        let start = Instant::now();
        assert!(slow.try_response().is_none());
        assert!(start.elapsed() < READ_TIMEOUT, "after {} bytes", sent.len());
    }
    assert!(recorder.requests().is_empty());
}
