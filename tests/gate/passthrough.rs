//! Passthrough: an allowed request arrives byte for byte as the client signed it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use kinesis_gate::sandbox::Authority;

use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, GateBuilder, HOST, Recorder, http2, raw, signature};

#[test]
fn http1_heads_and_bodies_arrive_unchanged() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    let body = r#"{ "Records" : [],  "StreamName":"orders" }"#;
    let sent = Request::new("PutRecords", body)
        .header("User-Agent", "aws-sdk/1.0  Double  Spaces")
        .header("X-AMZ-odd-Case", "kept")
        .header(
            "amz-sdk-invocation-id",
            "11111111-2222-3333-4444-555555555555",
        )
        .header("Accept-Encoding", "identity")
        .header("Connection", "keep-alive");
    assert_eq!(sent.send(&authority, gate.address()).status, 200);

    let arrived = &recorder.requests()[0];
    assert_eq!(arrived.body, body.as_bytes());
    assert!(signature::is_valid(&arrived.headers, &arrived.body));
    // Every header, with its case and value: none added, and none removed except `Connection`.
    let mut expected = sent.without("connection").headers;
    let mut headers = arrived.headers.clone();
    expected.sort();
    headers.sort();
    assert_eq!(headers, expected);
    assert!(arrived.head.starts_with(b"POST / HTTP/1.1\r\n"));
}

#[test]
fn the_host_of_an_endpoint_override_is_forwarded() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    for host in ["localhost", "gate.test", "127.0.0.1"] {
        let host = format!("{host}:{}", gate.address().port());
        let request = Request::new("ListStreams", "{}").replace("Host", &host);
        assert_eq!(
            request.send(&authority, gate.address()).status,
            200,
            "{host}"
        );
        let arrived = recorder.requests().pop().unwrap();
        assert_eq!(
            raw::header(&String::from_utf8(arrived.head).unwrap(), "host"),
            Some(&*host)
        );
    }
}

#[test]
fn a_presigned_query_is_forwarded() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    let line = "POST /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIARZPUZDIKGB2VALC4%2F20261123%2F\
                us-east-1%2Fkinesis%2Faws4_request&X-Amz-Date=20261123T120000Z&X-Amz-Expires=300&\
                X-Amz-SignedHeaders=host&X-Amz-Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef HTTP/1.1";
    let request = Request::new("ListStreams", "{}")
        .without("authorization")
        .line(line);
    let response = request.send(&authority, gate.address());
    assert_eq!(response.status, 200, "{response:?}");
    assert!(recorder.requests()[0].head.starts_with(line.as_bytes()));
    assert_eq!(gate.log(1)[0]["principal"]["account"], "123456789012");
}

#[test]
fn upstream_connections_are_reused() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    let request = Request::new("ListStreams", "{}");
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    for _ in 0..20 {
        connection.write(&request.bytes());
        assert_eq!(connection.response().status, 200);
    }
    assert_eq!(recorder.requests().len(), 20);
    assert_eq!(recorder.connections(), 1);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    let mut bytes = Request::new("ListStreams", "{}").bytes();
    bytes.extend(Request::new("ListStreams", "[").bytes());
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    connection.write(&bytes);
    // Both responses may arrive in one read.
    let first = connection.response();
    assert_eq!(first.status, 200);
    if first.body.len() == 2 {
        assert_eq!(connection.response().status, 400);
    } else {
        assert!(raw::find(&first.body, b"HTTP/1.1 400").is_some());
    }
    assert_eq!(recorder.requests().len(), 1);
}

#[test]
fn a_client_that_expects_100_continue_gets_it() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    let request = Request::new("PutRecords", r#"{"StreamName":"orders","Records":[]}"#)
        .header("Expect", "100-continue");
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    connection.write(&request.head());
    assert_eq!(connection.response().status, 100);
    connection.write(&request.body);
    assert_eq!(connection.response().status, 200);
    assert_eq!(recorder.requests()[0].body, request.body);
}

#[test]
fn large_bodies_arrive_whole() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    let data = "QUJD".repeat(1 << 20);
    let body = format!(r#"{{"Data":"{data}","PartitionKey":"1","StreamName":"orders"}}"#);
    let response = Request::new("PutRecord", body.clone()).send(&authority, gate.address());
    assert_eq!(response.status, 200);
    let arrived = recorder.requests().pop().unwrap();
    assert!(arrived.body == body.as_bytes());
    assert!(signature::is_valid(&arrived.headers, &arrived.body));
}

/// The JavaScript SDK signs a header that is literally named `:authority`; Java's async client speaks
/// HTTP/2 without ALPN.
#[test]
fn http2_is_forwarded_as_http2() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start_http2(&authority);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    let body = r#"{"StreamName":"orders","Records":[]}"#;
    let headers = http2::signed_headers("PutRecords", body, ":authority");
    for alpn in [http2::H2, http2::NO_ALPN] {
        let request = http2::request(&headers, body);
        let status = http2::send_for_status(&authority, gate.address(), alpn, request);
        assert_eq!(status, 200, "{alpn:?}");
    }
    let requests = recorder.requests();
    assert_eq!(requests.len(), 2);
    for arrived in requests {
        assert_eq!(arrived.body, body.as_bytes());
        assert!(signature::is_valid(&arrived.headers, &arrived.body));
        let mut arrived = arrived.headers;
        let mut expected = headers.clone();
        expected.push(("content-length".to_owned(), body.len().to_string()));
        arrived.sort();
        expected.sort();
        assert_eq!(arrived, expected);
    }
    assert_eq!(recorder.connections(), 1, "streams share a connection");
}

/// Responses that no client reads must not block the other streams of an upstream connection.
#[test]
fn unread_responses_do_not_block_others() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start_http2_with(&authority, Bytes::from(vec![b' '; 4 << 20]));
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    let headers = http2::signed_headers("ListStreams", "{}", "host");
    http2::block_on(async {
        let windows = Some(http2::FlowControlWindows(16 << 10, 16 << 20));
        let (mut sender, connection) =
            http2::connect(&authority, gate.address(), http2::H2, windows).await;
        tokio::spawn(connection);
        let mut unread = Vec::new();
        for n in 0..40 {
            let response = sender.send_request(http2::request(&headers, "{}"));
            let response = tokio::time::timeout(Duration::from_secs(5), response).await;
            unread.push(
                response
                    .unwrap_or_else(|_| panic!("request {n} was blocked"))
                    .unwrap(),
            );
        }
        let last = unread.pop().unwrap().into_body();
        let read = tokio::time::timeout(Duration::from_secs(20), last.collect()).await;
        assert_eq!(
            read.expect("the response was blocked")
                .unwrap()
                .to_bytes()
                .len(),
            4 << 20
        );
    });
    assert_eq!(recorder.connections(), 1, "they share a connection");
}
