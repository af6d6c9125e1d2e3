//! An upstream that is down, slow, resets or is not who it should be.

use std::net::TcpListener;
use std::sync::Arc;

use kinesis_gate::sandbox::Authority;

use crate::support::raw::{Request, Response};
use crate::support::{Behaviour, Gate, GateBuilder, Recorder};

/// An AWS-shaped 503 that SDKs retry, and a log line that says which failure it was.
fn assert_unavailable(answer: &Response, gate: &Gate, kind: &str) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.error_type(), "ServiceUnavailable");
    let line = &gate.log(1)[0];
    assert_eq!(line["upstream_failure"], kind, "{line}");
    assert_eq!(line["decision"], "allow");
    assert_eq!(
        line["request_id"].as_str(),
        answer.header("x-amzn-requestid")
    );
    assert!(!line["reason"].as_str().unwrap().is_empty());
}

fn put() -> Request {
    Request::new(
        "PutRecord",
        r#"{"StreamName":"orders","Data":"aA==","PartitionKey":"1"}"#,
    )
}

#[test]
fn down() {
    let authority = Arc::new(Authority::create().unwrap());
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let gate = GateBuilder::new(&authority, nobody).start();
    assert_unavailable(&put().send(&authority, gate.address()), &gate, "connect");
}

#[test]
fn never_accepts_tls() {
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
fn hangs() {
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
fn resets_and_nothing_is_sent_twice() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Close);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    assert_unavailable(&put().send(&authority, gate.address()), &gate, "broken");
    assert_eq!(recorder.requests().len(), 1, "the client owns retries");
}

#[test]
fn closes_kept_connections() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::RespondThenClose);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    for sent in 1..=20 {
        let answer = put().send(&authority, gate.address());
        // A kept connection that closes while the request is on its way is a 503; never twice.
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
        assert!(recorder.requests().len() <= sent);
    }
}

#[test]
fn shows_a_certificate_of_another_name() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .upstream(&format!(
            "connect = \"{}\"\nca-file = \"ca.pem\"\n",
            recorder.address()
        ))
        .start();
    // Without `server-name` the service's own name is verified, and `localhost` is not it.
    assert_unavailable(
        &put().send(&authority, gate.address()),
        &gate,
        "certificate",
    );
    assert!(recorder.requests().is_empty());
}

#[test]
fn shows_a_certificate_of_another_authority() {
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
fn is_the_gate_itself() {
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
        .expect("a loop that is seen at the start");
    let said = problems.to_string();
    assert!(said.contains(&format!("127.0.0.1:{port}")), "{said}");
    assert!(said.contains("this gate"), "{said}");
}
