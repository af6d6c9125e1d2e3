//! Ambiguous requests, which two parsers could read differently, are refused: one row for each rule, in
//! every encoding of the rule, over HTTP/1.1 and HTTP/2. Each case proves that the gate opened no
//! upstream connection, and that the decision log names the rule.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use kinesis_gate::sandbox::Authority;

use crate::support::raw::{Connection, Request};
use crate::support::{ACCOUNT, Behaviour, Gate, GateBuilder, HOST, Recorder, http2};

const STREAM: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/orders";
const SIGNATURE: &str = "AWS4-HMAC-SHA256 Credential=AKIARZPUZDIKGB2VALC4/20261123/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=0000000000000000000000000000000000000000000000000000000000000000";

/// The encodings of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Json,
    Cbor,
    RpcV2,
}

/// A rule about bodies: the reason in the log, and bodies that break the rule.
struct BodyRule {
    reason: &'static str,
    json: &'static [&'static [u8]],
    /// Hexadecimal with spaces; `'text'` stands for its bytes.
    cbor: &'static [&'static str],
}

const BODIES: &[BodyRule] = &[
    BodyRule {
        reason: "the body repeats a key",
        json: &[
            br#"{"StreamName":"orders","StreamName":"private"}"#,
            br#"{"StreamName":"orders","StreamName":"orders"}"#,
            br#"{"StreamName":null,"StreamName":"orders"}"#,
            br#"{"StreamName":"orders","Stream\u004eame":"private"}"#,
            br#"{"StreamName":"orders","\u0053\u0074\u0072\u0065\u0061\u006d\u004e\u0061\u006d\u0065":"private"}"#,
            br#"{"StreamName":"orders","Data":"aA==","Data":"aA=="}"#,
            br#"{"Tags":{"a":"1","\u0061":"2"},"StreamName":"orders"}"#,
        ],
        cbor: &[
            "a2 6a'StreamName' 66'orders' 6a'StreamName' 67'private'",
            "bf 6a'StreamName' 66'orders' 6a'StreamName' 67'private' ff",
            "bf 6a'StreamName' f6 6a'StreamName' 66'orders' ff",
            "bf 6a'StreamName' 66'orders' 78 0a 'StreamName' 67'private' ff",
            "bf 6a'StreamName' 66'orders' 64'Data' 4161 64'Data' 4162 ff",
        ],
    },
    BodyRule {
        // A chunked key is joined before it is compared.
        reason: "the body repeats a key",
        json: &[],
        cbor: &[
            "bf 6a'StreamName' 66'orders' 7f 66'Stream' 64'Name' ff 67'private' ff",
            "bf 7f 66'Stream' 64'Name' ff 66'orders' 7f 60 6a'StreamName' 60 ff 67'private' ff",
        ],
    },
    BodyRule {
        reason: "a key that differs from a known one by case alone",
        json: &[br#"{"StreamName":"orders","streamName":"private"}"#, br#"{"STREAMNAME":"orders"}"#],
        cbor: &["a2 6a'StreamName' 66'orders' 6a'streamname' 67'private'"],
    },
    BodyRule {
        reason: "text in the body is not UTF-8",
        json: &[
            b"{\"StreamName\":\"orders\xff\"}",
            // UTF-16 with its byte-order mark.
            b"\xff\xfe{\x00}\x00",
            b"{\"StreamName\":\"orders\",\"Data\":\"\xc0\x80\"}",
            b"{\"StreamName\":\"orders\",\"Data\":\"\xed\xa0\x80\"}",
            b"{\"StreamName\":\"orders\",\"\xe2\x82\":1}",
        ],
        cbor: &[
            "a1 6a'StreamName' 67'orders' ff",
            "a2 6a'StreamName' 66'orders' 6c'PartitionKey' 62 c080",
            // Each chunk of a text is valid UTF-8 by itself.
            "a2 6a'StreamName' 66'orders' 6c'PartitionKey' 7f 61 c3 61 a9 ff",
        ],
    },
    BodyRule {
        reason: "the body begins with a byte-order mark",
        json: &[b"\xef\xbb\xbf{\"StreamName\":\"orders\"}"],
        cbor: &[],
    },
    BodyRule {
        reason: "the body is not a map",
        json: &[b"[]", b"\"StreamName\"", b"null"],
        cbor: &["80", "6a'StreamName'", "f6", "41 00"],
    },
    BodyRule {
        reason: "half of a surrogate pair",
        json: &[
            br#"{"StreamName":"orders\ud800"}"#,
            br#"{"StreamName":"\udc00orders"}"#,
            br#"{"StreamName":"orders","\ud83dx":1}"#,
            br#"{"StreamName":"orders","Data":"\ud800\ud800"}"#,
        ],
        cbor: &[],
    },
    BodyRule {
        reason: "bytes follow the value in the body",
        json: &[
            br#"{"StreamName":"orders"}{"StreamName":"private"}"#,
            br#"{"StreamName":"orders"},"#,
            b"{\"StreamName\":\"orders\"}\0",
        ],
        cbor: &["a1 6a'StreamName' 66'orders' a1 6a'StreamName' 67'private'", "a1 6a'StreamName' 66'orders' 00", "bf 6a'StreamName' 66'orders' ff ff"],
    },
    BodyRule {
        reason: "the body ends inside a value",
        json: &[br#"{"StreamName":"orders""#, br#"{"StreamName":"orders","Data":"aA=="#],
        cbor: &["a2 6a'StreamName' 66'orders'", "bf 6a'StreamName' 66'orders'", "a1 6a'StreamName' 7f 66'orders'"],
    },
    BodyRule {
        reason: "the body is empty",
        json: &[b"", b" "],
        cbor: &[""],
    },
    BodyRule {
        reason: "the body is nested deeper than 32",
        json: &[br#"{"StreamName":"orders","X":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}"#],
        cbor: &["a2 6a'StreamName' 66'orders' 61'X' 8181818181818181 8181818181818181 8181818181818181 8181818181818181 00"],
    },
    BodyRule {
        reason: "a member that policy needs is not of its type",
        json: &[
            br#"{"StreamName":7}"#,
            br#"{"StreamName":["orders"]}"#,
            br#"{"StreamARN":{"S":"orders"}}"#,
            br#"{"StreamName":"orders","Tags":[{"Key":"a","Value":"b"}]}"#,
            br#"{"StreamName":true}"#,
        ],
        cbor: &[
            "a1 6a'StreamName' 07",
            "a1 6a'StreamName' 46'orders'",
            "a1 6a'StreamName' 81 66'orders'",
            "a1 6a'StreamName' f7",
            "a1 6a'StreamName' 5f 46'orders' ff",
        ],
    },
    BodyRule {
        reason: "a CBOR key that is not text",
        json: &[],
        cbor: &[
            "a2 6a'StreamName' 66'orders' 4a'StreamName' 67'private'",
            "a2 6a'StreamName' 66'orders' 5f 4a'StreamName' ff 67'private'",
            "a2 6a'StreamName' 66'orders' 01 67'private'",
            "a2 6a'StreamName' 66'orders' 61'X' a1 41'k' 00",
        ],
    },
    BodyRule {
        reason: "a CBOR tag on a key or on a member policy needs",
        json: &[],
        cbor: &[
            "a1 c0 6a'StreamName' 66'orders'",
            "a1 6a'StreamName' c0 66'orders'",
            "a1 6a'StreamName' d9 d9f7 66'orders'",
            "d9 d9f7 a1 6a'StreamName' 66'orders'",
            // A reference to an earlier text (tag 25), which some parsers resolve.
            "d9 0100 a2 66'orders' 00 6a'StreamName' d8 19 00",
        ],
    },
    BodyRule {
        reason: "a character or item that does not belong there",
        json: &[br#"{"StreamName":"orders",}"#, br#"{'StreamName':"orders"}"#, br#"{"StreamName":"orders"/**/}"#, br#"{StreamName:"orders"}"#, br#"{"StreamName":NaN}"#],
        cbor: &["a1 6a'StreamName' 7f 41'x' ff", "ff", "bf 6a'StreamName' ff"],
    },
    BodyRule {
        reason: "a control character in a string",
        json: &[b"{\"StreamName\":\"orders\n\"}", b"{\"StreamName\":\"orders\",\"Data\":\"\0\"}"],
        cbor: &[],
    },
    BodyRule {
        reason: "an escape that JSON does not have",
        json: &[br#"{"StreamName":"ord\x65rs"}"#, br#"{"StreamName":"\u00zz"}"#],
        cbor: &[],
    },
    BodyRule {
        reason: "a number that JSON does not have",
        json: &[br#"{"StreamName":"orders","Limit":01}"#, br#"{"StreamName":"orders","Limit":1.}"#],
        cbor: &[],
    },
    BodyRule {
        reason: "a reserved CBOR item",
        json: &[],
        cbor: &["a2 6a'StreamName' 66'orders' 61'X' 1c", "a2 6a'StreamName' 66'orders' 61'X' f81f"],
    },
    BodyRule {
        reason: "`StreamName` and `StreamARN` name different streams",
        json: &[
            br#"{"StreamName":"orders","StreamARN":"arn:aws:kinesis:us-east-1:123456789012:stream/private"}"#,
            br#"{"StreamARN":"arn:aws:kinesis:us-east-1:123456789012:stream/Orders","StreamName":"orders"}"#,
        ],
        cbor: &["a2 6a'StreamName' 66'orders' 69'StreamARN' 78 35'arn:aws:kinesis:us-east-1:123456789012:stream/private'"],
    },
    BodyRule {
        reason: "is of another region than the endpoint",
        json: &[br#"{"StreamARN":"arn:aws:kinesis:eu-west-1:123456789012:stream/orders"}"#],
        cbor: &["a1 69'StreamARN' 78 34'arn:aws:kinesis:eu-west-1:123456789012:stream/orders'"],
    },
    BodyRule {
        reason: "is of another partition than the endpoint",
        json: &[br#"{"StreamARN":"arn:aws-cn:kinesis:us-east-1:123456789012:stream/orders"}"#],
        cbor: &["a1 69'StreamARN' 78 37'arn:aws-cn:kinesis:us-east-1:123456789012:stream/orders'"],
    },
];

/// A rule about heads: the reason in the log, and the change that breaks the rule.
struct HeadRule {
    reason: &'static str,
    change: fn(Case) -> Case,
}

const HEADS: &[HeadRule] = &[
    HeadRule {
        reason: "`X-Amz-Target` is doubled",
        change: |case| {
            case.with(TARGET, "Kinesis_20131202.PutRecord")
                .with(TARGET, "Kinesis_20131202.ListStreams")
        },
    },
    HeadRule {
        reason: "`X-Amz-Target` is several in one",
        change: |case| {
            case.without(TARGET).with(
                TARGET,
                "Kinesis_20131202.ListStreams,Kinesis_20131202.PutRecord",
            )
        },
    },
    HeadRule {
        reason: "`X-Amzn-Target` is set",
        change: |case| case.with("x-amzn-target", "Kinesis_20131202.ListStreams"),
    },
    HeadRule {
        reason: "`Content-Type` is doubled",
        change: |case| case.with("content-type", "application/x-amz-json-1.1"),
    },
    HeadRule {
        reason: "`Content-Type` is doubled",
        change: |case| case.with("content-type", "application/x-amz-cbor-1.1"),
    },
    HeadRule {
        reason: "`Content-Type` is several in one",
        change: |case| {
            case.without("content-type").with(
                "content-type",
                "application/x-amz-json-1.1, application/x-amz-cbor-1.1",
            )
        },
    },
    HeadRule {
        reason: "`Authorization` is doubled",
        change: |case| case.with("authorization", SIGNATURE),
    },
    HeadRule {
        reason: "`Authorization` is several in one",
        change: |case| {
            let joined = format!("{SIGNATURE}, {SIGNATURE}");
            case.without("authorization").with("authorization", &joined)
        },
    },
    HeadRule {
        reason: "`X-Amz-Date` is doubled",
        change: |case| case.with("x-amz-date", "20261123T120001Z"),
    },
    HeadRule {
        reason: "`X-Amz-Security-Token` is doubled",
        change: |case| {
            case.with("x-amz-security-token", "a")
                .with("x-amz-security-token", "b")
        },
    },
    HeadRule {
        reason: "`Content-Encoding` is set",
        change: |case| case.with("content-encoding", "gzip"),
    },
    HeadRule {
        reason: "`Content-Encoding` is set",
        change: |case| case.with("content-encoding", "identity"),
    },
    HeadRule {
        reason: "the query has parameters that are none of a signature",
        change: |case| case.query("?Action=DeleteStream"),
    },
    HeadRule {
        reason: "the query has parameters that are none of a signature",
        change: |case| case.query("?X-Amz-Target=Kinesis_20131202.DeleteStream"),
    },
    HeadRule {
        reason: "the query has parameters that are none of a signature",
        change: |case| case.query("?x-amz-algorithm=AWS4-HMAC-SHA256"),
    },
    HeadRule {
        reason: "`smithy-protocol`",
        change: |case| case.with("smithy-protocol", "rpc-v2-json"),
    },
];

/// A request that both versions of HTTP can carry.
#[derive(Clone)]
struct Case {
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

const TARGET: &str = "x-amz-target";

impl Case {
    fn new(encoding: Encoding, body: Vec<u8>) -> Case {
        let case = Case {
            path: "/".to_owned(),
            headers: Vec::new(),
            body,
        };
        let case = case
            .with("authorization", SIGNATURE)
            .with("x-amz-date", "20261123T120000Z");
        match encoding {
            Encoding::Json => case
                .with(TARGET, "Kinesis_20131202.PutRecord")
                .with("content-type", "application/x-amz-json-1.1"),
            Encoding::Cbor => case
                .with(TARGET, "Kinesis_20131202.PutRecord")
                .with("content-type", "application/x-amz-cbor-1.1"),
            Encoding::RpcV2 => Case {
                path: "/service/Kinesis_20131202/operation/PutRecord".to_owned(),
                ..case
            }
            .with("smithy-protocol", "rpc-v2-cbor")
            .with("content-type", "application/cbor"),
        }
    }

    fn with(mut self, name: &str, value: &str) -> Case {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Case {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    fn query(mut self, query: &str) -> Case {
        self.path += query;
        self
    }

    fn http1(&self, host: &str) -> Vec<u8> {
        let mut request = Request {
            line: format!("POST {} HTTP/1.1", self.path),
            headers: self.headers.clone(),
            body: self.body.clone(),
        };
        let length = self.body.len().to_string();
        request = request
            .header("host", host)
            .header("content-length", &length);
        request.bytes()
    }

    fn http2(&self, host: &str) -> http::Request<http2::Body> {
        let mut request = http::Request::post(format!("https://{host}{}", self.path));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request
            .body(Full::new(Bytes::from(self.body.clone())))
            .unwrap()
    }
}

/// A gate, an upstream that no request may reach, and the expected refusals: request id, reason, and the
/// title of the case.
struct Fixture {
    authority: Arc<Authority>,
    recorder: Recorder,
    gate: Gate,
    expected: Vec<(String, &'static str, String)>,
}

impl Fixture {
    fn new() -> Fixture {
        let authority = Arc::new(Authority::create().unwrap());
        let recorder = Recorder::start(&authority, Behaviour::Respond);
        let gate = GateBuilder::new(&authority, recorder.address()).start();
        Fixture {
            authority,
            recorder,
            gate,
            expected: Vec::new(),
        }
    }

    /// Sends a case over both versions of HTTP.
    fn assert_refused(&mut self, case: &Case, reason: &'static str, title: &str) {
        let mut connection = Connection::open(&self.authority, self.gate.address(), HOST);
        connection.write(&case.http1(HOST));
        let http1 = connection.response();
        let http2 = http2::try_send(&self.authority, self.gate.address(), case.http2(HOST));
        for response in [http1, http2.expect("a response")] {
            assert_eq!(response.status, 400, "{title}: {response:?}");
            let error_type = response.error_type();
            let name = error_type.rsplit('#').next().unwrap_or_default();
            assert_eq!(name, "SerializationException", "{title}: {response:?}");
            let id = response
                .header("x-amzn-requestid")
                .expect("an id")
                .to_owned();
            self.expected.push((id, reason, title.to_owned()));
        }
        assert_eq!(
            self.recorder.connections(),
            0,
            "{title}: an upstream connection"
        );
    }

    /// The log has one line for each request, which names the rule.
    fn assert_logged(self) {
        let lines = self.gate.log(self.expected.len());
        assert_eq!(lines.len(), self.expected.len());
        for (id, reason, title) in self.expected {
            let line = lines.iter().find(|line| line["request_id"] == *id);
            let line = line.unwrap_or_else(|| panic!("{title}: no line"));
            assert_eq!(line["decision"], "refused", "{title}: {line}");
            let found = line["reason"].as_str().unwrap_or_default();
            assert!(found.contains(reason), "{title}: {line}");
        }
    }
}

/// The bytes of [`BodyRule::cbor`].
fn bytes(hex: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, part) in hex.split('\'').enumerate() {
        if index % 2 == 1 {
            out.extend(part.as_bytes());
            continue;
        }
        let digits: Vec<u32> = part.chars().filter_map(|c| c.to_digit(16)).collect();
        out.extend(digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8));
    }
    out
}

fn valid_case(encoding: Encoding) -> Case {
    let body = match encoding {
        Encoding::Json => {
            format!(r#"{{"StreamARN":"{STREAM}","Data":"aA==","PartitionKey":"1"}}"#).into()
        }
        Encoding::Cbor | Encoding::RpcV2 => bytes(&format!(
            "bf 69'StreamARN' 78 34'{STREAM}' 64'Data' 4161 ff"
        )),
    };
    Case::new(encoding, body)
}

const ENCODINGS: [Encoding; 3] = [Encoding::Json, Encoding::Cbor, Encoding::RpcV2];

#[test]
fn ambiguous_bodies_are_refused() {
    let mut fixture = Fixture::new();
    for rule in BODIES {
        for body in rule.json {
            let case = Case::new(Encoding::Json, body.to_vec());
            let title = format!("{:?}", String::from_utf8_lossy(body));
            fixture.assert_refused(&case, rule.reason, &title);
        }
        for hex in rule.cbor {
            for encoding in [Encoding::Cbor, Encoding::RpcV2] {
                let case = Case::new(encoding, bytes(hex));
                let title = format!("{encoding:?} {hex}");
                fixture.assert_refused(&case, rule.reason, &title);
            }
        }
    }
    fixture.assert_logged();
}

#[test]
fn ambiguous_heads_are_refused() {
    let mut fixture = Fixture::new();
    for rule in HEADS {
        for encoding in ENCODINGS {
            let case = (rule.change)(valid_case(encoding));
            let title = format!("{} {encoding:?}", rule.reason);
            // RPC v2 allows no target at all.
            let reason = match (encoding, rule.reason) {
                (Encoding::RpcV2, "`X-Amz-Target` is several in one") => "stands beside",
                (_, reason) => reason,
            };
            fixture.assert_refused(&case, reason, &title);
        }
    }
    fixture.assert_logged();
}

#[test]
fn the_account_in_the_host_must_be_that_of_the_arn() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    let (same, other) = (
        format!("{ACCOUNT}.data-kinesis.us-east-1.amazonaws.com"),
        "210987654321.data-kinesis.us-east-1.amazonaws.com",
    );
    for encoding in ENCODINGS {
        for (host, status) in [(same.as_str(), 200), (other, 400)] {
            let mut connection = Connection::open(&authority, gate.address(), host);
            connection.write(&valid_case(encoding).http1(host));
            let response = connection.response();
            assert_eq!(response.status, status, "{encoding:?} {host}: {response:?}");
        }
    }
    assert_eq!(recorder.requests().len(), 3);
    let lines = gate.log(6);
    let refused = lines.iter().filter(|line| {
        let reason = line["reason"].as_str().unwrap_or_default();
        reason.contains("is of another account than the endpoint's name")
    });
    assert_eq!(refused.count(), 3);
}

/// The requests above are refused for the broken rule alone.
#[test]
fn requests_that_break_no_rule_pass() {
    let authority = Arc::new(Authority::create().unwrap());
    let http1_recorder = Recorder::start(&authority, Behaviour::Respond);
    let http2_recorder = Recorder::start_http2(&authority);
    for encoding in ENCODINGS {
        let case = valid_case(encoding);
        let gate = GateBuilder::new(&authority, http1_recorder.address()).start();
        let mut connection = Connection::open(&authority, gate.address(), HOST);
        connection.write(&case.http1(HOST));
        assert_eq!(connection.response().status, 200, "{encoding:?}");
        assert!(http1_recorder.requests().pop().unwrap().body == case.body);
        let gate = GateBuilder::new(&authority, http2_recorder.address()).start();
        let response = http2::try_send(&authority, gate.address(), case.http2(HOST)).unwrap();
        assert_eq!(response.status, 200, "{encoding:?}");
        assert!(http2_recorder.requests().pop().unwrap().body == case.body);
    }
}
