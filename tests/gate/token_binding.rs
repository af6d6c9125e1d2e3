//! Token binding: no shard iterator and no page token reads a denied stream; an unknown token is refused
//! as an expired one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use kinesis_gate::app;
use kinesis_gate::sandbox::Authority;
use serde_json::{Value, json};

use crate::published_policies::FULL_ACCESS;
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
/// An access key of account 609629065308.
const OTHER_ACCOUNT_KEY: &str = "ASIAY34FZKBOKMUTVV7A";
/// An access key that hides its account.
const HIDDEN_ACCOUNT_KEY: &str = "AKIAIOSFODNN7EXAMPLE";

/// The HTTP version and the encoding of a client.
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
        let (status, bytes) = self.call_bytes(operation, body);
        (status, decode(self.wire.cbor, &bytes))
    }

    /// Like [`Self::call`], with the body's bytes.
    pub fn call_bytes(&self, operation: &str, body: &Value) -> (u16, Bytes) {
        let body = encode(self.wire.cbor, body);
        let request = Request::with_key(operation, body.to_vec(), self.key_id)
            .replace("Content-Type", content_type(self.wire.cbor));
        if !self.wire.http2 {
            let mut connection = Connection::open(self.authority, self.address, HOST);
            connection.write(&request.bytes());
            let response = connection.response();
            let body = match response.header("transfer-encoding") {
                Some(_) => connection.read_chunked(response.body).unwrap(),
                None => response.body,
            };
            return (response.status, body.into());
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
            let response = sender.send_request(request).await.unwrap();
            let status = response.status().as_u16();
            (
                status,
                response.into_body().collect().await.unwrap().to_bytes(),
            )
        })
    }

    /// An iterator of a stream.
    pub fn iterator(&self, stream: &str) -> String {
        let (status, response) = self.call("GetShardIterator", &json!({"StreamName": stream}));
        assert_eq!(status, 200, "{response}");
        response["ShardIterator"].as_str().unwrap().to_owned()
    }

    /// The error type of a request that the gate refuses.
    pub fn error(&self, operation: &str, body: &Value) -> String {
        let (status, response) = self.call(operation, body);
        assert_eq!(status, 400, "{response}");
        response["__type"].as_str().unwrap().to_owned()
    }

    pub fn read_error(&self, iterator: &str) -> String {
        self.error("GetRecords", &json!({"ShardIterator": iterator}))
    }

    /// Calls `GetRecords`, and returns the next iterator.
    pub fn read(&self, iterator: &str) -> String {
        let (status, response) = self.call("GetRecords", &json!({"ShardIterator": iterator}));
        assert_eq!(status, 200, "{response}");
        response["NextShardIterator"].as_str().unwrap().to_owned()
    }
}

/// An upstream that issues opaque tokens, each once.
pub fn kinesis(authority: &Authority) -> Responder {
    let issued = AtomicUsize::new(0);
    Responder::start(
        authority,
        move |request: &ReceivedRequest| -> StreamedResponse {
            let token = format!("token-{}", issued.fetch_add(1, Ordering::Relaxed));
            let response = match request.operation.as_str() {
                "GetShardIterator" => json!({"ShardIterator": token}),
                "GetRecords" => {
                    json!({"Records": [], "NextShardIterator": token, "MillisBehindLatest": 0})
                }
                "ListShards" => json!({"Shards": [], "NextToken": token}),
                "ListStreamConsumers" => json!({"Consumers": [], "NextToken": token}),
                _ => json!({}),
            };
            request.respond(&response)
        },
    )
}

struct Fixture {
    kinesis: Responder,
    gate: Gate,
}

fn fixture() -> Fixture {
    fixture_with(|builder| builder)
}

fn fixture_with(with: impl FnOnce(GateBuilder) -> GateBuilder) -> Fixture {
    let authority = Arc::new(Authority::create().unwrap());
    let kinesis = kinesis(&authority);
    let builder = GateBuilder::new(&authority, kinesis.address()).endpoint(ENDPOINT, POLICY);
    let gate = with(builder).start();
    Fixture { kinesis, gate }
}

/// A counter of the metrics page, by its name without `_total`.
pub fn metric(gate: &Gate, name: &str) -> u64 {
    let (_, page) = crate::health_and_drain::get(gate.admin(), "/metrics");
    number(&page, &format!("{name}_total"))
}

/// A metric without labels of a metrics page.
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
    let Fixture { kinesis, gate } = fixture();
    for wire in WIRES {
        let caller = Caller::new(&gate, wire);
        let mut iterator = caller.iterator("orders");
        for _ in 0..3 {
            iterator = caller.read(&iterator);
        }
        // By ARN too, with the ARN beside the iterator.
        let arn = format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders");
        let (status, response) = caller.call("GetShardIterator", &json!({"StreamARN": arn}));
        assert_eq!(status, 200, "{response}");
        let body = json!({"ShardIterator": response["ShardIterator"], "StreamARN": arn});
        assert_eq!(caller.call("GetRecords", &body).0, 200);
    }
    assert_eq!(kinesis.count("GetRecords"), 16);
    assert_eq!(metric(&gate, "tokens_bound"), 4 * (2 + 4));
    assert_eq!(metric(&gate, "tokens_unknown"), 0);
}

#[test]
fn a_next_token_is_bound_to_its_stream_and_operation() {
    let Fixture { kinesis, gate } = fixture();
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

        // A token of one operation is unknown to another.
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
fn a_denied_stream_is_not_read_with_the_callers_own_iterator() {
    let Fixture { kinesis, gate } = fixture();
    for wire in WIRES {
        let caller = Caller::new(&gate, wire);
        let body = json!({"ShardIterator": caller.iterator("private")});
        let (status, response) = caller.call("GetRecords", &body);
        assert_eq!((status, &response["__type"]), (400, &json!(DENIED)));
        let message = response["Message"].as_str().unwrap();
        let resource = format!("resource: arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/private ");
        assert!(message.contains(&resource), "{message}");
    }
    assert_eq!(kinesis.count("GetRecords"), 0);
}

#[test]
fn a_denied_stream_is_not_read_with_another_callers_iterator() {
    let Fixture { kinesis, gate } = fixture();
    for wire in WIRES {
        let iterator = Caller::new(&gate, wire).iterator("private");
        // A caller of another account means its own stream by the same name.
        let others_orders = Caller::new(&gate, wire)
            .with_key(OTHER_ACCOUNT_KEY)
            .iterator("orders");
        for key_id in [KEY_ID, OTHER_ACCOUNT_KEY] {
            let caller = Caller::new(&gate, wire).with_key(key_id);
            assert_eq!(caller.read_error(&iterator), DENIED);
            assert_eq!(caller.read_error(&others_orders), DENIED);
        }
        // The stream's account is unknown.
        let hidden = Caller::new(&gate, wire)
            .with_key(HIDDEN_ACCOUNT_KEY)
            .iterator("orders");
        assert_eq!(Caller::new(&gate, wire).read_error(&hidden), DENIED);
    }
    assert_eq!(kinesis.count("GetRecords"), 0);
}

#[test]
fn a_denied_stream_is_not_read_with_an_iterator_of_another_endpoint_or_replica() {
    let authority = Arc::new(Authority::create().unwrap());
    let kinesis = kinesis(&authority);
    let start = || {
        GateBuilder::new(&authority, kinesis.address())
            .endpoint(ENDPOINT, POLICY)
            .endpoint("vpce-11aa22bb", FULL_ACCESS)
            .start()
    };
    let (gate, replica) = (start(), start());
    for wire in WIRES {
        let caller = Caller::new(&gate, wire);
        // An endpoint with full access binds no tokens.
        let full_access = Caller::new(&gate, wire).through(gate.addresses()[1]);
        assert_eq!(caller.read_error(&full_access.iterator("private")), EXPIRED);
        let other = Caller::new(&replica, wire);
        assert_eq!(caller.read_error(&other.iterator("private")), EXPIRED);
        assert_eq!(caller.read_error(&other.iterator("orders")), EXPIRED);
    }
    assert_eq!(kinesis.count("GetRecords"), 0);
}

/// Seconds by which the gate's clock is ahead.
static CLOCK_OFFSET: AtomicU64 = AtomicU64::new(0);

fn offset_clock() -> SystemTime {
    app::clock() + Duration::from_secs(CLOCK_OFFSET.load(Ordering::Relaxed))
}

#[test]
fn a_denied_stream_is_not_read_with_an_expired_iterator() {
    let Fixture { kinesis, gate } = fixture_with(|builder| builder.clock(offset_clock));
    let mut read = 0;
    for wire in WIRES {
        let caller = Caller::new(&gate, wire);
        let (private, orders) = (caller.iterator("private"), caller.iterator("orders"));
        CLOCK_OFFSET.fetch_add(290, Ordering::Relaxed);
        assert_eq!(caller.read_error(&private), DENIED);
        caller.read(&orders);
        read += 1;
        CLOCK_OFFSET.fetch_add(11, Ordering::Relaxed);
        assert_eq!(caller.read_error(&private), EXPIRED);
        assert_eq!(caller.read_error(&orders), EXPIRED);
    }
    assert_eq!(kinesis.count("GetRecords"), read);
}

#[test]
fn a_denied_stream_is_not_read_with_an_invented_iterator() {
    let Fixture { kinesis, gate } = fixture();
    for wire in WIRES {
        let caller = Caller::new(&gate, wire);
        let body = json!({"ShardIterator": "AAAAAAAAAAE="});
        let (status, response) = caller.call("GetRecords", &body);
        let expected = json!({
            "__type": EXPIRED,
            "message": "The shard iterator has expired. Shard iterators are only valid for 300 \
                seconds",
        });
        assert_eq!((status, response), (400, expected));
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
fn a_denied_stream_is_not_read_with_an_allowed_streams_name_or_arn_beside_its_iterator() {
    let Fixture { kinesis, gate } = fixture();
    let orders = format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders");
    let private = format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/private");
    for wire in WIRES {
        let caller = Caller::new(&gate, wire);
        let read = |iterator: &str, arn: &str| json!({"ShardIterator": iterator, "StreamARN": arn});
        let known = caller.iterator("private");
        for (body, error) in [
            (read(&known, &orders), "InvalidArgumentException"),
            (read(&known, &private), DENIED),
            (read("invented", &orders), EXPIRED),
            (read("invented", &private), DENIED),
            (read(&caller.iterator("orders"), &private), DENIED),
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
fn an_operation_denied_on_every_stream_is_denied_with_any_iterator() {
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
fn tokens_are_not_bound_where_the_policy_does_not_distinguish_streams() {
    let authority = Arc::new(Authority::create().unwrap());
    let kinesis = kinesis(&authority);
    // Nor where it distinguishes streams for other operations only.
    let others = r#"{"Statement":[
        {"Effect":"Allow","Principal":"*","Action":["kinesis:Get*","kinesis:List*"],"Resource":"*"},
        {"Effect":"Allow","Principal":"*","Action":"kinesis:PutRecord",
         "Resource":"arn:aws:kinesis:us-east-1:123456789012:stream/orders"}]}"#;
    for policy in [FULL_ACCESS, others] {
        // The endpoint that the analyst's identity policy requires: it denies nothing here.
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
fn the_oldest_token_is_evicted_first_and_counted() {
    let Fixture { gate, .. } = fixture_with(|builder| builder.tokens("capacity = 2"));
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
fn every_worker_knows_every_token() {
    let Fixture { gate, .. } = fixture_with(|builder| builder.workers(4));
    let caller = Caller::new(&gate, WIRES[0]);
    let mut iterator = caller.iterator("orders");
    // One connection for each request, so that every worker gets some.
    for _ in 0..40 {
        iterator = caller.read(&iterator);
    }
}
