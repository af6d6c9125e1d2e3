//! What is refused before anything is decided: each case proves that nothing arrived.

use std::sync::Arc;

use kinesis_gate::sandbox::Authority;

use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, Gate, GateBuilder, HOST, KEY_ID, Recorder};

struct Parts {
    authority: Arc<Authority>,
    recorder: Recorder,
    gate: Gate,
}

fn parts() -> Parts {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    Parts {
        authority,
        recorder,
        gate,
    }
}

fn put() -> Request {
    Request::new(
        "PutRecord",
        r#"{"StreamName":"orders","Data":"aA==","PartitionKey":"1"}"#,
    )
}

#[test]
fn requests_that_say_too_little_get_the_errors_of_aws() {
    let Parts {
        authority,
        recorder,
        gate,
    } = parts();
    let scope = |scope: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, SignedHeaders=host, Signature={:064}",
            0
        )
    };
    let cases: Vec<(&str, Request, u16, &str)> = vec![
        (
            "unknown target",
            put().replace("x-amz-target", "Other.PutRecord"),
            400,
            "UnknownOperationException",
        ),
        (
            "no target",
            put().without("x-amz-target"),
            400,
            "UnknownOperationException",
        ),
        (
            "unsigned",
            put().without("authorization"),
            400,
            "MissingAuthenticationTokenException",
        ),
        (
            "half signed",
            put().replace("authorization", "AWS4-HMAC-SHA256 SignedHeaders=host"),
            400,
            "IncompleteSignatureException",
        ),
        (
            "signed for another region",
            put().replace(
                "authorization",
                &scope("20261123/eu-west-1/kinesis/aws4_request"),
            ),
            400,
            "InvalidSignatureException",
        ),
        (
            "signed for another service",
            put().replace(
                "authorization",
                &scope("20261123/us-east-1/dynamodb/aws4_request"),
            ),
            400,
            "InvalidSignatureException",
        ),
    ];
    for (n, (case, request, status, error)) in cases.iter().enumerate() {
        let answer = request.send(&authority, gate.address());
        assert_eq!(
            (answer.status, answer.error_type().as_str()),
            (*status, *error),
            "{case}: {answer:?}"
        );
        let line = &gate.log(n + 1)[n];
        assert_eq!(line["decision"], "refused", "{case}");
        assert!(
            line["reason"]
                .as_str()
                .is_some_and(|reason| !reason.is_empty()),
            "{case}: {line}"
        );
    }
    assert!(recorder.requests().is_empty());
}

#[test]
fn what_is_no_call_gets_the_xml_that_stands_before_the_service() {
    let Parts {
        authority,
        recorder,
        gate,
    } = parts();
    let get = put()
        .line("GET / HTTP/1.1")
        .send(&authority, gate.address());
    assert_eq!(get.status, 403);
    let text = String::from_utf8(get.body).unwrap();
    assert!(
        text.starts_with("<AccessDeniedException><Message>Unable to determine"),
        "{text}"
    );
    let typed = put()
        .replace("content-type", "text/plain")
        .send(&authority, gate.address());
    assert_eq!(typed.status, 404);
    assert_eq!(typed.body, b"<UnknownOperationException/>\n");
    assert!(recorder.requests().is_empty());
}

#[test]
fn only_the_names_of_this_endpoint_are_served() {
    let Parts {
        authority,
        recorder,
        gate,
    } = parts();
    let served = [
        HOST,
        "kinesis-fips.us-east-1.amazonaws.com",
        "kinesis.us-east-1.api.aws",
        "123456789012.data-kinesis.us-east-1.amazonaws.com",
        "123456789012.control-kinesis.us-east-1.amazonaws.com",
        "vpce-33cc44dd-abcdefgh.kinesis.us-east-1.vpce.amazonaws.com",
        "localhost",
        "gate.test",
    ];
    for name in served {
        let request = Request::new("ListStreams", "{}").replace("Host", name);
        assert_eq!(
            request.send(&authority, gate.address()).status,
            200,
            "{name}"
        );
    }
    assert_eq!(recorder.requests().len(), served.len());
    let refused = [
        "kinesis.eu-west-1.amazonaws.com",
        "dynamodb.us-east-1.amazonaws.com",
        "kinesis.us-east-1.amazonaws.com.example.org",
        "vpce-00000000-abcdefgh.kinesis.us-east-1.vpce.amazonaws.com",
        "example.org",
    ];
    for name in refused {
        // No certificate for the name in TLS, and no way for it in HTTP.
        assert!(
            Connection::try_open(&authority, gate.address(), name).is_err(),
            "{name}"
        );
        let mut connection = Connection::open(&authority, gate.address(), HOST);
        connection.write(
            &Request::new("ListStreams", "{}")
                .replace("Host", name)
                .bytes(),
        );
        let answer = connection.response();
        assert_eq!(
            (answer.status, answer.error_type().as_str()),
            (421, "MisdirectedRequestException"),
            "{name}"
        );
    }
    // A name that is served, but not the one that TLS asked for.
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    connection.write(
        &Request::new("ListStreams", "{}")
            .replace("Host", "localhost")
            .bytes(),
    );
    assert_eq!(connection.response().status, 421);
    assert_eq!(recorder.requests().len(), served.len());
}

#[test]
fn bodies_have_a_cap() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("body-bytes = 1000\nbuffered-bytes = 1000\nbody-timeout = \"300ms\"")
        .start();
    let long = format!(r#"{{"StreamName":"orders","Data":"{}"}}"#, "A".repeat(1000));
    let announced = Request::new("PutRecord", long.clone());
    assert_eq!(announced.send(&authority, gate.address()).status, 413);
    let chunk = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    let mut chunked = announced
        .without("content-length")
        .header("Transfer-Encoding", "chunked");
    chunked.body = chunk.into_bytes();
    assert_eq!(chunked.send(&authority, gate.address()).status, 413);
    // A body that stalls does not hold its memory for ever.
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    connection.write(&put().head());
    let answer = connection.response();
    assert_eq!(
        (answer.status, answer.error_type().as_str()),
        (400, "RequestTimeoutException")
    );
    assert!(recorder.requests().is_empty());
}

#[test]
fn leaves_are_minted_for_the_name_asked_for() {
    let Parts {
        authority, gate, ..
    } = parts();
    let shown =
        |name: &str| Connection::open(&authority, gate.address(), name).server_certificate();
    assert_eq!(shown(HOST), shown(HOST), "minted once");
    assert_ne!(shown(HOST), shown("localhost"));
    // No name is asked for where the client was given an address.
    Connection::open(&authority, gate.address(), "127.0.0.1");
}
