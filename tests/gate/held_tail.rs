//! Large bodies are forwarded while they are scanned; their tail is held back until all is judged.

use std::sync::Arc;
use std::time::Duration;

use kinesis_gate::sandbox::Authority;

use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, GateBuilder, HOST, Recorder, http2};

const POLICY: &str = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"kinesis:PutRecord*",
    "Resource":"arn:aws:kinesis:us-east-1:123456789012:stream/orders"}}"#;

/// A body of a megabyte that names an allowed stream first; `end` follows its records.
fn large(end: &str) -> String {
    let record = format!(
        r#"{{"Data":"{}","PartitionKey":"1"}}"#,
        "QUJD".repeat(1 << 8)
    );
    let records = vec![record; 1 << 10].join(",");
    format!(r#"{{"StreamName":"orders","Records":[{records}]{end}"#)
}

/// What may follow, and how it is refused.
const ENDS: &[(&str, u16, &str)] = &[
    (r#","StreamName":"private"}"#, 400, "SerializationException"),
    (
        r#","Stream\u004eame":"private"}"#,
        400,
        "SerializationException",
    ),
    (r#"} "#, 200, ""),
    (r#"}{}"#, 400, "SerializationException"),
    (r#""#, 400, "SerializationException"),
    (
        r#","StreamARN":"arn:aws:kinesis:us-east-1:123456789012:stream/orders"}"#,
        200,
        "",
    ),
    (
        r#","StreamARN":"arn:aws:kinesis:us-east-1:123456789012:stream/private"}"#,
        400,
        "SerializationException",
    ),
    (
        r#","StreamId":"abcdefghij0123456789-abc"}"#,
        400,
        "AccessDeniedException",
    ),
];

#[test]
fn what_is_found_late_never_reaches_the_end() {
    let authority = Arc::new(Authority::create().unwrap());
    for (end, status, error) in ENDS {
        let recorder = Recorder::start(&authority, Behaviour::Respond);
        let gate = GateBuilder::new(&authority, recorder.address())
            .endpoint("vpce-33cc44dd", POLICY)
            .start();
        let body = large(end);
        let announced = Request::new("PutRecords", body.clone());
        let mut chunked = announced.clone().without("content-length");
        chunked = chunked.header("Transfer-Encoding", "chunked");
        chunked.body = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).into_bytes();
        for request in [announced, chunked] {
            let answer = request.send(&authority, gate.address());
            assert_eq!(answer.status, *status, "{end}: {answer:?}");
            if *status == 200 {
                let arrived = recorder.requests().pop().unwrap();
                assert!(arrived.body == body.as_bytes(), "{end}");
            } else {
                assert_eq!(answer.error_type(), *error, "{end}: {answer:?}");
                assert!(recorder.requests().is_empty(), "{end}: it was executed");
                // It had begun to leave, so this is the tail's doing; the end never came.
                let broken = recorder.aborted_requests().pop().unwrap();
                assert!((200 << 10..body.len()).contains(&broken), "{end}: {broken}");
            }
        }
        if *status != 200 {
            let decision = gate.log(1)[0]["decision"].clone();
            let expected = if *error == "AccessDeniedException" {
                "implicit-deny"
            } else {
                "refused"
            };
            assert_eq!(decision, expected, "{end}");
        }
    }
}

#[test]
fn the_same_over_http2() {
    let authority = Arc::new(Authority::create().unwrap());
    for (end, status, _) in ENDS {
        let recorder = Recorder::start_http2(&authority);
        let gate = GateBuilder::new(&authority, recorder.address())
            .endpoint("vpce-33cc44dd", POLICY)
            .start();
        let body = large(end);
        let headers = http2::signed_headers("PutRecords", &body, "host");
        let request = http2::request(&headers, &body);
        let answered = http2::send_for_status(&authority, gate.address(), http2::H2, request);
        assert_eq!(answered, *status, "{end}");
        if *status == 200 {
            assert!(recorder.requests()[0].body == body.as_bytes(), "{end}");
        } else {
            assert!(recorder.requests().is_empty(), "{end}: it was executed");
            assert!(recorder.aborted_requests()[0] > 0, "{end}");
        }
    }
}

#[test]
fn a_large_body_of_a_denied_stream_never_leaves() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint("vpce-33cc44dd", POLICY)
        .start();
    let body = large("}").replace(r#""orders""#, r#""private""#);
    let answer = Request::new("PutRecords", body).send(&authority, gate.address());
    assert_eq!(
        (answer.status, answer.error_type().as_str()),
        (400, "AccessDeniedException")
    );
    assert_eq!(recorder.connections(), 0);
}

#[test]
fn a_client_that_leaves_or_stalls_executes_nothing() {
    let authority = Arc::new(Authority::create().unwrap());
    for stalls in [false, true] {
        let recorder = Recorder::start(&authority, Behaviour::Respond);
        let gate = GateBuilder::new(&authority, recorder.address())
            .limits("body-timeout = \"500ms\"")
            .endpoint("vpce-33cc44dd", POLICY)
            .start();
        let request = Request::new("PutRecords", large("}"));
        let bytes = request.bytes();
        let mut connection = Connection::open(&authority, gate.address(), HOST);
        connection.write(&bytes[..bytes.len() - 1]);
        if stalls {
            let answer = connection.response();
            assert_eq!(
                (answer.status, answer.error_type().as_str()),
                (400, "RequestTimeoutException")
            );
        } else {
            std::thread::sleep(Duration::from_millis(100));
            drop(connection);
        }
        assert!(recorder.aborted_requests()[0] > 0);
        assert!(recorder.requests().is_empty());
    }
}
