//! Large bodies are forwarded while they are scanned; their tail is held back until all is judged.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kinesis_gate::sandbox::Authority;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::support::raw::{Connection, Request, client_config};
use crate::support::{Behaviour, GateBuilder, HOST, KEY_ID, Recorder, signature};

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
        "InvalidArgumentException",
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
        let recorder = Recorder::start(&authority, Behaviour::Answer);
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
                assert_eq!(answer.error(), *error, "{end}: {answer:?}");
                assert!(recorder.requests().is_empty(), "{end}: it was executed");
                // It had begun to leave, so this is the tail's doing; the end never came.
                let broken = recorder.broken().pop().unwrap();
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
        assert_eq!(
            send_http2(&authority, gate.address(), &body),
            *status,
            "{end}"
        );
        if *status == 200 {
            assert!(recorder.requests()[0].body == body.as_bytes(), "{end}");
        } else {
            assert!(recorder.requests().is_empty(), "{end}: it was executed");
            assert!(recorder.broken()[0] > 0, "{end}");
        }
    }
}

#[test]
fn a_large_body_of_a_denied_stream_never_leaves() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Answer);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint("vpce-33cc44dd", POLICY)
        .start();
    let body = large("}").replace(r#""orders""#, r#""private""#);
    let answer = Request::new("PutRecords", body).send(&authority, gate.address());
    assert_eq!(
        (answer.status, answer.error().as_str()),
        (400, "AccessDeniedException")
    );
    assert_eq!(recorder.connections(), 0);
}

#[test]
fn a_client_that_leaves_or_stalls_executes_nothing() {
    let authority = Arc::new(Authority::create().unwrap());
    for stalls in [false, true] {
        let recorder = Recorder::start(&authority, Behaviour::Answer);
        let gate = GateBuilder::new(&authority, recorder.address())
            .limits("body-timeout = \"500ms\"")
            .endpoint("vpce-33cc44dd", POLICY)
            .start();
        let request = Request::new("PutRecords", large("}"));
        let bytes = request.bytes();
        let mut connection = Connection::open(&authority, gate.address(), HOST);
        connection.write(&bytes[..bytes.len() - 1]);
        if stalls {
            let answer = connection.answer();
            assert_eq!(
                (answer.status, answer.error().as_str()),
                (400, "RequestTimeoutException")
            );
        } else {
            std::thread::sleep(Duration::from_millis(100));
            drop(connection);
        }
        assert!(recorder.broken()[0] > 0);
        assert!(recorder.requests().is_empty());
    }
}

fn send_http2(authority: &Authority, address: SocketAddr, body: &str) -> u16 {
    let mut config = client_config(authority);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let signed = ["content-type", "host", "x-amz-date", "x-amz-target"];
    let headers = [
        ("host", HOST),
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-date", "20261123T120000Z"),
        ("x-amz-target", "Kinesis_20131202.PutRecords"),
    ];
    let headers: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let authorization = signature::sign(&headers, &signed, body.as_bytes(), KEY_ID);
    let mut request =
        http::Request::post(format!("https://{HOST}/")).header("authorization", authorization);
    for (name, value) in headers.iter().skip(1) {
        request = request.header(name, value);
    }
    let request = request
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        let tls = TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
            .unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls))
                .await
                .unwrap();
        tokio::spawn(connection);
        let response = sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        response.into_body().collect().await.unwrap();
        status
    })
}
