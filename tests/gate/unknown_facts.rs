//! Unknown condition keys and resources decide against the request, and the log names them.

use std::sync::Arc;

use kinesis_gate::sandbox::Authority;

use crate::support::raw::Request;
use crate::support::{Behaviour, GateBuilder, KEY_ID, Recorder};

/// An access key from before 2019 hides its account.
const OLD_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const STREAM: &str = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"kinesis:*",
    "Resource":"arn:aws:kinesis:us-east-1:123456789012:stream/orders"}}"#;
const ORGANIZATION: &str = r#"{"Statement":{"Sid":"Ours","Effect":"Allow","Principal":"*",
    "Action":"kinesis:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}}}"#;

#[test]
fn the_log_names_the_unknown_that_decided() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint("vpce-33cc44dd", STREAM)
        .endpoint("vpce-22bb33cc", ORGANIZATION)
        .start();
    // Endpoint, access key, operation, body, and the unknown that decided.
    #[rustfmt::skip]
    let cases = [
        (0, OLD_KEY, "PutRecord", r#"{"StreamName":"orders"}"#, "resource"),
        (0, KEY_ID, "PutRecord", r#"{"StreamId":"abcdefghij0123456789-abc"}"#, "resource"),
        (1, KEY_ID, "PutRecord", r#"{"StreamName":"orders"}"#, "aws:PrincipalOrgID"),
    ];
    for (n, (endpoint, key, operation, body, unknown)) in cases.into_iter().enumerate() {
        let request = Request::with_key(operation, body, key);
        let response = request.send(&authority, gate.addresses()[endpoint]);
        assert_eq!(
            response.error_type(),
            "AccessDeniedException",
            "{response:?}"
        );
        let line = &gate.log(n + 1)[n];
        assert_eq!(line["decision"], "implicit-deny", "{line}");
        assert_eq!(line["unknown"], unknown, "{line}");
        // The response does not name it.
        assert!(!response.message().contains("unknown"), "{response:?}");
    }
    assert!(recorder.requests().is_empty());
}
