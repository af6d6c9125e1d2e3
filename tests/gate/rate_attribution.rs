//! Rate limits: which principal and stream a request counts for, with tokens, in audit mode and where
//! the gate re-signs.

use std::net::SocketAddr;
use std::sync::Arc;

use kinesis_gate::sandbox::Authority;
use serde_json::{Value, json};

use crate::published_policies::FULL_ACCESS;
use crate::rate_limits::{ALL_BUT_PRIVATE, Fixture, THROUGHPUT, record, rule};
use crate::re_sign::{EVERYONE, SIGV4, fixture_with};
use crate::support::local_credentials::{ROLE, SigningParams, USER};
use crate::support::{Behaviour, ENDPOINT, Gate, GateBuilder, KEY_ID, Recorder};
use crate::token_binding::{Caller, POLICY, WIRES, kinesis};

/// A gate whose endpoint has these settings.
fn gate_with(
    authority: &Arc<Authority>,
    upstream: SocketAddr,
    endpoint: &str,
    rules: &str,
) -> Gate {
    let text = format!(
        "workers = 1\n[upstream]\nconnect = \"{upstream}\"\nserver-name = \"localhost\"\nca-file = \"ca.pem\"\n\
         [admin]\naddress = \"127.0.0.1:0\"\n\
         [[endpoint]]\nid = \"{ENDPOINT}\"\nregion = \"us-east-1\"\n{endpoint}\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\nendpoint = \"{ENDPOINT}\"\n\
         tls = {{ ca-certificate = \"ca.pem\", ca-key = \"ca-key.pem\" }}\n{rules}"
    );
    GateBuilder::new(authority, upstream).config(&text).start()
}

#[test]
fn a_request_with_only_a_token_counts_for_the_tokens_stream() {
    let authority = Arc::new(Authority::create().unwrap());
    let kinesis = kinesis(&authority);
    let start = |actions: &str, endpoint: &str| {
        let rules = rule(
            "each",
            "stream",
            2,
            &format!("actions = [\"kinesis:{actions}\"]"),
        );
        gate_with(&authority, kinesis.address(), endpoint, &rules)
    };
    let full = "default-full-access = true";
    for wire in WIRES {
        let gate = start("GetRecords", full);
        let caller = Caller::new(&gate, wire);
        let next = caller.read(&caller.iterator("orders"));
        let next = caller.read(&next);
        assert_eq!(caller.read_error(&next), THROUGHPUT);
        assert_eq!(caller.read_error(&caller.iterator("orders")), THROUGHPUT);
        caller.read(&caller.iterator("clicks"));
        // A token that the gate did not see issued counts for no stream: it is refused as expired.
        assert_eq!(caller.read_error("invented"), "ExpiredIteratorException");
    }
    // Rules for other operations bind no tokens.
    let gate = start("PutRecord*", full);
    let caller = Caller::new(&gate, WIRES[0]);
    for _ in 0..4 {
        caller.read("invented");
    }
    // In audit mode no token is refused as expired, and unknown streams count together.
    let policy = gate.path("policy.json");
    std::fs::write(&policy, POLICY).unwrap();
    let gate = start(
        "GetRecords",
        &format!("policy = \"{}\"\nmode = \"audit\"", policy.display()),
    );
    let caller = Caller::new(&gate, WIRES[0]);
    caller.read("invented");
    caller.read("another");
    assert_eq!(caller.read_error("invented"), THROUGHPUT);
}

#[test]
fn a_request_forwarded_in_audit_mode_counts() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.json");
    std::fs::write(&policy, ALL_BUT_PRIVATE).unwrap();
    let endpoint = format!("policy = \"{}\"\nmode = \"audit\"", policy.display());
    let rules = rule("each", "principal", 2, "");
    let gate = gate_with(&authority, recorder.address(), &endpoint, &rules);
    let fixture = Fixture {
        authority,
        recorder,
        gate,
    };
    assert_eq!(fixture.put(KEY_ID, ["private", "orders"]), [200, 200]);
    assert_eq!(fixture.put(KEY_ID, ["private", "orders"]), [400, 400]);
    let log = fixture.gate.log(4);
    let decision_and_rate = |line: &Value| (line["decision"].clone(), line["rate"].clone());
    assert_eq!(
        decision_and_rate(&log[0]),
        (json!("explicit-deny"), Value::Null)
    );
    assert_eq!(
        decision_and_rate(&log[2]),
        (json!("refused"), json!("each"))
    );
    assert_eq!(fixture.recorder.requests().len(), 2);
}

#[test]
fn the_verified_principal_counts_where_the_gate_re_signs() {
    let rules = rule("each", "principal", 2, "actions = [\"kinesis:PutRecord\"]");
    let fixture = fixture_with(SIGV4, &format!("{EVERYONE}\n{rules}"), FULL_ACCESS);
    // Two sessions of a role, each with a key of its own, and a user.
    let [first, second, user] = [ROLE, ROLE, USER].map(|principal| fixture.issue(principal));
    let put = |client| {
        let request =
            SigningParams::new(client).request("PutRecord", record("orders").to_string(), &[]);
        fixture.send(&request)
    };
    let before = fixture.recorder.requests().len();
    // A request that fails verification consumes nothing.
    let mut forged = first.clone();
    forged.secret_access_key = "another".to_owned();
    for _ in 0..3 {
        assert_eq!(put(&forged).1, "InvalidSignatureException");
    }
    assert_eq!([&first, &second].map(|client| put(client).0), [200, 200]);
    assert_eq!(
        [&first, &second].map(|client| put(client).1),
        [THROUGHPUT; 2]
    );
    assert_eq!([&user; 3].map(|client| put(client).0), [200, 200, 400]);
    assert_eq!(fixture.recorder.requests().len(), before + 4);
}
