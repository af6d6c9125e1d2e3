//! Policies in `audit` mode, and candidates: decisions are recorded and not enforced.

use std::net::SocketAddr;
use std::sync::Arc;

use kinesis_gate::sandbox::Authority;
use serde_json::{Value, json};

use crate::health_and_drain::get;
use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, Gate, GateBuilder, HOST, Recorder, http2};

const STREAM: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/";

/// A policy that allows every action on these streams.
fn allow(sid: &str, streams: &[&str]) -> String {
    let streams: Vec<String> = streams
        .iter()
        .map(|name| format!("{STREAM}{name}"))
        .collect();
    json!({"Statement": {"Sid": sid, "Effect": "Allow", "Principal": "*", "Action": "kinesis:*", "Resource": streams}})
        .to_string()
}

fn builder(
    authority: &Arc<Authority>,
    upstream: SocketAddr,
    endpoint: &str,
    more: &str,
) -> GateBuilder {
    GateBuilder::new(authority, upstream).config(&format!(
        r#"workers = 1
[upstream]
connect = "{upstream}"
server-name = "localhost"
ca-file = "ca.pem"
[admin]
address = "127.0.0.1:0"
[[endpoint]]
id = "vpce-33cc44dd"
region = "us-east-1"
{endpoint}
{more}
[[listener]]
address = "127.0.0.1:0"
endpoint = "vpce-33cc44dd"
tls = {{ ca-certificate = "ca.pem", ca-key = "ca-key.pem" }}
"#
    ))
}

/// A gate whose endpoint has these settings; `$LIVE` and `$NEW` stand for the files of two policies.
struct Fixture {
    authority: Arc<Authority>,
    recorder: Recorder,
    _folder: tempfile::TempDir,
    gate: Gate,
}

impl Fixture {
    fn new(
        recorder: fn(&Authority) -> Recorder,
        endpoint: &str,
        more: &str,
        live: &str,
        new: &str,
    ) -> Fixture {
        let authority = Arc::new(Authority::create().unwrap());
        let recorder = recorder(&authority);
        let folder = tempfile::tempdir().unwrap();
        let write_policies = |text: &str| {
            [("$LIVE", live), ("$NEW", new)]
                .iter()
                .fold(text.to_owned(), |text, (name, policy)| {
                    let file = folder.path().join(format!("{}.json", &name[1..]));
                    std::fs::write(&file, policy).unwrap();
                    text.replace(name, file.to_str().unwrap())
                })
        };
        let (endpoint, more) = (write_policies(endpoint), write_policies(more));
        let gate = builder(&authority, recorder.address(), &endpoint, &more).start();
        Fixture {
            authority,
            recorder,
            _folder: folder,
            gate,
        }
    }

    /// The status of a PutRecord to each stream.
    fn put(&self, streams: &[&str]) -> Vec<u16> {
        let mut connection = Connection::open(&self.authority, self.gate.address(), HOST);
        let put = |stream: &&str| {
            let body = format!(r#"{{"Data":"QQ==","PartitionKey":"1","StreamName":"{stream}"}}"#);
            connection.write(&Request::new("PutRecord", body).bytes());
            connection.response().status
        };
        streams.iter().map(put).collect()
    }

    fn has_metric(&self, series: &str) -> bool {
        let page = get(self.gate.admin(), "/metrics").1;
        page.lines()
            .any(|line| line == format!("kinesis_gate_{series}"))
    }
}

fn http1_recorder(authority: &Authority) -> Recorder {
    Recorder::start(authority, Behaviour::Respond)
}

/// A gate that audits a policy for the stream `orders`.
fn auditing(recorder: fn(&Authority) -> Recorder) -> Fixture {
    let live = allow("Orders", &["orders"]);
    let endpoint = "policy = \"$LIVE\"\nmode = \"audit\"";
    Fixture::new(recorder, endpoint, "", &live, "")
}

/// A gate with a candidate.
fn with_candidate(live: &str, new: &str) -> Fixture {
    let endpoint = "policy = \"$LIVE\"\ncandidate = \"$NEW\"";
    Fixture::new(http1_recorder, endpoint, "", live, new)
}

#[test]
fn audit_records_a_denial_and_forwards_the_request() {
    let fixture = auditing(http1_recorder);
    assert_eq!(fixture.put(&["orders", "private"]), [200, 200]);
    assert_eq!(fixture.recorder.requests().len(), 2);
    let log = fixture.gate.log(2);
    assert_eq!(
        (&log[0]["decision"], &log[0]["mode"]),
        (&json!("allow"), &Value::Null)
    );
    assert_eq!(
        (&log[1]["decision"], &log[1]["mode"]),
        (&json!("implicit-deny"), &json!("audit"))
    );
    assert!(fixture.has_metric(r#"audited_denials_total{endpoint="vpce-33cc44dd"} 1"#));

    // An ambiguous request is refused in every mode.
    let mut connection = Connection::open(&fixture.authority, fixture.gate.address(), HOST);
    let ambiguous =
        r#"{"Data":"QQ==","PartitionKey":"1","StreamName":"orders","StreamName":"private"}"#;
    connection.write(&Request::new("PutRecord", ambiguous).bytes());
    assert_eq!(connection.response().error_type(), "SerializationException");
    // An unknown token is not refused as an expired one.
    connection.write(&Request::new("GetRecords", r#"{"ShardIterator":"invented"}"#).bytes());
    assert_eq!(connection.response().status, 200);
    assert_eq!(fixture.recorder.requests().len(), 3);
}

#[test]
fn audit_holds_back_no_tail_of_a_large_body() {
    let fixture = auditing(http1_recorder);
    let data = "QUJD".repeat(100_000);
    let body = format!(
        r#"{{"StreamName":"orders","Data":"{data}","PartitionKey":"1","StreamARN":"{STREAM}orders"}}"#
    );
    let denied = body.replace("orders", "private");
    for (body, decision) in [(body, "allow"), (denied, "implicit-deny")] {
        let before = fixture.recorder.requests().len();
        let mut connection = Connection::open(&fixture.authority, fixture.gate.address(), HOST);
        connection.write(&Request::new("PutRecord", body.clone()).bytes());
        assert_eq!(connection.response().status, 200);
        let requests = fixture.recorder.requests();
        assert_eq!(requests.len(), before + 1);
        assert_eq!(requests[before].body, body.as_bytes());
        assert_eq!(fixture.gate.log(before + 1)[before]["decision"], decision);
    }
}

#[test]
fn audit_forwards_a_denied_request_over_http2() {
    let fixture = auditing(Recorder::start_http2);
    for stream in ["orders", "private"] {
        let body = format!(r#"{{"Data":"QQ==","PartitionKey":"1","StreamName":"{stream}"}}"#);
        let headers = http2::signed_headers("PutRecord", &body, HOST);
        let request = http2::request(&headers, &body);
        let status = http2::send_for_status(
            &fixture.authority,
            fixture.gate.address(),
            http2::H2,
            request,
        );
        assert_eq!(status, 200);
    }
    assert_eq!(fixture.recorder.requests().len(), 2);
    assert_eq!(fixture.gate.log(2)[1]["mode"], "audit");
}

#[test]
fn a_candidate_records_its_differences_and_enforces_none() {
    let (live, new) = (allow("Old", &["a", "b"]), allow("New", &["b", "c"]));
    let fixture = with_candidate(&live, &new);
    assert_eq!(fixture.put(&["a", "b", "c", "d"]), [200, 200, 400, 400]);
    assert_eq!(fixture.recorder.requests().len(), 2);
    let log = fixture.gate.log(4);
    let candidates = log.iter().map(|line| &line["candidate"]);
    let candidates: Vec<[&Value; 2]> = candidates
        .map(|candidate| [&candidate["decision"], &candidate["statement"]])
        .collect();
    let (denied, allowed, new) = (json!("implicit-deny"), json!("allow"), json!("New"));
    let none = [&Value::Null, &Value::Null];
    assert_eq!(
        candidates,
        [[&denied, &Value::Null], none, [&allowed, &new], none]
    );
    for series in [
        "candidate_newly_denied_total",
        "candidate_newly_allowed_total",
    ] {
        assert!(
            fixture.has_metric(&format!(r#"{series}{{endpoint="vpce-33cc44dd"}} 1"#)),
            "{series}"
        );
    }
}

/// A candidate that distinguishes streams makes the gate bind tokens; an unknown token is still
/// forwarded, as the live policy allows it.
#[test]
fn a_candidate_binds_tokens_and_refuses_no_unknown_token() {
    let everything = allow("All", &["*"]).replace(&format!("{STREAM}*"), "*");
    let new = allow("New", &["b"]);
    let fixture = with_candidate(&everything, &new);
    let mut connection = Connection::open(&fixture.authority, fixture.gate.address(), HOST);
    connection.write(&Request::new("GetRecords", r#"{"ShardIterator":"invented"}"#).bytes());
    assert_eq!(connection.response().status, 200);
    let line = &fixture.gate.log(1)[0];
    let candidate = &line["candidate"];
    assert_eq!(
        (&line["decision"], &candidate["decision"]),
        (&json!("allow"), &json!("implicit-deny"))
    );
    assert_eq!(candidate["unknown"], "resource");
}

#[test]
fn an_identity_policy_can_be_a_candidate() {
    let live = allow("All", &["a", "b"]);
    let deny = json!({"Version": "2012-10-17", "Statement": {
        "Sid": "NotB", "Effect": "Deny", "Action": "kinesis:*", "Resource": format!("{STREAM}b")}})
    .to_string();
    let more = "[[identity-policy]]\nfile = \"$NEW\"\nprincipals = [\"*\"]\nmode = \"candidate\"";
    let fixture = Fixture::new(http1_recorder, "policy = \"$LIVE\"", more, &live, &deny);
    assert_eq!(fixture.put(&["a", "b"]), [200, 200]);
    let log = fixture.gate.log(2);
    assert_eq!(log[0]["candidate"], Value::Null);
    let candidate = &log[1]["candidate"];
    assert_eq!(
        (&candidate["decision"], &candidate["statement"]),
        (&json!("explicit-deny"), &json!("NotB"))
    );
}

#[test]
fn audit_with_re_sign_is_refused() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = http1_recorder(&authority);
    let endpoint = "default-full-access = true\nmode = \"audit\"\nprincipal = \"arn:aws:iam::123456789012:role/app\"\n\
                    re-sign = { authenticate = \"loopback\" }";
    let result = builder(&authority, recorder.address(), endpoint, "").try_start();
    let errors = result.err().unwrap().to_string();
    assert!(errors.contains("endpoint[0].mode"), "{errors}");
    assert!(errors.contains("candidate"), "{errors}");
}
