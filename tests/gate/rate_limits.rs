//! Rate limits per principal, per stream and per both: the requests that count, and by which key. A
//! rule here refills one request in a thousand seconds, so no test sees a refill.

use std::sync::Arc;

use kinesis_gate::sandbox::Authority;
use serde_json::{Value, json};

use crate::health_and_drain::get;
use crate::support::raw::{Connection, Request, Response};
use crate::support::{Behaviour, ENDPOINT, Gate, GateBuilder, HOST, KEY_ID, Recorder, http2};
use crate::token_binding::{Caller, WIRES, kinesis};

/// Another access key of the principal of `KEY_ID`, by [`KEYS`].
const SECOND_KEY: &str = "AKIARZPUZDIKGBSECOND";
/// Access keys of the same account, of unknown principals.
const STRANGERS: [&str; 3] = [
    "AKIARZPUZDIKGBSTRAN2",
    "AKIARZPUZDIKGBSTRAN3",
    "AKIARZPUZDIKGBSTRAN4",
];
/// An access key that hides its account.
const HIDDEN: &str = "AKIAIOSFODNN7EXAMPLE";
const KEYS: &str = "[[principal]]\naccess-key-id = \"AKIARZPUZDIKGBSECOND\"\n\
    arn = \"arn:aws:iam::123456789012:user/producer\"\n";
pub const THROUGHPUT: &str = "ProvisionedThroughputExceededException";
const STREAM: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/";
/// Allows everything on every stream but `private`.
pub const ALL_BUT_PRIVATE: &str = r#"{"Statement":[
    {"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},
    {"Effect":"Deny","Principal":"*","Action":"*","Resource":"arn:aws:kinesis:*:*:stream/private"}]}"#;

/// A rule with a burst of this many requests.
pub fn rule(name: &str, per: &str, burst: u32, more: &str) -> String {
    format!(
        "[[rate]]\nname = \"{name}\"\nper = \"{per}\"\nrequests = 0.001\nburst = {burst}\n{more}\n"
    )
}

pub struct Fixture {
    pub authority: Arc<Authority>,
    pub recorder: Recorder,
    pub gate: Gate,
}

impl Fixture {
    fn new(tables: &str) -> Fixture {
        let authority = Arc::new(Authority::create().unwrap());
        let recorder = Recorder::start(&authority, Behaviour::Respond);
        let gate = GateBuilder::new(&authority, recorder.address())
            .endpoint(ENDPOINT, ALL_BUT_PRIVATE)
            .tables(&format!("{KEYS}{tables}"))
            .start();
        Fixture {
            authority,
            recorder,
            gate,
        }
    }

    fn send(&self, key: &str, operation: &str, body: &Value) -> Response {
        let request = Request::with_key(operation, body.to_string(), key);
        request.send(&self.authority, self.gate.address())
    }

    /// The statuses of one `PutRecord` to each stream.
    pub fn put<const N: usize>(&self, key: &str, streams: [&str; N]) -> [u16; N] {
        streams.map(|stream| self.send(key, "PutRecord", &record(stream)).status)
    }

    fn has_metric(&self, series: &str) -> bool {
        let page = get(self.gate.admin(), "/metrics").1;
        page.lines()
            .any(|line| line == format!("kinesis_gate_{series}"))
    }
}

pub fn record(stream: &str) -> Value {
    json!({"Data": "QQ==", "PartitionKey": "1", "StreamName": stream})
}

#[test]
fn each_principal_has_its_own_rate_limit() {
    let fixture = Fixture::new(&rule("each", "principal", 2, ""));
    // Both keys are of one user, and count together; unknown principals count by access key.
    assert_eq!(fixture.put(KEY_ID, ["a"]), [200]);
    assert_eq!(fixture.put(SECOND_KEY, ["b", "c"]), [200, 400]);
    for stranger in &STRANGERS[..2] {
        assert_eq!(fixture.put(stranger, ["a", "a", "a"]), [200, 200, 400]);
    }
    let refused = fixture.send(KEY_ID, "PutRecord", &record("a"));
    assert_eq!(
        (refused.status, refused.error_type().as_str()),
        (400, THROUGHPUT)
    );
    assert_eq!(
        refused.message(),
        "Rate exceeded at the endpoint for this principal"
    );
    assert_eq!(fixture.recorder.requests().len(), 6);
    let line = fixture.gate.log(10).pop().unwrap();
    assert_eq!(
        (&line["decision"], &line["rate"]),
        (&json!("refused"), &json!("each"))
    );
    assert_eq!(
        line["reason"],
        "rate rule `each` has no room for another request of this principal"
    );
    // The policy allowed it, and nothing was forwarded.
    assert_eq!(
        (&line["layer"], &line["statement"]),
        (&json!("endpoint"), &json!("#1"))
    );
    assert_eq!(line["upstream_us"], Value::Null);
    assert!(fixture.has_metric(r#"requests_limited_total{limit="rate"} 4"#));
    assert!(fixture.has_metric(r#"rate_limited_total{rule="each"} 4"#));
    let (_, decisions) = get(fixture.gate.admin(), "/decisions?decision=refused");
    assert_eq!(decisions.matches("\"rate\":\"each\"").count(), 4);
}

#[test]
fn a_stream_is_limited_across_connections_workers_and_http_versions() {
    let authority = Arc::new(Authority::create().unwrap());
    let kinesis = kinesis(&authority);
    let gate = GateBuilder::new(&authority, kinesis.address())
        .workers(2)
        .tables(&rule("each", "stream", 4, ""))
        .start();
    let arn = format!("{STREAM}orders");
    let by_arn = json!({"Data": "QQ==", "PartitionKey": "1", "StreamARN": arn});
    // Two connections over HTTP/1.1 and two over HTTP/2, in JSON and in CBOR.
    for (wire, body) in WIRES
        .into_iter()
        .zip([&record("orders"), &by_arn].repeat(2))
    {
        assert_eq!(Caller::new(&gate, wire).call("PutRecord", body).0, 200);
    }
    for wire in WIRES {
        let caller = Caller::new(&gate, wire);
        for body in [record("orders"), by_arn.clone()] {
            assert_eq!(caller.error("PutRecord", &body), THROUGHPUT);
        }
        assert_eq!(caller.call("PutRecord", &record("clicks")).0, 200);
    }
    assert_eq!(kinesis.requests().len(), 8);
}

#[test]
fn every_rule_must_allow_a_request_and_a_refusal_consumes_nothing() {
    let rules = [
        rule("stream", "stream", 3, ""),
        rule("principal", "principal", 1, ""),
        rule("both", "principal-and-stream", 9, ""),
    ];
    let fixture = Fixture::new(&rules.concat());
    let [first, second, third] = STRANGERS;
    assert_eq!(fixture.put(first, ["orders"; 5]), [200, 400, 400, 400, 400]);
    assert_eq!(fixture.put(second, ["orders"]), [200]);
    assert_eq!(fixture.put(KEY_ID, ["orders"]), [200]);
    // Now the stream is over its limit, and consumes nothing of the principal's.
    assert_eq!(fixture.put(HIDDEN, ["clicks"]), [200]);
    let log = fixture.gate.log(8);
    let rules = [&log[4], &log[6]].map(|line| line["rate"].as_str());
    assert_eq!(rules, [Some("principal"), None]);
    assert_eq!(
        fixture.put(third, ["orders", "orders", "clicks"]),
        [400, 400, 200]
    );
    assert_eq!(fixture.gate.log(11)[9]["rate"], "stream");
    assert!(fixture.has_metric(r#"rate_limited_total{rule="both"} 0"#));
}

#[test]
fn a_denied_request_consumes_nothing() {
    let fixture = Fixture::new(&rule("each", "principal", 1, ""));
    let denied = [400; 5];
    assert_eq!(fixture.put(KEY_ID, ["private"; 5]), denied);
    assert_eq!(fixture.put(KEY_ID, ["orders", "orders"]), [200, 400]);
    // A denial is a denial, over the limit too.
    let response = fixture.send(KEY_ID, "PutRecord", &record("private"));
    assert_eq!(response.error_type(), "AccessDeniedException");
    // A malformed request consumes nothing either.
    let twice = r#"{"Data":"QQ==","PartitionKey":"1","StreamName":"a","StreamName":"b"}"#;
    let other = Request::with_key("PutRecord", twice, STRANGERS[0]);
    let response = other.send(&fixture.authority, fixture.gate.address());
    assert_eq!(response.error_type(), "SerializationException");
    assert_eq!(fixture.put(STRANGERS[0], ["orders", "orders"]), [200, 400]);
}

/// Settings of a rule with a burst of one, and the statuses of two requests.
#[rustfmt::skip]
const SELECTORS: &[(&str, &str, [&str; 3], [u16; 2])] = &[
    ("stream", "streams = [\"orders-*\"]", [KEY_ID, "PutRecord", "orders-1"], [200, 400]),
    ("stream", "streams = [\"orders-*\"]", [KEY_ID, "PutRecord", "clicks"], [200, 200]),
    ("stream", "streams = [\"arn:aws:kinesis:*:123456789012:stream/orders\"]", [KEY_ID, "PutRecord", "orders"], [200, 400]),
    ("stream", "streams = [\"arn:aws:kinesis:*:210987654321:stream/orders\"]", [KEY_ID, "PutRecord", "orders"], [200, 200]),
    // The stream's account is unknown.
    ("stream", "streams = [\"arn:aws:kinesis:*:210987654321:stream/orders\"]", [HIDDEN, "PutRecord", "orders"], [200, 400]),
    ("principal", "streams = [\"orders\"]", [KEY_ID, "PutRecord", "orders"], [200, 400]),
    ("principal", "streams = [\"orders\"]", [KEY_ID, "PutRecord", "clicks"], [200, 200]),
    ("principal", "streams = [\"orders\"]", [KEY_ID, "ListStreams", ""], [200, 200]),
    ("principal", "", [KEY_ID, "ListStreams", ""], [200, 400]),
    ("principal", "", [KEY_ID, "NewOperation", "orders"], [200, 400]),
    ("stream", "", [KEY_ID, "ListStreams", ""], [200, 200]),
    ("stream", "", [KEY_ID, "UpdateShardCount", "orders"], [200, 400]),
    ("principal", "actions = [\"kinesis:Put*\"]", [KEY_ID, "PutRecord", "orders"], [200, 400]),
    ("principal", "actions = [\"kinesis:Put*\"]", [KEY_ID, "ListShards", "orders"], [200, 200]),
    ("principal", "principals = [\"arn:aws:iam::123456789012:user/pro*\"]", [SECOND_KEY, "PutRecord", "orders"], [200, 400]),
    ("principal", "principals = [\"arn:aws:iam::123456789012:user/analyst\"]", [KEY_ID, "PutRecord", "orders"], [200, 200]),
    ("principal", "principals = [\"210987654321\"]", [STRANGERS[0], "PutRecord", "orders"], [200, 200]),
    // The unknown principal of that account may be the user.
    ("principal", "principals = [\"arn:aws:iam::123456789012:user/alice\"]", [STRANGERS[0], "PutRecord", "orders"], [200, 400]),
];

#[test]
fn rules_select_principals_streams_and_actions() {
    for (per, settings, [key, operation, stream], expected) in SELECTORS {
        let fixture = Fixture::new(&rule("one", per, 1, settings));
        let body = match *stream {
            "" => json!({}),
            stream => record(stream),
        };
        let statuses = [(); 2].map(|()| fixture.send(key, operation, &body).status);
        assert_eq!(statuses, *expected, "{per} {settings} {operation} {stream}");
    }
}

#[test]
fn a_consumer_counts_for_its_stream_and_unknown_streams_count_together() {
    let fixture = Fixture::new(&rule("each", "stream", 1, ""));
    let consumer = format!("{STREAM}orders/consumer/c:1700000000");
    let by_arn = json!({"ConsumerARN": consumer});
    let by_name = json!({"StreamARN": format!("{STREAM}orders"), "ConsumerName": "c"});
    let describe = |body: &Value| fixture.send(KEY_ID, "DescribeStreamConsumer", body);
    assert_eq!(describe(&by_arn).status, 200);
    assert_eq!(describe(&by_name).error_type(), "ThrottlingException");
    assert_eq!(fixture.put(KEY_ID, ["orders"]), [400]);
    // `StreamId` is reserved: only a statement for all resources can allow it.
    let full_access = Fixture {
        gate: GateBuilder::new(&fixture.authority, fixture.recorder.address())
            .tables(&rule("each", "stream", 1, ""))
            .start(),
        ..fixture
    };
    let record_by_id = |id: &str| json!({"Data": "QQ==", "PartitionKey": "1", "StreamId": id});
    let [first, second] = ["abcdefghij0123456789-abc", "abcdefghij0123456789-abd"];
    assert_eq!(
        full_access
            .send(KEY_ID, "PutRecord", &record_by_id(first))
            .status,
        200
    );
    assert_eq!(
        full_access
            .send(KEY_ID, "PutRecord", &record_by_id(second))
            .status,
        400
    );
    assert_eq!(full_access.put(KEY_ID, ["orders"]), [200]);
}

#[test]
fn every_stream_of_a_request_must_be_within_its_limit() {
    let fixture = Fixture::new(&rule("each", "stream", 1, ""));
    let queue = |streams: [&str; 2]| {
        let list = streams.map(|name| json!({"StreamARN": format!("{STREAM}{name}")}));
        let body = json!({"QueueName": "q", "StreamConfigurationList": list});
        fixture.send(KEY_ID, "CreateQueue", &body)
    };
    assert_eq!(queue(["a", "b"]).status, 200);
    assert_eq!(queue(["c", "a"]).error_type(), "ThrottlingException");
    // It consumed nothing of `c`.
    assert_eq!(fixture.put(KEY_ID, ["a", "b", "c"]), [400, 400, 200]);
}

/// A body that is large enough to be evaluated while it streams.
fn large_body(tail: &str) -> String {
    let data = "QUJD".repeat(1 << 20);
    format!(r#"{{"StreamName":"orders","PartitionKey":"1","Data":"{data}"{tail}}}"#)
}

#[test]
fn a_large_request_over_its_limit_is_never_sent_upstream() {
    let fixture = Fixture::new(&rule("each", "stream", 1, ""));
    let send = |key, body: String| {
        Request::with_key("PutRecord", body, key).send(&fixture.authority, fixture.gate.address())
    };
    assert_eq!(fixture.put(KEY_ID, ["clicks"]), [200]);
    assert_eq!(send(KEY_ID, large_body("")).status, 200);
    assert_eq!(send(KEY_ID, large_body("")).error_type(), THROUGHPUT);
    assert_eq!(fixture.gate.log(3)[2]["upstream_us"], Value::Null);
    // Over HTTP/2 too the response comes before the end of the body.
    let body = large_body("");
    let headers = http2::signed_headers("PutRecord", &body, "host");
    let request = http2::request(&headers, &body);
    let response = http2::try_send(&fixture.authority, fixture.gate.address(), request).unwrap();
    assert_eq!(
        (response.status, response.error_type().as_str()),
        (400, THROUGHPUT)
    );
    // The ARN of a stream of unknown account may come at the end.
    let late = format!(r#","StreamARN":"{STREAM}orders""#);
    assert_eq!(send(HIDDEN, large_body(&late)).error_type(), THROUGHPUT);
    assert_eq!(send(HIDDEN, large_body("")).status, 200);
    assert_eq!(fixture.recorder.requests().len(), 3);
    assert_eq!(fixture.recorder.connections(), 1, "no request was cut off");
}

#[test]
fn a_reload_changes_rules_and_keeps_their_counts() {
    let rules = |burst, more: &str| {
        rule("kept", "principal", 2, more) + &rule("changed", "stream", burst, "")
    };
    let fixture = Fixture::new(&rules(1, ""));
    let mut connection = Connection::open(&fixture.authority, fixture.gate.address(), HOST);
    let mut put = |stream: &str| {
        connection.write(&Request::new("PutRecord", record(stream).to_string()).bytes());
        connection.response().status
    };
    assert_eq!(["orders", "orders"].map(&mut put), [200, 400]);
    let file = fixture.gate.path("gate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    // One rule's burst changes, the other rule's actions do; the connection stays.
    let changed = text.replace(&rules(1, ""), &rules(5, "actions = [\"kinesis:*\"]"));
    assert_ne!(text, changed);
    std::fs::write(&file, changed).unwrap();
    fixture.gate.reload().unwrap();
    assert_eq!(["orders", "orders"].map(&mut put), [200, 400]);
    assert_eq!(fixture.gate.log(4)[3]["rate"], "kept");
    assert!(fixture.has_metric(r#"rate_limited_total{rule="kept"} 1"#));
    assert!(fixture.has_metric(r#"rate_limited_total{rule="changed"} 0"#));
    // Without rules nothing is counted.
    std::fs::write(&file, text.replace(&rules(1, ""), "")).unwrap();
    fixture.gate.reload().unwrap();
    assert_eq!(["orders", "orders", "orders"].map(&mut put), [200; 3]);
    assert!(
        !get(fixture.gate.admin(), "/metrics")
            .1
            .contains("rate_limited_total{")
    );
}

#[test]
fn a_rule_tracks_no_more_keys_than_configured() {
    let fixture = Fixture::new(&rule("each", "principal", 3, "keys = 2"));
    let [first, second, third] = STRANGERS;
    assert_eq!(fixture.put(KEY_ID, ["a"; 4]), [200, 200, 200, 400]);
    // The second key passes from one principal to the other, with its count.
    assert_eq!(fixture.put(first, ["a"]), [200]);
    assert_eq!(fixture.put(second, ["a"]), [200]);
    assert_eq!(fixture.put(first, ["a", "a"]), [200, 400]);
    assert_eq!(fixture.put(second, ["a"]), [400]);
    // A busy principal keeps its key.
    assert_eq!(fixture.put(KEY_ID, ["a"]), [400]);
    assert_eq!(fixture.put(third, ["a"]), [400]);
}
