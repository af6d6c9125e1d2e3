//! Requests that are refused before any decision: each case proves that nothing is sent upstream.

use std::sync::Arc;

use kinesis_gate::sandbox::Authority;

use crate::http1_conformance::put;
use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, Gate, GateBuilder, HOST, KEY_ID, Recorder};

struct Fixture {
    authority: Arc<Authority>,
    recorder: Recorder,
    gate: Gate,
}

fn fixture() -> Fixture {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    Fixture {
        authority,
        recorder,
        gate,
    }
}

#[test]
fn incomplete_requests_get_the_errors_of_aws() {
    let Fixture {
        authority,
        recorder,
        gate,
    } = fixture();
    let scope = |scope: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, SignedHeaders=host, Signature={:064}",
            0
        )
    };
    #[rustfmt::skip]
    let cases: Vec<(&str, Request, u16, &str)> = vec![
        ("unknown target", put().replace("x-amz-target", "Other.PutRecord"), 400, "UnknownOperationException"),
        ("no target", put().without("x-amz-target"), 400, "UnknownOperationException"),
        ("unsigned", put().without("authorization"), 400, "MissingAuthenticationTokenException"),
        ("half signed", put().replace("authorization", "AWS4-HMAC-SHA256 SignedHeaders=host"), 400, "IncompleteSignatureException"),
        ("signed for another region", put().replace("authorization", &scope("20261123/eu-west-1/kinesis/aws4_request")), 400, "InvalidSignatureException"),
        ("signed for another service", put().replace("authorization", &scope("20261123/us-east-1/dynamodb/aws4_request")), 400, "InvalidSignatureException"),
    ];
    for (n, (case, request, status, error)) in cases.iter().enumerate() {
        let response = request.send(&authority, gate.address());
        assert_eq!(
            (response.status, response.error_type().as_str()),
            (*status, *error),
            "{case}: {response:?}"
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
fn a_request_that_is_no_api_call_gets_the_xml_of_aws() {
    let Fixture {
        authority,
        recorder,
        gate,
    } = fixture();
    let get = put()
        .line("GET / HTTP/1.1")
        .send(&authority, gate.address());
    assert_eq!(get.status, 403);
    let text = String::from_utf8(get.body).unwrap();
    assert!(
        text.starts_with("<AccessDeniedException><Message>Unable to determine"),
        "{text}"
    );
    let other_type = put()
        .replace("content-type", "text/plain")
        .send(&authority, gate.address());
    assert_eq!(other_type.status, 404);
    assert_eq!(other_type.body, b"<UnknownOperationException/>\n");
    assert!(recorder.requests().is_empty());
}

#[test]
fn only_the_names_of_this_endpoint_are_served() {
    let Fixture {
        authority,
        recorder,
        gate,
    } = fixture();
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
        // No certificate for the SNI name, and 421 for the Host.
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
        let response = connection.response();
        assert_eq!(
            (response.status, response.error_type().as_str()),
            (421, "MisdirectedRequestException"),
            "{name}"
        );
    }
    // A name that is served, but not the SNI name of the connection.
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
fn a_body_over_its_limit_or_timeout_is_refused() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("body-bytes = 1000\nbuffered-bytes = 1000\nbody-timeout = \"300ms\"")
        .start();
    let body = format!(r#"{{"StreamName":"orders","Data":"{}"}}"#, "A".repeat(1000));
    let sized = Request::new("PutRecord", body.clone());
    assert_eq!(sized.send(&authority, gate.address()).status, 413);
    let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let mut chunked = sized
        .without("content-length")
        .header("Transfer-Encoding", "chunked");
    chunked.body = chunk.into_bytes();
    assert_eq!(chunked.send(&authority, gate.address()).status, 413);
    // A body that stalls times out.
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    connection.write(&put().head());
    let response = connection.response();
    assert_eq!(
        (response.status, response.error_type().as_str()),
        (400, "RequestTimeoutException")
    );
    assert!(recorder.requests().is_empty());
}

#[test]
fn a_leaf_certificate_is_issued_for_each_sni_name() {
    let Fixture {
        authority, gate, ..
    } = fixture();
    let certificate =
        |name: &str| Connection::open(&authority, gate.address(), name).server_certificate();
    assert_eq!(certificate(HOST), certificate(HOST), "issued once");
    assert_ne!(certificate(HOST), certificate("localhost"));
    // A client that connects to an address sends no SNI name.
    Connection::open(&authority, gate.address(), "127.0.0.1");
}
