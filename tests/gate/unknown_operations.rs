//! Unknown operations, newer than the table: evaluated as `kinesis:<Name>` on the resources that
//! their members name, or on an unknown resource.

use std::sync::Arc;

use kinesis_gate::sandbox::Authority;

use crate::support::raw::Request;
use crate::support::{Behaviour, GateBuilder, Recorder};

const ONE_STREAM: &str = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"kinesis:*",
    "Resource":"arn:aws:kinesis:us-east-1:123456789012:stream/orders"}}"#;
const BY_NAME: &str = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"kinesis:Merge*",
    "Resource":"*"}}"#;
const LISTED_ONLY: &str = r#"{"Statement":{"Effect":"Allow","Principal":"*",
    "Action":["kinesis:Put*","kinesis:Describe*"],"Resource":"*"}}"#;
const BUT_ONE: &str = r#"{"Statement":[
    {"Effect":"Allow","Principal":"*","Action":"kinesis:*","Resource":"*"},
    {"Effect":"Deny","Principal":"*","Action":"kinesis:MergeStreams",
     "Resource":"arn:aws:kinesis:us-east-1:123456789012:stream/private"}]}"#;

const ORDERS: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/orders";

/// Policy, operation, body, and the resource of an allowed request.
#[rustfmt::skip]
const CASES: &[(&str, &str, &str, Option<&str>)] = &[
    (ONE_STREAM, "MergeStreams", r#"{"StreamName":"orders"}"#, Some(ORDERS)),
    (ONE_STREAM, "MergeStreams", r#"{"X":1,"StreamARN":"arn:aws:kinesis:us-east-1:123456789012:stream/orders"}"#, Some(ORDERS)),
    (ONE_STREAM, "MergeStreams", r#"{"StreamName":"private"}"#, None),
    (ONE_STREAM, "MergeStreams", r#"{"StreamName":"orders","StreamConfigurationList":[{"StreamARN":"arn:aws:kinesis:us-east-1:123456789012:stream/private"}]}"#, None),
    // A body without a known member may be about any resource.
    (ONE_STREAM, "MergeStreams", r#"{}"#, None),
    (ONE_STREAM, "MergeStreams", r#"{"NewStreamName":"orders"}"#, None),
    (ONE_STREAM, "MergeStreams", r#"{"NextToken":"orders"}"#, None),
    (ONE_STREAM, "MergeStreams", r#"{"StreamId":"abcdefghij0123456789-abc"}"#, None),
    (BY_NAME, "MergeStreams", r#"{}"#, Some("*")),
    (BY_NAME, "MergeStreams", r#"{"StreamName":"orders"}"#, Some(ORDERS)),
    (BY_NAME, "SplitStreams", r#"{}"#, None),
    (LISTED_ONLY, "MergeStreams", r#"{"StreamName":"orders"}"#, None),
    (LISTED_ONLY, "PutStreams", r#"{"StreamName":"orders"}"#, Some(ORDERS)),
    (BUT_ONE, "MergeStreams", r#"{"StreamName":"orders"}"#, Some(ORDERS)),
    (BUT_ONE, "MergeStreams", r#"{"StreamName":"private"}"#, None),
    (BUT_ONE, "MergeStreams", r#"{}"#, None),
];

#[test]
fn an_unknown_operation_is_evaluated_on_the_resources_it_names() {
    let authority = Arc::new(Authority::create().unwrap());
    for (policy, operation, body, allowed) in CASES {
        let recorder = Recorder::start(&authority, Behaviour::Respond);
        let gate = GateBuilder::new(&authority, recorder.address())
            .endpoint("vpce-33cc44dd", policy)
            .start();
        let response = Request::new(operation, *body).send(&authority, gate.address());
        let line = &gate.log(1)[0];
        assert_eq!(line["action"], format!("kinesis:{operation}"));
        match allowed {
            Some(resource) => {
                assert_eq!(response.status, 200, "{operation} {body}: {line}");
                assert_eq!(line["resource"], *resource, "{operation} {body}");
                assert_eq!(recorder.requests().len(), 1);
            }
            None => {
                assert_eq!(
                    response.error_type(),
                    "AccessDeniedException",
                    "{operation} {body}: {line}"
                );
                assert_eq!(recorder.connections(), 0, "{operation} {body}");
            }
        }
    }
}

/// IAM compares actions without regard to case; the service does not, so such a name is not a newer
/// operation.
#[test]
fn a_known_name_in_another_case_is_no_operation() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    for operation in ["putRecord", "PUTRECORD", "Putrecord", "ListSTREAMS"] {
        let response = Request::new(operation, "{}").send(&authority, gate.address());
        assert_eq!(
            response.error_type(),
            "UnknownOperationException",
            "{operation}"
        );
    }
    assert_eq!(recorder.connections(), 0);
}
