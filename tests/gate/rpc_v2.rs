//! Smithy RPC v2 CBOR: the same decisions, read from the path, and errors in the protocol's form.
//! <https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html>

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use kinesis_gate::sandbox::Authority;

use crate::support::raw::{Request, Response};
use crate::support::{Behaviour, GateBuilder, HOST, Recorder, http2};

const POLICY: &str = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"kinesis:PutRecord",
    "Resource":"arn:aws:kinesis:us-east-1:123456789012:stream/orders"}}"#;
const PUT: &str = "/service/Kinesis_20131202/operation/PutRecord";

/// `{"StreamName": stream, "Data": h'68'}`, without lengths.
fn body(stream: &str) -> Vec<u8> {
    let mut out = b"\xbf\x6aStreamName".to_vec();
    out.push(0x60 | stream.len() as u8);
    out.extend(stream.bytes());
    out.extend(b"\x64Data\x41h\xff");
    out
}

fn request(path: &str, body: Vec<u8>) -> Request {
    Request::new("PutRecord", body)
        .line(&format!("POST {path} HTTP/1.1"))
        .without("x-amz-target")
        .header("Smithy-Protocol", "rpc-v2-cbor")
        .header("Accept", "application/cbor")
        .replace("content-type", "application/cbor")
}

fn over_http2(request: &Request) -> http::Request<http2::Body> {
    let path = request.line.split(' ').nth(1).unwrap();
    let mut builder = http::Request::post(format!("https://{HOST}{path}"));
    for (name, value) in &request.headers {
        if !name.eq_ignore_ascii_case("host") {
            builder = builder.header(name.to_ascii_lowercase(), value);
        }
    }
    builder
        .body(Full::new(Bytes::from(request.body.clone())))
        .unwrap()
}

fn assert_rpc_v2_error(response: &Response, error: &str) {
    assert_eq!(
        response.header("smithy-protocol"),
        Some("rpc-v2-cbor"),
        "{response:?}"
    );
    assert_eq!(
        response.header("content-type"),
        Some("application/cbor"),
        "{response:?}"
    );
    assert_eq!(response.header("x-amzn-errortype"), None);
    assert!(response.header("x-amzn-requestid").is_some());
    // The error's absolute shape id, by which clients know its type.
    assert_eq!(
        response.cbor("__type").unwrap(),
        format!("com.amazonaws.kinesis#{error}")
    );
}

#[test]
fn an_allowed_request_arrives_unchanged() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint("vpce-33cc44dd", POLICY)
        .start();
    let sent = request(PUT, body("orders"));
    assert_eq!(sent.send(&authority, gate.address()).status, 200);
    let arrived = recorder.requests().pop().unwrap();
    assert!(arrived.head.starts_with(sent.line.as_bytes()));
    let (mut headers, mut expected) = (arrived.headers, sent.headers.clone());
    headers.sort();
    expected.sort();
    assert_eq!(headers, expected);
    assert_eq!(arrived.body, sent.body);
    let line = &gate.log(1)[0];
    assert_eq!(line["action"], "kinesis:PutRecord");
    assert_eq!(
        line["resource"],
        "arn:aws:kinesis:us-east-1:123456789012:stream/orders"
    );

    let recorder = Recorder::start_http2(&authority);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint("vpce-33cc44dd", POLICY)
        .start();
    let response = http2::try_send(&authority, gate.address(), over_http2(&sent)).unwrap();
    assert_eq!(response.status, 200);
    let arrived = recorder.requests().pop().unwrap();
    assert_eq!(arrived.body, sent.body);
    assert!(
        arrived
            .headers
            .contains(&(":path".to_owned(), PUT.to_owned()))
    );
    assert!(
        arrived
            .headers
            .contains(&("smithy-protocol".to_owned(), "rpc-v2-cbor".to_owned()))
    );
}

#[test]
fn denials_have_the_form_of_the_protocol() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint("vpce-33cc44dd", POLICY)
        .start();
    let denied = [
        (PUT, body("private"), "stream/private"),
        (
            "/service/Kinesis_20131202/operation/DeleteStream",
            body("orders"),
            "stream/orders",
        ),
        // Newer than the table: decided by the same members.
        (
            "/service/Kinesis_20131202/operation/MergeStreams",
            body("orders"),
            "stream/orders",
        ),
        (
            "/service/Kinesis_20131202/operation/ListStreams",
            vec![0xa0],
            "*",
        ),
    ];
    for (path, body, resource) in denied {
        let request = request(path, body);
        let name = path.rsplit('/').next().unwrap();
        let over_http1 = request.send(&authority, gate.address());
        let over_http2 = http2::try_send(&authority, gate.address(), over_http2(&request)).unwrap();
        for response in [over_http1, over_http2] {
            assert_eq!(response.status, 400);
            assert_rpc_v2_error(&response, "AccessDeniedException");
            let message = response.cbor("message").unwrap();
            assert!(
                message.contains(&format!("not authorized to perform: kinesis:{name}")),
                "{message}"
            );
            assert!(message.contains(resource), "{message}");
        }
    }
    assert_eq!(recorder.connections(), 0);
}

/// A request that is not wholly of the protocol is refused.
#[test]
fn a_request_that_mixes_protocols_is_refused() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    let valid = || request(PUT, body("orders"));
    let path = |path: &str| request(path, body("orders"));
    let target = "Kinesis_20131202.PutRecord";
    #[rustfmt::skip]
    let cases = [
        ("a target beside the path", valid().header("X-Amz-Target", target), 400, "SerializationException"),
        ("another target", valid().header("X-Amzn-Target", target), 400, "SerializationException"),
        ("another version", valid().replace("smithy-protocol", "rpc-v2-json"), 400, "SerializationException"),
        ("in another case", valid().replace("smithy-protocol", "RPC-v2-CBOR"), 400, "SerializationException"),
        ("said twice", valid().header("smithy-protocol", "rpc-v2-cbor"), 400, "SerializationException"),
        ("JSON", valid().replace("content-type", "application/x-amz-json-1.1"), 400, "SerializationException"),
        ("the other CBOR", valid().replace("content-type", "application/x-amz-cbor-1.1"), 400, "SerializationException"),
        ("no header", valid().without("smithy-protocol"), 400, "SerializationException"),
        ("no header and the root", path("/").without("smithy-protocol").header("X-Amz-Target", target), 404, "UnknownOperationException"),
        ("no content type", valid().without("content-type"), 404, "UnknownOperationException"),
        ("an event stream", valid().replace("content-type", "application/vnd.amazon.eventstream"), 404, "UnknownOperationException"),
        ("no body", request(PUT, Vec::new()), 400, "SerializationException"),
        ("the root", path("/"), 400, "UnknownOperationException"),
        ("a prefix", path("/v1/service/Kinesis_20131202/operation/PutRecord"), 400, "UnknownOperationException"),
        ("a slash more", path("/service/Kinesis_20131202/operation/PutRecord/"), 400, "UnknownOperationException"),
        ("an encoded letter", path("/service/Kinesis_20131202/operation/Put%52ecord"), 400, "UnknownOperationException"),
        ("another case", path("/service/Kinesis_20131202/operation/putRecord"), 400, "UnknownOperationException"),
        ("another service", path("/service/DynamoDB_20120810/operation/PutItem"), 400, "UnknownOperationException"),
        ("two of them", path("/service/Kinesis_20131202/operation/ListStreams/service/Kinesis_20131202/operation/PutRecord"), 400, "UnknownOperationException"),
    ];
    for (n, (title, request, status, error)) in cases.iter().enumerate() {
        let response = request.send(&authority, gate.address());
        assert_eq!(response.status, *status, "{title}: {response:?}");
        let error_type = response.error_type();
        assert_eq!(
            error_type.rsplit('#').next().unwrap(),
            *error,
            "{title}: {response:?}"
        );
        assert_eq!(gate.log(n + 1)[n]["decision"], "refused", "{title}");
    }
    assert_eq!(recorder.connections(), 0);
}
