//! Opaque tokens: `GetRecords` of a forbidden stream is impossible, whatever the iterator; a token
//! that is not known is one that expired.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use kinesis_gate::app;
use kinesis_gate::sandbox::Authority;
use serde_json::{Value, json};

use crate::support::raw::{Connection, Request};
use crate::support::responder::{
    ReceivedRequest, Responder, StreamedResponse, content_type, decode, encode,
};
use crate::support::{ACCOUNT, ENDPOINT, Gate, GateBuilder, HOST, KEY_ID, http2};

/// Iterators of every stream, records of one.
pub const POLICY: &str = r#"{"Statement":[
    {"Effect":"Allow","Principal":"*","Action":"kinesis:GetShardIterator","Resource":"*"},
    {"Effect":"Allow","Principal":"*",
     "Action":["kinesis:GetRecords","kinesis:ListShards","kinesis:ListStreamConsumers"],
     "Resource":"arn:aws:kinesis:us-east-1:123456789012:stream/orders"}]}"#;
const FULL: &str =
    r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}"#;
/// A key of account 609629065308.
const STRANGER: &str = "ASIAY34FZKBOKMUTVV7A";
/// A key that does not tell its account.
const HIDDEN: &str = "AKIAIOSFODNN7EXAMPLE";

/// How a client speaks.
#[derive(Debug, Clone, Copy)]
pub struct Wire {
    http2: bool,
    cbor: bool,
}

pub const WIRES: [Wire; 4] = [
    Wire {
        http2: false,
        cbor: false,
    },
    Wire {
        http2: false,
        cbor: true,
    },
    Wire {
        http2: true,
        cbor: false,
    },
    Wire {
        http2: true,
        cbor: true,
    },
];

impl Wire {
    pub fn cbor(self) -> bool {
        self.cbor
    }
}

/// A client of one gate.
pub struct Caller<'a> {
    authority: &'a Authority,
    address: SocketAddr,
    wire: Wire,
    key_id: &'a str,
}

impl<'a> Caller<'a> {
    pub fn new(gate: &'a Gate, wire: Wire) -> Caller<'a> {
        Caller {
            authority: &gate.authority,
            address: gate.address(),
            wire,
            key_id: KEY_ID,
        }
    }

    fn with_key(self, key_id: &'a str) -> Caller<'a> {
        Caller { key_id, ..self }
    }

    fn through(self, address: SocketAddr) -> Caller<'a> {
        Caller { address, ..self }
    }

    /// Calls an operation over a connection of its own.
    pub fn call(&self, operation: &str, body: &Value) -> (u16, Value) {
        let (status, bytes) = self.bytes(operation, body);
        (status, decode(self.wire.cbor, &bytes))
    }

    /// The same; the bytes of the answer.
    pub fn bytes(&self, operation: &str, body: &Value) -> (u16, Bytes) {
        let body = encode(self.wire.cbor, body);
        let request = Request::with_key(operation, body.to_vec(), self.key_id)
            .replace("Content-Type", content_type(self.wire.cbor));
        if !self.wire.http2 {
            let mut connection = Connection::open(self.authority, self.address, HOST);
            connection.write(&request.bytes());
            let answer = connection.response();
            let body = match answer.header("transfer-encoding") {
                Some(_) => connection.read_chunked(answer.body).unwrap(),
                None => answer.body,
            };
            return (answer.status, body.into());
        }
        http2::block_on(async {
            let (mut sender, connection) =
                http2::connect(self.authority, self.address, http2::H2, None).await;
            tokio::spawn(connection);
            let headers: Vec<_> = request
                .headers
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
                .collect();
            let request = http2::request(&headers, "").map(|_| Full::new(body));
            let answer = sender.send_request(request).await.unwrap();
            let status = answer.status().as_u16();
            (
                status,
                answer.into_body().collect().await.unwrap().to_bytes(),
            )
        })
    }

    /// An iterator of a stream.
    pub fn iterator(&self, stream: &str) -> String {
        let (status, answer) = self.call("GetShardIterator", &json!({"StreamName": stream}));
        assert_eq!(status, 200, "{answer}");
        answer["ShardIterator"].as_str().unwrap().to_owned()
    }

    /// The error type of a request that is refused.
    pub fn error(&self, operation: &str, body: &Value) -> String {
        let (status, answer) = self.call(operation, body);
        assert_eq!(status, 400, "{answer}");
        answer["__type"].as_str().unwrap().to_owned()
    }

    pub fn read_error(&self, iterator: &str) -> String {
        self.error("GetRecords", &json!({"ShardIterator": iterator}))
    }

    /// Reads on from an iterator; the next one.
    pub fn read(&self, iterator: &str) -> String {
        let (status, answer) = self.call("GetRecords", &json!({"ShardIterator": iterator}));
        assert_eq!(status, 200, "{answer}");
        answer["NextShardIterator"].as_str().unwrap().to_owned()
    }
}

/// An upstream whose tokens tell nothing, each handed out once.
pub fn kinesis(authority: &Authority) -> Responder {
    let handed = AtomicUsize::new(0);
    Responder::start(
        authority,
        move |asked: &ReceivedRequest| -> StreamedResponse {
            let token = format!("token-{}", handed.fetch_add(1, Ordering::Relaxed));
            let answer = match asked.operation.as_str() {
                "GetShardIterator" => json!({"ShardIterator": token}),
                "GetRecords" => {
                    json!({"Records": [], "NextShardIterator": token, "MillisBehindLatest": 0})
                }
                "ListShards" => json!({"Shards": [], "NextToken": token}),
                "ListStreamConsumers" => json!({"Consumers": [], "NextToken": token}),
                _ => json!({}),
            };
            asked.respond(&answer)
        },
    )
}

struct Parts {
    kinesis: Responder,
    gate: Gate,
}

fn parts() -> Parts {
    parts_with(|builder| builder)
}

fn parts_with(with: impl FnOnce(GateBuilder) -> GateBuilder) -> Parts {
    let authority = Arc::new(Authority::create().unwrap());
    let kinesis = kinesis(&authority);
    let builder = GateBuilder::new(&authority, kinesis.address()).endpoint(ENDPOINT, POLICY);
    let gate = with(builder).start();
    Parts { kinesis, gate }
}

/// A number of the metrics page.
pub fn metric(gate: &Gate, name: &str) -> u64 {
    let (_, page) = crate::health_and_drain::get(gate.admin(), "/metrics");
    number(&page, &format!("{name}_total"))
}

/// A metric without labels on a page of metrics.
fn number(page: &str, name: &str) -> u64 {
    let name = format!("kinesis_gate_{name} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&name));
    line.unwrap_or_else(|| panic!("no {name}: {page}"))
        .parse()
        .unwrap()
}

const EXPIRED: &str = "ExpiredIteratorException";
const DENIED: &str = "AccessDeniedException";

#[test]
fn an_allowed_stream_is_read_from_iterator_to_iterator() {
    let Parts { kinesis, gate } = parts();
    for wire in WIRES {
        let caller = Caller::new(&gate, wire);
        let mut iterator = caller.iterator("orders");
        for _ in 0..3 {
            iterator = caller.read(&iterator);
        }
        // By ARN as well, with the ARN beside the iterator.
        let arn = format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders");
        let (status, answer) = caller.call("GetShardIterator", &json!({"StreamARN": arn}));
        assert_eq!(status, 200, "{answer}");
        let body = json!({"ShardIterator": answer["ShardIterator"], "StreamARN": arn});
        assert_eq!(caller.call("GetRecords", &body).0, 200);
    }
    assert_eq!(kinesis.count("GetRecords"), 16);
    assert_eq!(metric(&gate, "tokens_bound"), 4 * (2 + 4));
    assert_eq!(metric(&gate, "tokens_unknown"), 0);
}

#[test]
fn the_pages_of_lists_are_their_streams() {
    let Parts { kinesis, gate } = parts();
    let arn = format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders");
    for wire in WIRES {
        let caller = Caller::new(&gate, wire);
        let (_, first) = caller.call("ListShards", &json!({"StreamName": "orders"}));
        let token = &first["NextToken"];
        let (status, next) = caller.call("ListShards", &json!({"NextToken": token}));
        assert_eq!(status, 200, "{next}");
        // Beside a name, which must be the token's.
        let body = json!({"NextToken": next["NextToken"], "StreamName": "orders"});
        assert_eq!(caller.call("ListShards", &body).0, 200);
        let body = json!({"NextToken": next["NextToken"], "StreamName": "private"});
        assert_eq!(caller.error("ListShards", &body), DENIED);

        let (_, first) = caller.call("ListStreamConsumers", &json!({"StreamARN": arn}));
        let body = json!({"StreamARN": arn, "NextToken": first["NextToken"]});
        assert_eq!(caller.call("ListStreamConsumers", &body).0, 200);

        // One operation's token is none of another's.
        let body = json!({"StreamARN": arn, "NextToken": token});
        for (operation, body) in [
            ("ListShards", json!({"NextToken": "invented"})),
            ("ListShards", json!({"NextToken": first["NextToken"]})),
            ("ListStreamConsumers", body),
        ] {
            assert_eq!(
                caller.error(operation, &body),
                "ExpiredNextTokenException",
                "{operation} {body}"
            );
        }
    }
    assert_eq!(kinesis.count("ListShards"), 4 * 3);
    assert_eq!(kinesis.count("ListStreamConsumers"), 4 * 2);
}

#[test]
fn a_forbidden_stream_is_not_read_with_ones_own_iterator() {
    let Parts { kinesis, gate } = parts();
    for wire in WIRES {
        let caller = Caller::new(&gate, wire);
        let body = json!({"ShardIterator": caller.iterator("private")});
        let (status, answer) = caller.call("GetRecords", &body);
        assert_eq!((status, &answer["__type"]), (400, &json!(DENIED)));
        let message = answer["Message"].as_str().unwrap();
        let resource = format!("resource: arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/private ");
        assert!(message.contains(&resource), "{message}");
    }
    assert_eq!(kinesis.count("GetRecords"), 0);
}

#[test]
fn nor_with_another_clients() {
    let Parts { kinesis, gate } = parts();
    for wire in WIRES {
        let iterator = Caller::new(&gate, wire).iterator("private");
        // A caller of another account means its own stream by the same name.
        let strangers = Caller::new(&gate, wire)
            .with_key(STRANGER)
            .iterator("orders");
        for key_id in [KEY_ID, STRANGER] {
            let caller = Caller::new(&gate, wire).with_key(key_id);
            assert_eq!(caller.read_error(&iterator), DENIED);
            assert_eq!(caller.read_error(&strangers), DENIED);
        }
        // Whose stream that is, nobody can tell.
        let hidden = Caller::new(&gate, wire).with_key(HIDDEN).iterator("orders");
        assert_eq!(Caller::new(&gate, wire).read_error(&hidden), DENIED);
    }
    assert_eq!(kinesis.count("GetRecords"), 0);
}

#[test]
fn nor_with_one_from_another_endpoint_or_another_replica() {
    let authority = Arc::new(Authority::create().unwrap());
    let kinesis = kinesis(&authority);
    let start = || {
        GateBuilder::new(&authority, kinesis.address())
            .endpoint(ENDPOINT, POLICY)
            .endpoint("vpce-11aa22bb", FULL)
            .start()
    };
    let (gate, replica) = (start(), start());
    for wire in WIRES {
        let caller = Caller::new(&gate, wire);
        // Where everything is allowed nothing is remembered.
        let open = Caller::new(&gate, wire).through(gate.addresses()[1]);
        assert_eq!(caller.read_error(&open.iterator("private")), EXPIRED);
        let other = Caller::new(&replica, wire);
        assert_eq!(caller.read_error(&other.iterator("private")), EXPIRED);
        assert_eq!(caller.read_error(&other.iterator("orders")), EXPIRED);
    }
    assert_eq!(kinesis.count("GetRecords"), 0);
}

/// Seconds that this test's clock is ahead.
static AHEAD: AtomicU64 = AtomicU64::new(0);

fn ahead() -> SystemTime {
    app::clock() + Duration::from_secs(AHEAD.load(Ordering::Relaxed))
}

#[test]
fn nor_with_an_expired_one() {
    let Parts { kinesis, gate } = parts_with(|builder| builder.clock(ahead));
    let mut read = 0;
    for wire in WIRES {
        let caller = Caller::new(&gate, wire);
        let (private, orders) = (caller.iterator("private"), caller.iterator("orders"));
        AHEAD.fetch_add(290, Ordering::Relaxed);
        assert_eq!(caller.read_error(&private), DENIED);
        caller.read(&orders);
        read += 1;
        AHEAD.fetch_add(11, Ordering::Relaxed);
        assert_eq!(caller.read_error(&private), EXPIRED);
        assert_eq!(caller.read_error(&orders), EXPIRED);
    }
    assert_eq!(kinesis.count("GetRecords"), read);
}

#[test]
fn nor_with_an_invented_one() {
    let Parts { kinesis, gate } = parts();
    for wire in WIRES {
        let caller = Caller::new(&gate, wire);
        let body = json!({"ShardIterator": "AAAAAAAAAAE="});
        let (status, answer) = caller.call("GetRecords", &body);
        let expected = json!({
            "__type": EXPIRED,
            "message": "The shard iterator has expired. Shard iterators are only valid for 300 \
                seconds",
        });
        assert_eq!((status, answer), (400, expected));
    }
    assert_eq!(kinesis.requests().len(), 0);
    assert_eq!(metric(&gate, "tokens_unknown"), 4);
    let line = &gate.log(4)[0];
    assert_eq!(line["decision"], "refused");
    let reason = line["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("unknown token: `ShardIterator`"),
        "{reason}"
    );
}

#[test]
fn nor_with_an_allowed_streams_name_or_arn_beside_it() {
    let Parts { kinesis, gate } = parts();
    let orders = format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders");
    let private = format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/private");
    for wire in WIRES {
        let caller = Caller::new(&gate, wire);
        let of = |iterator: &str, arn: &str| json!({"ShardIterator": iterator, "StreamARN": arn});
        let known = caller.iterator("private");
        for (body, error) in [
            (of(&known, &orders), "InvalidArgumentException"),
            (of(&known, &private), DENIED),
            (of("invented", &orders), EXPIRED),
            (of("invented", &private), DENIED),
            (of(&caller.iterator("orders"), &private), DENIED),
            (
                json!({"ShardIterator": known, "StreamName": "orders"}),
                "InvalidArgumentException",
            ),
            (
                json!({"ShardIterator": known, "StreamId": "abcdefghij0123456789-abc"}),
                DENIED,
            ),
        ] {
            assert_eq!(caller.error("GetRecords", &body), error, "{body}");
        }
    }
    assert_eq!(kinesis.count("GetRecords"), 0);
}

#[test]
fn where_no_stream_could_be_read_the_iterator_does_not_matter() {
    let authority = Arc::new(Authority::create().unwrap());
    let kinesis = kinesis(&authority);
    let explicit = r#"{"Statement":[
        {"Effect":"Allow","Principal":"*","Action":"*",
         "Resource":"arn:aws:kinesis:us-east-1:123456789012:stream/orders"},
        {"Effect":"Deny","Principal":"*","Action":"kinesis:Get*","Resource":"*"}]}"#;
    let implicit = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"kinesis:PutRecord",
        "Resource":"arn:aws:kinesis:us-east-1:123456789012:stream/orders"}}"#;
    for policy in [explicit, implicit] {
        let gate = GateBuilder::new(&authority, kinesis.address())
            .endpoint(ENDPOINT, policy)
            .start();
        for wire in WIRES {
            assert_eq!(Caller::new(&gate, wire).read_error("invented"), DENIED);
        }
    }
    assert_eq!(kinesis.count("GetRecords"), 0);
}

#[test]
fn where_streams_are_not_told_apart_nothing_is_remembered() {
    let authority = Arc::new(Authority::create().unwrap());
    let kinesis = kinesis(&authority);
    // Nor where they are told apart for other operations only.
    let others = r#"{"Statement":[
        {"Effect":"Allow","Principal":"*","Action":["kinesis:Get*","kinesis:List*"],"Resource":"*"},
        {"Effect":"Allow","Principal":"*","Action":"kinesis:PutRecord",
         "Resource":"arn:aws:kinesis:us-east-1:123456789012:stream/orders"}]}"#;
    for policy in [FULL, others] {
        // The endpoint that the analyst's identity policy asks for: it cannot deny anything here.
        let gate = GateBuilder::new(&authority, kinesis.address())
            .endpoint("vpce-11aa22bb", policy)
            .start();
        for wire in WIRES {
            let caller = Caller::new(&gate, wire);
            caller.read("invented");
            caller.read(&caller.iterator("private"));
        }
        assert_eq!(metric(&gate, "tokens_bound"), 0);
    }
}

#[test]
fn the_oldest_is_forgotten_first_and_counted() {
    let Parts { gate, .. } = parts_with(|builder| builder.tokens("capacity = 2"));
    let caller = Caller::new(&gate, WIRES[0]);
    let iterators: Vec<String> = (0..3).map(|_| caller.iterator("orders")).collect();
    assert_eq!(metric(&gate, "tokens_evicted"), 1);
    assert_eq!(caller.read_error(&iterators[0]), EXPIRED);
    caller.read(&iterators[2]);
    assert_eq!(metric(&gate, "tokens_bound"), 4);
    assert_eq!(metric(&gate, "tokens_evicted"), 2);
    let (_, page) = crate::health_and_drain::get(gate.admin(), "/metrics");
    assert_eq!(number(&page, "tokens"), 2);
    assert_eq!(number(&page, "tokens_capacity"), 2);
}

#[test]
fn every_event_loop_knows_every_token() {
    let Parts { gate, .. } = parts_with(|builder| builder.workers(4));
    let caller = Caller::new(&gate, WIRES[0]);
    let mut iterator = caller.iterator("orders");
    // A connection each, so that all loops have had some.
    for _ in 0..40 {
        iterator = caller.read(&iterator);
    }
}
