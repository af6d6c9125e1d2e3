//! Large request bodies are forwarded while they are scanned; their tail is held back until the
//! decision is final.

use std::sync::Arc;
use std::time::Duration;

use kinesis_gate::sandbox::Authority;

use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, GateBuilder, HOST, Recorder, http2};

const POLICY: &str = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"kinesis:PutRecord*",
    "Resource":"arn:aws:kinesis:us-east-1:123456789012:stream/orders"}}"#;

/// A body of a megabyte that names an allowed stream first; `tail` follows its records.
fn large_body(tail: &str) -> String {
    let record = format!(
        r#"{{"Data":"{}","PartitionKey":"1"}}"#,
        "QUJD".repeat(1 << 8)
    );
    let records = vec![record; 1 << 10].join(",");
    format!(r#"{{"StreamName":"orders","Records":[{records}]{tail}"#)
}

/// Tails, and the status and error that each gets.
#[rustfmt::skip]
const TAILS: &[(&str, u16, &str)] = &[
    (r#","StreamName":"private"}"#, 400, "SerializationException"),
    (r#","Stream\u004eame":"private"}"#, 400, "SerializationException"),
    (r#"} "#, 200, ""),
    (r#"}{}"#, 400, "SerializationException"),
    (r#""#, 400, "SerializationException"),
    (r#","StreamARN":"arn:aws:kinesis:us-east-1:123456789012:stream/orders"}"#, 200, ""),
    (r#","StreamARN":"arn:aws:kinesis:us-east-1:123456789012:stream/private"}"#, 400, "SerializationException"),
    (r#","StreamId":"abcdefghij0123456789-abc"}"#, 400, "AccessDeniedException"),
];

#[test]
fn a_late_violation_resets_the_upstream_request() {
    let authority = Arc::new(Authority::create().unwrap());
    for (tail, status, error) in TAILS {
        let recorder = Recorder::start(&authority, Behaviour::Respond);
        let gate = GateBuilder::new(&authority, recorder.address())
            .endpoint("vpce-33cc44dd", POLICY)
            .start();
        let body = large_body(tail);
        let sized = Request::new("PutRecords", body.clone());
        let mut chunked = sized.clone().without("content-length");
        chunked = chunked.header("Transfer-Encoding", "chunked");
        chunked.body = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).into_bytes();
        for request in [sized, chunked] {
            let response = request.send(&authority, gate.address());
            assert_eq!(response.status, *status, "{tail}: {response:?}");
            if *status == 200 {
                let arrived = recorder.requests().pop().unwrap();
                assert!(arrived.body == body.as_bytes(), "{tail}");
            } else {
                assert_eq!(response.error_type(), *error, "{tail}: {response:?}");
                assert!(recorder.requests().is_empty(), "{tail}: it was executed");
                // A part was sent upstream, so the held tail stopped the request.
                let received = recorder.aborted_requests().pop().unwrap();
                assert!(
                    (200 << 10..body.len()).contains(&received),
                    "{tail}: {received}"
                );
            }
        }
        if *status != 200 {
            let decision = gate.log(1)[0]["decision"].clone();
            let expected = if *error == "AccessDeniedException" {
                "implicit-deny"
            } else {
                "refused"
            };
            assert_eq!(decision, expected, "{tail}");
        }
    }
}

#[test]
fn a_late_violation_resets_the_upstream_request_over_http2() {
    let authority = Arc::new(Authority::create().unwrap());
    for (tail, status, _) in TAILS {
        let recorder = Recorder::start_http2(&authority);
        let gate = GateBuilder::new(&authority, recorder.address())
            .endpoint("vpce-33cc44dd", POLICY)
            .start();
        let body = large_body(tail);
        let headers = http2::signed_headers("PutRecords", &body, "host");
        let request = http2::request(&headers, &body);
        let received_status =
            http2::send_for_status(&authority, gate.address(), http2::H2, request);
        assert_eq!(received_status, *status, "{tail}");
        if *status == 200 {
            assert!(recorder.requests()[0].body == body.as_bytes(), "{tail}");
        } else {
            assert!(recorder.requests().is_empty(), "{tail}: it was executed");
            assert!(recorder.aborted_requests()[0] > 0, "{tail}");
        }
    }
}

#[test]
fn a_large_body_for_a_denied_stream_is_never_sent_upstream() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint("vpce-33cc44dd", POLICY)
        .start();
    let body = large_body("}").replace(r#""orders""#, r#""private""#);
    let response = Request::new("PutRecords", body).send(&authority, gate.address());
    assert_eq!(
        (response.status, response.error_type().as_str()),
        (400, "AccessDeniedException")
    );
    assert_eq!(recorder.connections(), 0);
}

#[test]
fn a_body_whose_client_leaves_or_stalls_never_completes_upstream() {
    let authority = Arc::new(Authority::create().unwrap());
    for stalls in [false, true] {
        let recorder = Recorder::start(&authority, Behaviour::Respond);
        let gate = GateBuilder::new(&authority, recorder.address())
            .limits("body-timeout = \"500ms\"")
            .endpoint("vpce-33cc44dd", POLICY)
            .start();
        let request = Request::new("PutRecords", large_body("}"));
        let bytes = request.bytes();
        let mut connection = Connection::open(&authority, gate.address(), HOST);
        connection.write(&bytes[..bytes.len() - 1]);
        if stalls {
            let response = connection.response();
            assert_eq!(
                (response.status, response.error_type().as_str()),
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
