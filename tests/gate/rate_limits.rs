//! Requests a second, for each principal, stream or both: what counts, for whom, and what does not.
//! Nothing here comes back in time: a rule lets one through in a thousand seconds, after its burst.

use std::sync::Arc;

use kinesis_gate::sandbox::Authority;
use serde_json::{Value, json};

use crate::health_and_drain::get;
use crate::support::raw::{Connection, Request, Response};
use crate::support::{Behaviour, ENDPOINT, Gate, GateBuilder, HOST, KEY_ID, Recorder, http2};
use crate::token_binding::{Caller, WIRES, kinesis};

/// Another key of the principal that `KEY_ID` is of, by [`KEYS`].
const SECOND: &str = "AKIARZPUZDIKGBSECOND";
/// Keys of its account, of which nothing else is known.
const STRANGERS: [&str; 3] = [
    "AKIARZPUZDIKGBSTRAN2",
    "AKIARZPUZDIKGBSTRAN3",
    "AKIARZPUZDIKGBSTRAN4",
];
/// A key that does not tell its account.
const HIDDEN: &str = "AKIAIOSFODNN7EXAMPLE";
const KEYS: &str = "[[principal]]\naccess-key-id = \"AKIARZPUZDIKGBSECOND\"\n\
    arn = \"arn:aws:iam::123456789012:user/producer\"\n";
pub const THROUGHPUT: &str = "ProvisionedThroughputExceededException";
const STREAM: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/";
/// Allows records to any stream but one.
pub const BUT_PRIVATE: &str = r#"{"Statement":[
    {"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},
    {"Effect":"Deny","Principal":"*","Action":"*","Resource":"arn:aws:kinesis:*:*:stream/private"}]}"#;

/// A rule that lets so many through.
pub fn rule(name: &str, per: &str, burst: u32, more: &str) -> String {
    format!(
        "[[rate]]\nname = \"{name}\"\nper = \"{per}\"\nrequests = 0.001\nburst = {burst}\n{more}\n"
    )
}

pub struct Site {
    pub authority: Arc<Authority>,
    pub recorder: Recorder,
    pub gate: Gate,
}

impl Site {
    fn new(tables: &str) -> Site {
        let authority = Arc::new(Authority::create().unwrap());
        let recorder = Recorder::start(&authority, Behaviour::Respond);
        let gate = GateBuilder::new(&authority, recorder.address())
            .endpoint(ENDPOINT, BUT_PRIVATE)
            .tables(&format!("{KEYS}{tables}"))
            .start();
        Site {
            authority,
            recorder,
            gate,
        }
    }

    fn ask(&self, key: &str, operation: &str, body: &Value) -> Response {
        let request = Request::with_key(operation, body.to_string(), key);
        request.send(&self.authority, self.gate.address())
    }

    /// Statuses of one record to each stream.
    pub fn put<const N: usize>(&self, key: &str, streams: [&str; N]) -> [u16; N] {
        streams.map(|stream| self.ask(key, "PutRecord", &record(stream)).status)
    }

    fn counted(&self, series: &str) -> bool {
        let page = get(self.gate.admin(), "/metrics").1;
        page.lines()
            .any(|line| line == format!("kinesis_gate_{series}"))
    }
}

pub fn record(stream: &str) -> Value {
    json!({"Data": "QQ==", "PartitionKey": "1", "StreamName": stream})
}

#[test]
fn one_principal_is_limited_and_another_is_not() {
    let site = Site::new(&rule("each", "principal", 2, ""));
    // Both keys are of one user, and count together; strangers are told apart by theirs.
    assert_eq!(site.put(KEY_ID, ["a"]), [200]);
    assert_eq!(site.put(SECOND, ["b", "c"]), [200, 400]);
    for stranger in &STRANGERS[..2] {
        assert_eq!(site.put(stranger, ["a", "a", "a"]), [200, 200, 400]);
    }
    let refused = site.ask(KEY_ID, "PutRecord", &record("a"));
    assert_eq!(
        (refused.status, refused.error_type().as_str()),
        (400, THROUGHPUT)
    );
    assert_eq!(
        refused.message(),
        "Rate exceeded at the endpoint for this principal"
    );
    assert_eq!(site.recorder.requests().len(), 6);
    let line = site.gate.log(10).pop().unwrap();
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
    assert!(site.counted(r#"requests_limited_total{limit="rate"} 4"#));
    assert!(site.counted(r#"rate_limited_total{rule="each"} 4"#));
    let (_, decisions) = get(site.gate.admin(), "/decisions?decision=refused");
    assert_eq!(decisions.matches("\"rate\":\"each\"").count(), 4);
}

#[test]
fn a_stream_is_limited_across_connections_loops_and_versions() {
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
fn all_rules_must_have_room_and_one_that_has_none_takes_nothing_from_the_others() {
    let rules = [
        rule("stream", "stream", 3, ""),
        rule("principal", "principal", 1, ""),
        rule("both", "principal-and-stream", 9, ""),
    ];
    let site = Site::new(&rules.concat());
    let [first, second, third] = STRANGERS;
    assert_eq!(site.put(first, ["orders"; 5]), [200, 400, 400, 400, 400]);
    assert_eq!(site.put(second, ["orders"]), [200]);
    assert_eq!(site.put(KEY_ID, ["orders"]), [200]);
    // Now the stream is, and takes nothing from the principal.
    assert_eq!(site.put(HIDDEN, ["clicks"]), [200]);
    let log = site.gate.log(8);
    let rules = [&log[4], &log[6]].map(|line| line["rate"].as_str());
    assert_eq!(rules, [Some("principal"), None]);
    assert_eq!(
        site.put(third, ["orders", "orders", "clicks"]),
        [400, 400, 200]
    );
    assert_eq!(site.gate.log(11)[9]["rate"], "stream");
    assert!(site.counted(r#"rate_limited_total{rule="both"} 0"#));
}

#[test]
fn what_the_policy_denies_takes_nothing() {
    let site = Site::new(&rule("each", "principal", 1, ""));
    let denied = [400; 5];
    assert_eq!(site.put(KEY_ID, ["private"; 5]), denied);
    assert_eq!(site.put(KEY_ID, ["orders", "orders"]), [200, 400]);
    // What is denied is told so, whether there is room or not.
    let answer = site.ask(KEY_ID, "PutRecord", &record("private"));
    assert_eq!(answer.error_type(), "AccessDeniedException");
    // What cannot be judged takes nothing either.
    let twice = r#"{"Data":"QQ==","PartitionKey":"1","StreamName":"a","StreamName":"b"}"#;
    let other = Request::with_key("PutRecord", twice, STRANGERS[0]);
    let answer = other.send(&site.authority, site.gate.address());
    assert_eq!(answer.error_type(), "SerializationException");
    assert_eq!(site.put(STRANGERS[0], ["orders", "orders"]), [200, 400]);
}

/// Settings of a rule that lets one through, and what each of two requests is then answered.
#[rustfmt::skip]
const FOR: &[(&str, &str, [&str; 3], [u16; 2])] = &[
    ("stream", "streams = [\"orders-*\"]", [KEY_ID, "PutRecord", "orders-1"], [200, 400]),
    ("stream", "streams = [\"orders-*\"]", [KEY_ID, "PutRecord", "clicks"], [200, 200]),
    ("stream", "streams = [\"arn:aws:kinesis:*:123456789012:stream/orders\"]", [KEY_ID, "PutRecord", "orders"], [200, 400]),
    ("stream", "streams = [\"arn:aws:kinesis:*:210987654321:stream/orders\"]", [KEY_ID, "PutRecord", "orders"], [200, 200]),
    // Whose stream it is cannot be known.
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
    ("principal", "principals = [\"arn:aws:iam::123456789012:user/pro*\"]", [SECOND, "PutRecord", "orders"], [200, 400]),
    ("principal", "principals = [\"arn:aws:iam::123456789012:user/analyst\"]", [KEY_ID, "PutRecord", "orders"], [200, 200]),
    ("principal", "principals = [\"210987654321\"]", [STRANGERS[0], "PutRecord", "orders"], [200, 200]),
    // A key of that account may be the user's.
    ("principal", "principals = [\"arn:aws:iam::123456789012:user/alice\"]", [STRANGERS[0], "PutRecord", "orders"], [200, 400]),
];

#[test]
fn rules_are_for_principals_streams_and_actions() {
    for (per, settings, [key, operation, stream], expected) in FOR {
        let site = Site::new(&rule("one", per, 1, settings));
        let body = match *stream {
            "" => json!({}),
            stream => record(stream),
        };
        let statuses = [(); 2].map(|()| site.ask(key, operation, &body).status);
        assert_eq!(statuses, *expected, "{per} {settings} {operation} {stream}");
    }
}

#[test]
fn a_consumer_counts_for_its_stream_and_a_stream_that_cannot_be_known_with_others_of_its_kind() {
    let site = Site::new(&rule("each", "stream", 1, ""));
    let consumer = format!("{STREAM}orders/consumer/c:1700000000");
    let by_arn = json!({"ConsumerARN": consumer});
    let by_name = json!({"StreamARN": format!("{STREAM}orders"), "ConsumerName": "c"});
    let describe = |body: &Value| site.ask(KEY_ID, "DescribeStreamConsumer", body);
    assert_eq!(describe(&by_arn).status, 200);
    assert_eq!(describe(&by_name).error_type(), "ThrottlingException");
    assert_eq!(site.put(KEY_ID, ["orders"]), [400]);
    // `StreamId` is reserved. No statement but those for everything can be about it.
    let all = Site {
        gate: GateBuilder::new(&site.authority, site.recorder.address())
            .tables(&rule("each", "stream", 1, ""))
            .start(),
        ..site
    };
    let of = |id: &str| json!({"Data": "QQ==", "PartitionKey": "1", "StreamId": id});
    let [first, second] = ["abcdefghij0123456789-abc", "abcdefghij0123456789-abd"];
    assert_eq!(all.ask(KEY_ID, "PutRecord", &of(first)).status, 200);
    assert_eq!(all.ask(KEY_ID, "PutRecord", &of(second)).status, 400);
    assert_eq!(all.put(KEY_ID, ["orders"]), [200]);
}

#[test]
fn every_stream_of_a_request_must_have_room() {
    let site = Site::new(&rule("each", "stream", 1, ""));
    let queue = |streams: [&str; 2]| {
        let list = streams.map(|name| json!({"StreamARN": format!("{STREAM}{name}")}));
        let body = json!({"QueueName": "q", "StreamConfigurationList": list});
        site.ask(KEY_ID, "CreateQueue", &body)
    };
    assert_eq!(queue(["a", "b"]).status, 200);
    assert_eq!(queue(["c", "a"]).error_type(), "ThrottlingException");
    // It took nothing from `c`.
    assert_eq!(site.put(KEY_ID, ["a", "b", "c"]), [400, 400, 200]);
}

/// A body that is large enough to be judged on its way, and more than is under way at once.
fn large(end: &str) -> String {
    let data = "QUJD".repeat(1 << 20);
    format!(r#"{{"StreamName":"orders","PartitionKey":"1","Data":"{data}"{end}}}"#)
}

#[test]
fn nothing_of_a_large_request_leaves_that_has_no_room() {
    let site = Site::new(&rule("each", "stream", 1, ""));
    let send = |key, body: String| {
        Request::with_key("PutRecord", body, key).send(&site.authority, site.gate.address())
    };
    assert_eq!(site.put(KEY_ID, ["clicks"]), [200]);
    assert_eq!(send(KEY_ID, large("")).status, 200);
    assert_eq!(send(KEY_ID, large("")).error_type(), THROUGHPUT);
    assert_eq!(site.gate.log(3)[2]["upstream_us"], Value::Null);
    // Over HTTP/2 as well the answer comes before the body has.
    let body = large("");
    let headers = http2::signed_headers("PutRecord", &body, "host");
    let request = http2::request(&headers, &body);
    let answer = http2::try_send(&site.authority, site.gate.address(), request).unwrap();
    assert_eq!(
        (answer.status, answer.error_type().as_str()),
        (400, THROUGHPUT)
    );
    // Whose stream a caller of no known account means may be told at the end.
    let late = format!(r#","StreamARN":"{STREAM}orders""#);
    assert_eq!(send(HIDDEN, large(&late)).error_type(), THROUGHPUT);
    assert_eq!(send(HIDDEN, large("")).status, 200);
    assert_eq!(site.recorder.requests().len(), 3);
    assert_eq!(site.recorder.connections(), 1, "none was cut off");
}

#[test]
fn a_reload_changes_rules_and_those_that_stay_go_on() {
    let rules = |burst, more: &str| {
        rule("kept", "principal", 2, more) + &rule("changed", "stream", burst, "")
    };
    let site = Site::new(&rules(1, ""));
    let mut connection = Connection::open(&site.authority, site.gate.address(), HOST);
    let mut put = |stream: &str| {
        connection.write(&Request::new("PutRecord", record(stream).to_string()).bytes());
        connection.response().status
    };
    assert_eq!(["orders", "orders"].map(&mut put), [200, 400]);
    let file = site.gate.path("gate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    // A rule's allowance is another, and the other is for more; the connection stays.
    let changed = text.replace(&rules(1, ""), &rules(5, "actions = [\"kinesis:*\"]"));
    assert_ne!(text, changed);
    std::fs::write(&file, changed).unwrap();
    site.gate.reload().unwrap();
    assert_eq!(["orders", "orders"].map(&mut put), [200, 400]);
    assert_eq!(site.gate.log(4)[3]["rate"], "kept");
    assert!(site.counted(r#"rate_limited_total{rule="kept"} 1"#));
    assert!(site.counted(r#"rate_limited_total{rule="changed"} 0"#));
    // Without rules nothing is counted.
    std::fs::write(&file, text.replace(&rules(1, ""), "")).unwrap();
    site.gate.reload().unwrap();
    assert_eq!(["orders", "orders", "orders"].map(&mut put), [200; 3]);
    assert!(
        !get(site.gate.admin(), "/metrics")
            .1
            .contains("rate_limited_total{")
    );
}

#[test]
fn no_more_is_remembered_than_the_rule_says() {
    let site = Site::new(&rule("each", "principal", 3, "keys = 2"));
    let [first, second, third] = STRANGERS;
    assert_eq!(site.put(KEY_ID, ["a"; 4]), [200, 200, 200, 400]);
    // The second place goes from one to the other, with what is owed.
    assert_eq!(site.put(first, ["a"]), [200]);
    assert_eq!(site.put(second, ["a"]), [200]);
    assert_eq!(site.put(first, ["a", "a"]), [200, 400]);
    assert_eq!(site.put(second, ["a"]), [400]);
    // Who is busy keeps its own.
    assert_eq!(site.put(KEY_ID, ["a"]), [400]);
    assert_eq!(site.put(third, ["a"]), [400]);
}
