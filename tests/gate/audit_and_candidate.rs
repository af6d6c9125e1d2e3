//! Policies that are tried: recorded and not enforced.

use std::net::SocketAddr;
use std::sync::Arc;

use kinesis_gate::sandbox::Authority;
use serde_json::{Value, json};

use crate::health_and_drain::get;
use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, Gate, GateBuilder, HOST, Recorder, http2};

const STREAM: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/";

/// Allows records to these streams.
fn only(sid: &str, streams: &[&str]) -> String {
    let streams: Vec<String> = streams
        .iter()
        .map(|name| format!("{STREAM}{name}"))
        .collect();
    json!({"Statement": {"Sid": sid, "Effect": "Allow", "Principal": "*", "Action": "kinesis:*", "Resource": streams}})
        .to_string()
}

fn configured(
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

/// A gate whose endpoint has these settings; `$LIVE` and `$NEW` stand for files of the policies.
struct Site {
    authority: Arc<Authority>,
    recorder: Recorder,
    _folder: tempfile::TempDir,
    gate: Gate,
}

impl Site {
    fn new(
        recorder: fn(&Authority) -> Recorder,
        endpoint: &str,
        more: &str,
        live: &str,
        new: &str,
    ) -> Site {
        let authority = Arc::new(Authority::create().unwrap());
        let recorder = recorder(&authority);
        let folder = tempfile::tempdir().unwrap();
        let written = |text: &str| {
            [("$LIVE", live), ("$NEW", new)]
                .iter()
                .fold(text.to_owned(), |text, (name, policy)| {
                    let file = folder.path().join(format!("{}.json", &name[1..]));
                    std::fs::write(&file, policy).unwrap();
                    text.replace(name, file.to_str().unwrap())
                })
        };
        let (endpoint, more) = (written(endpoint), written(more));
        let gate = configured(&authority, recorder.address(), &endpoint, &more).start();
        Site {
            authority,
            recorder,
            _folder: folder,
            gate,
        }
    }

    fn put(&self, streams: &[&str]) -> Vec<u16> {
        let mut connection = Connection::open(&self.authority, self.gate.address(), HOST);
        let put = |stream: &&str| {
            let body = format!(r#"{{"Data":"QQ==","PartitionKey":"1","StreamName":"{stream}"}}"#);
            connection.write(&Request::new("PutRecord", body).bytes());
            connection.response().status
        };
        streams.iter().map(put).collect()
    }

    fn counted(&self, series: &str) -> bool {
        let page = get(self.gate.admin(), "/metrics").1;
        page.lines()
            .any(|line| line == format!("kinesis_gate_{series}"))
    }
}

fn answering(authority: &Authority) -> Recorder {
    Recorder::start(authority, Behaviour::Respond)
}

#[test]
fn audit_records_a_denial_and_forwards_the_request() {
    let live = only("Orders", &["orders"]);
    let site = Site::new(
        answering,
        "policy = \"$LIVE\"\nmode = \"audit\"",
        "",
        &live,
        "",
    );
    assert_eq!(site.put(&["orders", "private"]), [200, 200]);
    assert_eq!(site.recorder.requests().len(), 2);
    let log = site.gate.log(2);
    assert_eq!(
        (&log[0]["decision"], &log[0]["mode"]),
        (&json!("allow"), &Value::Null)
    );
    assert_eq!(
        (&log[1]["decision"], &log[1]["mode"]),
        (&json!("implicit-deny"), &json!("audit"))
    );
    assert!(site.counted(r#"audited_denials_total{endpoint="vpce-33cc44dd"} 1"#));

    // What nobody could judge is refused in every mode.
    let mut connection = Connection::open(&site.authority, site.gate.address(), HOST);
    let twice =
        r#"{"Data":"QQ==","PartitionKey":"1","StreamName":"orders","StreamName":"private"}"#;
    connection.write(&Request::new("PutRecord", twice).bytes());
    assert_eq!(connection.response().error_type(), "SerializationException");
    // A token that was never handed out is not answered as an expired one.
    connection.write(&Request::new("GetRecords", r#"{"ShardIterator":"invented"}"#).bytes());
    assert_eq!(connection.response().status, 200);
    assert_eq!(site.recorder.requests().len(), 3);
}

#[test]
fn audit_withholds_no_tail_of_a_large_body() {
    let live = only("Orders", &["orders"]);
    let site = Site::new(
        answering,
        "policy = \"$LIVE\"\nmode = \"audit\"",
        "",
        &live,
        "",
    );
    let data = "QUJD".repeat(100_000);
    let body = format!(
        r#"{{"StreamName":"orders","Data":"{data}","PartitionKey":"1","StreamARN":"{STREAM}orders"}}"#
    );
    let denied = body.replace("orders", "private");
    for (text, decision) in [(body, "allow"), (denied, "implicit-deny")] {
        let before = site.recorder.requests().len();
        let mut connection = Connection::open(&site.authority, site.gate.address(), HOST);
        connection.write(&Request::new("PutRecord", text.clone()).bytes());
        assert_eq!(connection.response().status, 200);
        let arrived = site.recorder.requests();
        assert_eq!(
            (arrived.len(), &arrived[before].body),
            (before + 1, &text.into_bytes())
        );
        assert_eq!(site.gate.log(before + 1)[before]["decision"], decision);
    }
}

#[test]
fn audit_over_http2() {
    let live = only("Orders", &["orders"]);
    let site = Site::new(
        Recorder::start_http2,
        "policy = \"$LIVE\"\nmode = \"audit\"",
        "",
        &live,
        "",
    );
    for stream in ["orders", "private"] {
        let body = format!(r#"{{"Data":"QQ==","PartitionKey":"1","StreamName":"{stream}"}}"#);
        let headers = http2::signed_headers("PutRecord", &body, HOST);
        let request = http2::request(&headers, &body);
        let status =
            http2::send_for_status(&site.authority, site.gate.address(), http2::H2, request);
        assert_eq!(status, 200);
    }
    assert_eq!(site.recorder.requests().len(), 2);
    assert_eq!(site.gate.log(2)[1]["mode"], "audit");
}

#[test]
fn a_candidate_says_what_it_would_change_and_changes_nothing() {
    let (live, new) = (only("Old", &["a", "b"]), only("New", &["b", "c"]));
    let site = Site::new(
        answering,
        "policy = \"$LIVE\"\ncandidate = \"$NEW\"",
        "",
        &live,
        &new,
    );
    assert_eq!(site.put(&["a", "b", "c", "d"]), [200, 200, 400, 400]);
    assert_eq!(site.recorder.requests().len(), 2);
    let log = site.gate.log(4);
    let told: Vec<[&Value; 2]> = log
        .iter()
        .map(|line| {
            [
                &line["candidate"]["decision"],
                &line["candidate"]["statement"],
            ]
        })
        .collect();
    let (denied, allowed, new) = (json!("implicit-deny"), json!("allow"), json!("New"));
    let none = [&Value::Null, &Value::Null];
    assert_eq!(
        told,
        [[&denied, &Value::Null], none, [&allowed, &new], none]
    );
    for series in [
        "candidate_newly_denied_total",
        "candidate_newly_allowed_total",
    ] {
        assert!(
            site.counted(&format!(r#"{series}{{endpoint="vpce-33cc44dd"}} 1"#)),
            "{series}"
        );
    }
}

/// A candidate that tells streams apart needs tokens to be bound; what holds does not refuse one for
/// its sake.
#[test]
fn a_candidate_binds_tokens_and_refuses_none() {
    let everything = only("All", &["*"]).replace(&format!("{STREAM}*"), "*");
    let new = only("New", &["b"]);
    let site = Site::new(
        answering,
        "policy = \"$LIVE\"\ncandidate = \"$NEW\"",
        "",
        &everything,
        &new,
    );
    let mut connection = Connection::open(&site.authority, site.gate.address(), HOST);
    connection.write(&Request::new("GetRecords", r#"{"ShardIterator":"invented"}"#).bytes());
    assert_eq!(connection.response().status, 200);
    let line = &site.gate.log(1)[0];
    let candidate = &line["candidate"];
    assert_eq!(
        (&line["decision"], &candidate["decision"]),
        (&json!("allow"), &json!("implicit-deny"))
    );
    assert_eq!(candidate["unknown"], "resource");
}

#[test]
fn a_candidate_for_principals() {
    let live = only("All", &["a", "b"]);
    let deny = json!({"Version": "2012-10-17", "Statement": {
        "Sid": "NotB", "Effect": "Deny", "Action": "kinesis:*", "Resource": format!("{STREAM}b")}})
    .to_string();
    let more = "[[identity-policy]]\nfile = \"$NEW\"\nprincipals = [\"*\"]\nmode = \"candidate\"";
    let site = Site::new(answering, "policy = \"$LIVE\"", more, &live, &deny);
    assert_eq!(site.put(&["a", "b"]), [200, 200]);
    let log = site.gate.log(2);
    assert_eq!(log[0]["candidate"], Value::Null);
    let told = &log[1]["candidate"];
    assert_eq!(
        (&told["decision"], &told["statement"]),
        (&json!("explicit-deny"), &json!("NotB"))
    );
}

#[test]
fn audit_lends_no_role() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = answering(&authority);
    let endpoint = "default-full-access = true\nmode = \"audit\"\nprincipal = \"arn:aws:iam::123456789012:role/app\"\n\
                    re-sign = { authenticate = \"loopback\" }";
    let problems = configured(&authority, recorder.address(), endpoint, "").try_start();
    let told = problems.err().unwrap().to_string();
    assert!(told.contains("endpoint[0].mode"), "{told}");
    assert!(told.contains("candidate"), "{told}");
}
