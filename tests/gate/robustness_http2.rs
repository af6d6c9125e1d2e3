//! Robustness over HTTP/2 and in both encodings: with arbitrary heads and bodies nothing panics, nothing
//! that is not allowed passes, and every request is answered and logged.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use kinesis_gate::sandbox::Authority;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use proptest::{collection, sample};

use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, GateBuilder, HOST, Recorder, http2};

/// Allows one stream, which no body below names.
const POLICY: &str = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"kinesis:*",
    "Resource":"arn:aws:kinesis:us-east-1:123456789012:stream/an-allowed-stream"}}"#;
const CASES: u32 = 600;

fn runner() -> TestRunner {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// A header that matters to the gate, or may matter to others, with any value.
fn header() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let name = sample::select(vec![
        "host",
        "authorization",
        "content-type",
        "content-encoding",
        "content-length",
        "x-amz-target",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-content-sha256",
        "smithy-protocol",
        "te",
        "expect",
        "x-amzn-requestid",
        "cookie",
    ]);
    let value = prop_oneof![
        collection::vec(any::<u8>(), 0..40),
        "[ -~]{0,60}".prop_map(String::into_bytes),
        Just(b"Kinesis_20131202.ListStreams".to_vec()),
        Just(b"application/x-amz-cbor-1.1; charset=utf-8".to_vec()),
        Just(HOST.as_bytes().to_vec()),
    ];
    (name, value)
}

#[test]
fn any_http2_head_is_answered() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start_http2(&authority);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint("vpce-33cc44dd", POLICY)
        .start();
    let body = r#"{"StreamName":"private"}"#;
    let signed = http2::signed_headers("DescribeStream", body, "host");
    let strategy = (
        collection::vec(header(), 0..4),
        collection::vec(any::<sample::Index>(), 0..3),
        prop_oneof![Just("/".to_owned()), "/[ -~&&[^ <>\"`{}#]]{0,40}"],
        sample::select(vec!["POST", "GET", "CONNECT", "PUT", "Q"]),
    );
    let mut sent = 0;
    http2::block_on(async {
        let (sender, connection) =
            http2::connect(&authority, gate.address(), http2::H2, None).await;
        tokio::spawn(connection);
        let mut runner = runner();
        for _ in 0..CASES {
            let tree = strategy.new_tree(&mut runner).unwrap();
            let (added, removed, path, method) = tree.current();
            let mut headers = signed.clone();
            for index in removed {
                if !headers.is_empty() {
                    headers.remove(index.index(headers.len()));
                }
            }
            let Ok(mut request) = http::Request::builder()
                .method(method)
                .uri(format!("https://{HOST}{path}"))
                .body(Full::new(Bytes::from(body)))
            else {
                continue;
            };
            for (name, value) in &headers {
                if name != "host" {
                    request.headers_mut().append(
                        http::HeaderName::try_from(name.as_str()).unwrap(),
                        value.parse().unwrap(),
                    );
                }
            }
            for (name, value) in added {
                if let Ok(value) = http::HeaderValue::from_bytes(&value) {
                    request.headers_mut().append(name, value);
                }
            }
            let mut sender = sender.clone();
            // Not every request is one that hyper's client sends and its server accepts.
            let Ok(response) = sender.send_request(request).await else {
                assert!(!sender.is_closed(), "the connection is gone");
                continue;
            };
            sent += 1;
            assert!(response.status().is_client_error(), "{response:?}");
            response.into_body().collect().await.unwrap();
        }
    });
    assert!(sent > CASES as usize / 2, "only {sent} were requests");
    assert!(recorder.requests().is_empty());
    for line in gate.log(sent) {
        assert_ne!(line["decision"], "allow", "{line}");
    }
}

/// Fragments of bodies in both encodings, which together are rarely valid.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        collection::vec(any::<u8>(), 0..12),
        sample::select(vec![
            &b"{"[..],
            b"}",
            b"[",
            b"]",
            b"\"StreamName\":\"private\"",
            b"\"Stream\\u004eame\":",
            b"\"StreamARN\":\"arn:aws:kinesis:us-east-1:123456789012:stream/private\"",
            b",",
            b"\"\\ud800\"",
            b"1e999",
            b"\xbf",
            b"\xff",
            b"\x9f",
            b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x5f\x41a\xff",
            b"\x6aStreamName",
            b"\x67private",
            b"\xd9\xd9\xf7",
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    collection::vec(fragment, 0..12).prop_map(|fragments| fragments.concat())
}

#[test]
fn any_body_is_answered() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint("vpce-33cc44dd", POLICY)
        .start();
    let operations = [
        "PutRecord",
        "GetRecords",
        "CreateStream",
        "Unheard",
        "TagResource",
    ];
    let strategy = (
        body(),
        sample::select(operations.to_vec()),
        sample::select(vec![
            "application/x-amz-json-1.1",
            "application/x-amz-cbor-1.1",
        ]),
    );
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    let mut runner = runner();
    for _ in 0..CASES {
        let (body, operation, format) = strategy.new_tree(&mut runner).unwrap().current();
        let request = Request::new(operation, body.clone()).replace("Content-Type", format);
        connection.write(&request.bytes());
        let response = connection.response();
        assert_eq!(
            response.status, 400,
            "{operation} {format} {body:?}: {response:?}"
        );
        assert_eq!(response.header("content-type"), Some(format));
    }
    assert!(recorder.requests().is_empty());
    assert_eq!(gate.log(CASES as usize).len(), CASES as usize);
}
