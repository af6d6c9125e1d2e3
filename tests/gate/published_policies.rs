//! The three policies that AWS publishes for Kinesis endpoints, loaded from a configuration file.

use std::sync::Arc;

use kinesis_gate::sandbox::Authority;
use serde_json::json;

use crate::support::raw::Request;
use crate::support::{ACCOUNT, ANALYST_KEY_ID, Behaviour, Gate, GateBuilder, KEY_ID, Recorder};

const READ_ONLY: &str = include_str!("../../config/policies/read-only.json");
const ONE_STREAM: &str = include_str!("../../config/policies/one-stream.json");
/// The policy of an AWS endpoint to which none is attached.
pub const FULL_ACCESS: &str =
    r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}"#;

struct Fixture {
    authority: Arc<Authority>,
    recorder: Recorder,
    gate: Gate,
}

/// Three endpoints: read-only, one stream, and the one that the third policy names.
fn three_endpoints() -> Fixture {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint("vpce-22bb33cc", READ_ONLY)
        .endpoint("vpce-33cc44dd", ONE_STREAM)
        .endpoint("vpce-11aa22bb", FULL_ACCESS)
        .start();
    Fixture {
        authority,
        recorder,
        gate,
    }
}

/// Endpoint, access key, operation, body, and the reason of a denial: `None` if it is forwarded.
type Case = (
    usize,
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
);

const NO_POLICY_ALLOWS: Option<&str> = Some("because no VPC endpoint policy allows the");
const IDENTITY_DENIES: Option<&str> = Some("with an explicit deny in an identity-based policy");

#[rustfmt::skip]
const CASES: &[Case] = &[
    (0, KEY_ID, "ListStreams", "{}", None),
    (0, KEY_ID, "DescribeStream", r#"{"StreamName":"MyStream"}"#, None),
    (0, KEY_ID, "DescribeLimits", "{}", None),
    (0, KEY_ID, "ListShards", r#"{"StreamName":"Other"}"#, None),
    (0, KEY_ID, "PutRecord", r#"{"StreamName":"MyStream","Data":"aA==","PartitionKey":"1"}"#, NO_POLICY_ALLOWS),
    (0, KEY_ID, "CreateStream", r#"{"StreamName":"New"}"#, NO_POLICY_ALLOWS),
    (0, KEY_ID, "GetRecords", r#"{"ShardIterator":"x"}"#, NO_POLICY_ALLOWS),
    (1, KEY_ID, "PutRecord", r#"{"StreamName":"MyStream","Data":"aA==","PartitionKey":"1"}"#, None),
    (1, KEY_ID, "PutRecord", r#"{"Data":"aA==","PartitionKey":"1","StreamARN":"arn:aws:kinesis:us-east-1:123456789012:stream/MyStream"}"#, None),
    (1, KEY_ID, "DeleteStream", r#"{"StreamName":"MyStream"}"#, None),
    (1, KEY_ID, "PutRecord", r#"{"StreamName":"Other","Data":"aA==","PartitionKey":"1"}"#, NO_POLICY_ALLOWS),
    (1, KEY_ID, "PutRecord", r#"{"StreamName":"MyStream2","Data":"aA==","PartitionKey":"1"}"#, NO_POLICY_ALLOWS),
    (1, KEY_ID, "PutRecord", r#"{"StreamName":"mystream","Data":"aA==","PartitionKey":"1"}"#, NO_POLICY_ALLOWS),
    (1, KEY_ID, "PutRecord", r#"{"StreamARN":"arn:aws:kinesis:us-east-1:210987654321:stream/MyStream","Data":"aA==","PartitionKey":"1"}"#, NO_POLICY_ALLOWS),
    (1, KEY_ID, "ListStreams", "{}", NO_POLICY_ALLOWS),
    // An access key that hides its account: the stream may be in any account, and the caller may be
    // the analyst.
    (1, "AKIAIOSFODNN7EXAMPLE", "PutRecord", r#"{"StreamName":"MyStream","Data":"aA==","PartitionKey":"1"}"#, IDENTITY_DENIES),
    (2, ANALYST_KEY_ID, "PutRecord", r#"{"StreamName":"MyStream","Data":"aA==","PartitionKey":"1"}"#, None),
    (2, ANALYST_KEY_ID, "PutRecord", r#"{"StreamName":"Other","Data":"aA==","PartitionKey":"1"}"#, None),
    (1, ANALYST_KEY_ID, "PutRecord", r#"{"StreamName":"MyStream","Data":"aA==","PartitionKey":"1"}"#, IDENTITY_DENIES),
    (0, ANALYST_KEY_ID, "DescribeStream", r#"{"StreamName":"MyStream"}"#, IDENTITY_DENIES),
    (0, ANALYST_KEY_ID, "DescribeStream", r#"{"StreamName":"Other"}"#, None),
];

#[test]
fn the_published_policies_decide_as_published() {
    let Fixture {
        authority,
        recorder,
        gate,
    } = three_endpoints();
    let mut forwarded = 0;
    for (endpoint, key, operation, body, expected) in CASES {
        let case = format!("endpoint {endpoint}, {key}, {operation} {body}");
        let request = Request::with_key(operation, *body, key);
        let response = request.send(&authority, gate.addresses()[*endpoint]);
        match expected {
            None => {
                assert_eq!(response.status, 200, "{case}: {response:?}");
                forwarded += 1;
            }
            Some(reason) => {
                assert_eq!(response.status, 400, "{case}: {response:?}");
                assert_eq!(response.error_type(), "AccessDeniedException", "{case}");
                assert!(
                    response.message().contains(reason),
                    "{case}: {}",
                    response.message()
                );
                let action =
                    format!("is not authorized to perform: kinesis:{operation} on resource: ");
                assert!(
                    response.message().contains(&action),
                    "{case}: {}",
                    response.message()
                );
            }
        }
        // A denied request never arrives; an allowed one arrives once.
        assert_eq!(recorder.requests().len(), forwarded, "{case}");
    }
}

#[test]
fn a_denial_has_the_message_and_headers_of_aws() {
    let Fixture {
        authority, gate, ..
    } = three_endpoints();
    let body = r#"{"StreamName":"Other","Data":"aA==","PartitionKey":"1"}"#;
    let response = Request::new("PutRecord", body).send(&authority, gate.addresses()[1]);
    assert_eq!(
        response.message(),
        format!(
            "User: arn:aws:iam::{ACCOUNT}:user/producer is not authorized to perform: \
             kinesis:PutRecord on resource: arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/Other \
             because no VPC endpoint policy allows the kinesis:PutRecord action"
        )
    );
    assert_eq!(
        response.header("content-type"),
        Some("application/x-amz-json-1.1")
    );
    assert_eq!(response.header("x-amzn-errortype"), None);
    assert_eq!(response.header("x-amzn-requestid").map(str::len), Some(36));
    assert_eq!(response.header("x-amz-id-2").map(str::len), Some(96));
    assert!(response.header("date").is_some());
    assert_eq!(
        response.header("connection"),
        None,
        "the connection stays open"
    );
}

#[test]
fn a_denied_cbor_request_gets_a_cbor_response() {
    let Fixture {
        authority,
        gate,
        recorder,
    } = three_endpoints();
    // {"StreamName": "Other"}, as an indefinite map.
    let body = b"\xbf\x6aStreamName\x65Other\xff".to_vec();
    let response = Request::new("DeleteStream", body)
        .replace("Content-Type", "application/x-amz-cbor-1.1")
        .send(&authority, gate.addresses()[1]);
    assert_eq!(response.status, 400);
    assert_eq!(
        response.header("content-type"),
        Some("application/x-amz-cbor-1.1")
    );
    assert_eq!(response.cbor("__type").unwrap(), "AccessDeniedException");
    let message = response.cbor("Message").unwrap();
    assert!(message.contains("kinesis:DeleteStream"), "{message}");
    assert!(recorder.requests().is_empty());
}

#[test]
fn the_decision_log_names_principal_action_resource_and_statement() {
    let Fixture {
        authority, gate, ..
    } = three_endpoints();
    let put = r#"{"StreamName":"MyStream","Data":"c2VjcmV0","PartitionKey":"classified"}"#;
    let allowed = Request::new("PutRecord", put).send(&authority, gate.addresses()[1]);
    let implicit = Request::new("PutRecord", put).send(&authority, gate.addresses()[0]);
    let explicit =
        Request::with_key("PutRecord", put, ANALYST_KEY_ID).send(&authority, gate.addresses()[1]);
    let log = gate.log(3);
    let member = |n: usize, name: &str| log[n][name].clone();

    assert_eq!(member(0, "decision"), "allow");
    assert_eq!(member(0, "statement"), "AccessToSpecificDataStream");
    assert_eq!(member(0, "endpoint"), "vpce-33cc44dd");
    assert_eq!(member(0, "action"), "kinesis:PutRecord");
    assert_eq!(
        member(0, "resource"),
        "arn:aws:kinesis:us-east-1:123456789012:stream/MyStream"
    );
    assert_eq!(
        member(0, "request_id"),
        "upstream-id",
        "the id that the client sees"
    );
    assert_eq!(allowed.header("x-amzn-requestid"), Some("upstream-id"));
    assert_eq!(
        member(0, "principal"),
        json!({
            "access_key_id": KEY_ID,
            "account": ACCOUNT,
            "arn": "arn:aws:iam::123456789012:user/producer",
        })
    );
    assert_eq!(
        (member(0, "status"), member(0, "upstream_status")),
        (json!(200), json!(200))
    );
    assert_eq!(member(0, "request_bytes"), put.len());
    assert_eq!(member(0, "response_bytes"), 2);
    assert_eq!(member(0, "peer"), "127.0.0.1");

    assert_eq!(member(1, "decision"), "implicit-deny");
    assert_eq!(
        (member(1, "layer"), member(1, "statement")),
        (json!("endpoint"), json!(null))
    );
    assert_eq!(
        member(1, "request_id").as_str(),
        implicit.header("x-amzn-requestid")
    );
    assert_eq!(member(1, "upstream_status"), json!(null));

    assert_eq!(member(2, "decision"), "explicit-deny");
    assert_eq!(member(2, "layer"), "identity");
    assert_eq!(member(2, "statement"), "AccessFromSpecificEndpoint");
    assert_eq!(
        member(2, "principal")["arn"],
        "arn:aws:iam::123456789012:user/analyst"
    );
    assert_eq!(explicit.status, 400);

    // Record data, partition keys and signatures are not logged.
    let text = serde_json::to_string(&log).unwrap();
    for secret in ["c2VjcmV0", "classified", "Signature", "AWS4-HMAC"] {
        assert!(!text.contains(secret), "`{secret}` in {text}");
    }
}
