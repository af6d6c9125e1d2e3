//! The three policies that AWS publishes for Kinesis endpoints, through a configuration file.

use std::sync::Arc;

use kinesis_gate::sandbox::Authority;
use serde_json::json;

use crate::support::raw::Request;
use crate::support::{ACCOUNT, ANALYST_KEY_ID, Behaviour, Gate, GateBuilder, KEY_ID, Recorder};

const READ_ONLY: &str = include_str!("../../config/policies/read-only.json");
const ONE_STREAM: &str = include_str!("../../config/policies/one-stream.json");
const FULL: &str =
    r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}"#;

struct Parts {
    authority: Arc<Authority>,
    recorder: Recorder,
    gate: Gate,
}

/// Three endpoints: read-only, one stream, and the one that the third policy names.
fn three_endpoints() -> Parts {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint("vpce-22bb33cc", READ_ONLY)
        .endpoint("vpce-33cc44dd", ONE_STREAM)
        .endpoint("vpce-11aa22bb", FULL)
        .start();
    Parts {
        authority,
        recorder,
        gate,
    }
}

/// Endpoint, key, operation, body, and what is answered: `None` if it is forwarded.
type Case = (
    usize,
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
);

const NO_POLICY_ALLOWS: Option<&str> = Some("because no VPC endpoint policy allows the");
const IDENTITY_DENIES: Option<&str> = Some("with an explicit deny in an identity-based policy");

const CASES: &[Case] = &[
    (0, KEY_ID, "ListStreams", "{}", None),
    (
        0,
        KEY_ID,
        "DescribeStream",
        r#"{"StreamName":"MyStream"}"#,
        None,
    ),
    (0, KEY_ID, "DescribeLimits", "{}", None),
    (0, KEY_ID, "ListShards", r#"{"StreamName":"Other"}"#, None),
    (
        0,
        KEY_ID,
        "PutRecord",
        r#"{"StreamName":"MyStream","Data":"aA==","PartitionKey":"1"}"#,
        NO_POLICY_ALLOWS,
    ),
    (
        0,
        KEY_ID,
        "CreateStream",
        r#"{"StreamName":"New"}"#,
        NO_POLICY_ALLOWS,
    ),
    (
        0,
        KEY_ID,
        "GetRecords",
        r#"{"ShardIterator":"x"}"#,
        NO_POLICY_ALLOWS,
    ),
    (
        1,
        KEY_ID,
        "PutRecord",
        r#"{"StreamName":"MyStream","Data":"aA==","PartitionKey":"1"}"#,
        None,
    ),
    (
        1,
        KEY_ID,
        "PutRecord",
        r#"{"Data":"aA==","PartitionKey":"1","StreamARN":"arn:aws:kinesis:us-east-1:123456789012:stream/MyStream"}"#,
        None,
    ),
    (
        1,
        KEY_ID,
        "DeleteStream",
        r#"{"StreamName":"MyStream"}"#,
        None,
    ),
    (
        1,
        KEY_ID,
        "PutRecord",
        r#"{"StreamName":"Other","Data":"aA==","PartitionKey":"1"}"#,
        NO_POLICY_ALLOWS,
    ),
    (
        1,
        KEY_ID,
        "PutRecord",
        r#"{"StreamName":"MyStream2","Data":"aA==","PartitionKey":"1"}"#,
        NO_POLICY_ALLOWS,
    ),
    (
        1,
        KEY_ID,
        "PutRecord",
        r#"{"StreamName":"mystream","Data":"aA==","PartitionKey":"1"}"#,
        NO_POLICY_ALLOWS,
    ),
    (
        1,
        KEY_ID,
        "PutRecord",
        r#"{"StreamARN":"arn:aws:kinesis:us-east-1:210987654321:stream/MyStream","Data":"aA==","PartitionKey":"1"}"#,
        NO_POLICY_ALLOWS,
    ),
    (1, KEY_ID, "ListStreams", "{}", NO_POLICY_ALLOWS),
    // A key id that hides its account, and no word on whose it is: the name may be in any account,
    // and the caller may be the analyst.
    (
        1,
        "AKIAIOSFODNN7EXAMPLE",
        "PutRecord",
        r#"{"StreamName":"MyStream","Data":"aA==","PartitionKey":"1"}"#,
        IDENTITY_DENIES,
    ),
    (
        2,
        ANALYST_KEY_ID,
        "PutRecord",
        r#"{"StreamName":"MyStream","Data":"aA==","PartitionKey":"1"}"#,
        None,
    ),
    (
        2,
        ANALYST_KEY_ID,
        "PutRecord",
        r#"{"StreamName":"Other","Data":"aA==","PartitionKey":"1"}"#,
        None,
    ),
    (
        1,
        ANALYST_KEY_ID,
        "PutRecord",
        r#"{"StreamName":"MyStream","Data":"aA==","PartitionKey":"1"}"#,
        IDENTITY_DENIES,
    ),
    (
        0,
        ANALYST_KEY_ID,
        "DescribeStream",
        r#"{"StreamName":"MyStream"}"#,
        IDENTITY_DENIES,
    ),
    (
        0,
        ANALYST_KEY_ID,
        "DescribeStream",
        r#"{"StreamName":"Other"}"#,
        None,
    ),
];

#[test]
fn they_behave_as_published() {
    let Parts {
        authority,
        recorder,
        gate,
    } = three_endpoints();
    let mut forwarded = 0;
    for (endpoint, key, operation, body, expected) in CASES {
        let case = format!("endpoint {endpoint}, {key}, {operation} {body}");
        let request = Request::with_key(operation, *body, key);
        let answer = request.send(&authority, gate.addresses()[*endpoint]);
        match expected {
            None => {
                assert_eq!(answer.status, 200, "{case}: {answer:?}");
                forwarded += 1;
            }
            Some(words) => {
                assert_eq!(answer.status, 400, "{case}: {answer:?}");
                assert_eq!(answer.error_type(), "AccessDeniedException", "{case}");
                assert!(
                    answer.message().contains(words),
                    "{case}: {}",
                    answer.message()
                );
                let action =
                    format!("is not authorized to perform: kinesis:{operation} on resource: ");
                assert!(
                    answer.message().contains(&action),
                    "{case}: {}",
                    answer.message()
                );
            }
        }
        // A denied call never arrives; an allowed one arrives once.
        assert_eq!(recorder.requests().len(), forwarded, "{case}");
    }
}

#[test]
fn a_denial_is_worded_and_shaped_as_by_aws() {
    let Parts {
        authority, gate, ..
    } = three_endpoints();
    let body = r#"{"StreamName":"Other","Data":"aA==","PartitionKey":"1"}"#;
    let answer = Request::new("PutRecord", body).send(&authority, gate.addresses()[1]);
    assert_eq!(
        answer.message(),
        format!(
            "User: arn:aws:iam::{ACCOUNT}:user/producer is not authorized to perform: \
             kinesis:PutRecord on resource: arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/Other \
             because no VPC endpoint policy allows the kinesis:PutRecord action"
        )
    );
    assert_eq!(
        answer.header("content-type"),
        Some("application/x-amz-json-1.1")
    );
    assert_eq!(answer.header("x-amzn-errortype"), None);
    assert_eq!(answer.header("x-amzn-requestid").map(str::len), Some(36));
    assert_eq!(answer.header("x-amz-id-2").map(str::len), Some(96));
    assert!(answer.header("date").is_some());
    assert_eq!(
        answer.header("connection"),
        None,
        "the connection stays open"
    );
}

#[test]
fn a_cbor_request_is_answered_in_cbor() {
    let Parts {
        authority,
        gate,
        recorder,
    } = three_endpoints();
    // {"StreamName": "Other"}, as an indefinite map.
    let body = b"\xbf\x6aStreamName\x65Other\xff".to_vec();
    let answer = Request::new("DeleteStream", body)
        .replace("Content-Type", "application/x-amz-cbor-1.1")
        .send(&authority, gate.addresses()[1]);
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.header("content-type"),
        Some("application/x-amz-cbor-1.1")
    );
    let error: ciborium::Value = ciborium::from_reader(answer.body.as_slice()).unwrap();
    let text = |member: &str| {
        let map = error.as_map().unwrap();
        let (_, value) = map
            .iter()
            .find(|(name, _)| name.as_text() == Some(member))
            .unwrap();
        value.as_text().unwrap().to_owned()
    };
    assert_eq!(text("__type"), "AccessDeniedException");
    assert!(
        text("Message").contains("kinesis:DeleteStream"),
        "{}",
        text("Message")
    );
    assert!(recorder.requests().is_empty());
}

#[test]
fn the_log_says_who_what_and_why() {
    let Parts {
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

    // Secrets: record data, partition keys and signatures are nowhere.
    let text = serde_json::to_string(&log).unwrap();
    for secret in ["c2VjcmV0", "classified", "Signature", "AWS4-HMAC"] {
        assert!(!text.contains(secret), "`{secret}` in {text}");
    }
}
