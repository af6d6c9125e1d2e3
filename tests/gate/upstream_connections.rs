//! Upstream connections: the upstream refuses, is slow, resets or fails authentication.

use std::net::TcpListener;
use std::sync::Arc;

use kinesis_gate::sandbox::Authority;

use crate::http1_conformance::put;
use crate::support::raw::Response;
use crate::support::{Behaviour, Gate, GateBuilder, Recorder};

/// Asserts an AWS-shaped 503, which SDKs retry, and a log record that names the failure.
fn assert_unavailable(response: &Response, gate: &Gate, kind: &str) {
    assert_eq!(response.status, 503, "{response:?}");
    assert_eq!(response.error_type(), "ServiceUnavailable");
    let line = &gate.log(1)[0];
    assert_eq!(line["upstream_failure"], kind, "{line}");
    assert_eq!(line["decision"], "allow");
    assert_eq!(
        line["request_id"].as_str(),
        response.header("x-amzn-requestid")
    );
    assert!(!line["reason"].as_str().unwrap().is_empty());
}

#[test]
fn an_upstream_that_refuses_connections_is_unavailable() {
    let authority = Arc::new(Authority::create().unwrap());
    let unused = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let gate = GateBuilder::new(&authority, unused).start();
    assert_unavailable(&put().send(&authority, gate.address()), &gate, "connect");
}

#[test]
fn an_upstream_that_never_accepts_tls_exceeds_the_connect_timeout() {
    let authority = Arc::new(Authority::create().unwrap());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let gate = GateBuilder::new(&authority, silent.local_addr().unwrap())
        .limits("connect-timeout = \"200ms\"")
        .start();
    assert_unavailable(
        &put().send(&authority, gate.address()),
        &gate,
        "connect-timeout",
    );
}

#[test]
fn an_upstream_that_hangs_exceeds_the_response_timeout() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Hang);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("response-timeout = \"200ms\"")
        .start();
    assert_unavailable(
        &put().send(&authority, gate.address()),
        &gate,
        "response-timeout",
    );
}

#[test]
fn a_request_on_a_reset_connection_is_not_sent_twice() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Close);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    assert_unavailable(&put().send(&authority, gate.address()), &gate, "broken");
    assert_eq!(recorder.requests().len(), 1, "the client owns retries");
}

#[test]
fn a_request_on_a_closed_idle_connection_is_not_sent_twice() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::RespondThenClose);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    for sent in 1..=20 {
        let response = put().send(&authority, gate.address());
        // An idle connection that closes while a request is on its way is a 503, and no second request.
        assert!(matches!(response.status, 200 | 503), "{response:?}");
        assert!(recorder.requests().len() <= sent);
    }
}

#[test]
fn an_upstream_certificate_of_another_name_is_refused() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .upstream(&format!(
            "connect = \"{}\"\nca-file = \"ca.pem\"\n",
            recorder.address()
        ))
        .start();
    // Without `server-name` the service's own name is verified, which `localhost` does not match.
    assert_unavailable(
        &put().send(&authority, gate.address()),
        &gate,
        "certificate",
    );
    assert!(recorder.requests().is_empty());
}

#[test]
fn an_upstream_certificate_of_another_authority_is_refused() {
    let authority = Arc::new(Authority::create().unwrap());
    let impostor = Recorder::start(&Authority::create().unwrap(), Behaviour::Respond);
    let gate = GateBuilder::new(&authority, impostor.address()).start();
    assert_unavailable(
        &put().send(&authority, gate.address()),
        &gate,
        "certificate",
    );
    assert!(impostor.requests().is_empty());
}

#[test]
fn an_upstream_that_is_the_gate_itself_is_refused_at_start() {
    let authority = Arc::new(Authority::create().unwrap());
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let problems = GateBuilder::new(&authority, ([127, 0, 0, 1], port).into())
        .first_port(port)
        .try_start()
        .err()
        .expect("the loop is detected at the start");
    let message = problems.to_string();
    assert!(message.contains(&format!("127.0.0.1:{port}")), "{message}");
    assert!(message.contains("this gate"), "{message}");
}
