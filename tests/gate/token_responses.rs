//! Answers that hand out tokens: whole, in pieces, broken off, and such as nobody can read.

use std::sync::Arc;
use std::sync::Mutex;

use bytes::Bytes;
use kinesis_gate::sandbox::Authority;
use serde_json::json;
use tokio::sync::mpsc;

use crate::support::raw::{Connection, Request};
use crate::support::responder::{
    BodyAborted, ReceivedRequest, Responder, StreamedResponse, encode,
};
use crate::support::{ENDPOINT, Gate, GateBuilder, HOST};
use crate::token_binding::{Caller, POLICY, WIRES, metric};

const EXPIRED: &str = "ExpiredIteratorException";

fn gate(authority: &Arc<Authority>, kinesis: &Responder) -> Gate {
    GateBuilder::new(authority, kinesis.address())
        .endpoint(ENDPOINT, POLICY)
        .start()
}

/// Iterators called `first`; records by `records`.
fn kinesis(
    authority: &Authority,
    records: impl Fn(&ReceivedRequest) -> StreamedResponse + Send + Sync + 'static,
) -> Responder {
    Responder::start(authority, move |asked| match asked.operation.as_str() {
        "GetShardIterator" => asked.respond(&json!({"ShardIterator": "first"})),
        _ => records(asked),
    })
}

/// An answer of some 8 MiB in pieces of 64 KiB, its token at the end.
fn large(cbor: bool) -> Vec<Bytes> {
    let record = json!({"Data": "QUJD".repeat(512), "PartitionKey": "1", "SequenceNumber": "49"});
    let answer = encode(
        cbor,
        // The members of a `Value` are in the order of the alphabet.
        &json!({"MillisBehindLatest": 0, "Records": vec![record; 4096], "ZNextShardIterator": ""}),
    );
    // In its place, the member that the gate looks for; both names are as long in their encoding.
    let old = if cbor {
        b"\x72ZNextShardIterator\x60".to_vec()
    } else {
        b"\"ZNextShardIterator\":\"\"".to_vec()
    };
    let new = if cbor {
        b"\x71NextShardIterator\x66second".to_vec()
    } else {
        b"\"NextShardIterator\":\"second\"".to_vec()
    };
    let at = answer.len() - old.len() - usize::from(!cbor);
    assert_eq!(&answer[at..at + old.len()], old);
    let mut bytes = answer[..at].to_vec();
    bytes.extend(new);
    bytes.extend(&answer[at + old.len()..]);
    bytes.chunks(64 << 10).map(Bytes::copy_from_slice).collect()
}

#[test]
fn a_large_answer_streams_and_is_read_to_its_end() {
    let authority = Arc::new(Authority::create().unwrap());
    let kinesis = kinesis(&authority, |asked| {
        asked.respond_in_chunks(large(asked.cbor))
    });
    for wire in WIRES {
        let gate = gate(&authority, &kinesis);
        let caller = Caller::new(&gate, wire);
        let iterator = caller.iterator("orders");
        assert_eq!(caller.read_error("second"), EXPIRED);
        let (status, answer) = caller.bytes("GetRecords", &json!({"ShardIterator": iterator}));
        assert_eq!(status, 200);
        assert!(
            answer == large(wire.cbor()).concat(),
            "{wire:?}: it was changed"
        );
        caller.read("second");
    }
}

#[test]
fn pieces_pass_while_others_are_still_to_come_but_for_the_last() {
    let authority = Arc::new(Authority::create().unwrap());
    let (sender, pieces) = mpsc::unbounded_channel();
    let pieces = Mutex::new(Some(pieces));
    let kinesis = kinesis(&authority, move |asked| {
        match pieces.lock().unwrap().take() {
            Some(pieces) => asked.respond_from(pieces),
            None => asked.respond(&json!({})),
        }
    });
    let gate = gate(&authority, &kinesis);
    let caller = Caller::new(&gate, WIRES[0]);
    let iterator = caller.iterator("orders");

    let body = json!({"ShardIterator": iterator}).to_string();
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    connection.write(&Request::new("GetRecords", body).bytes());
    let (begin, records) = (r#"{"Records":["#, "1,".repeat(32 << 10));
    for piece in [begin, &records, "2"] {
        sender
            .send(Ok(Bytes::copy_from_slice(piece.as_bytes())))
            .unwrap();
    }
    let answer = connection.response();
    assert_eq!(answer.status, 200);
    // Two pieces are here, chunk heads and all; the third waits for a fourth.
    let arrived = connection.read_at_least(begin.len() + records.len(), answer.body);
    assert_eq!(caller.read_error("second"), EXPIRED);
    sender
        .send(Ok(Bytes::from(r#"],"NextShardIterator":"second"}"#)))
        .unwrap();
    drop(sender);
    let body = connection.read_chunked(arrived).unwrap();
    assert_eq!(
        String::from_utf8(body).unwrap(),
        format!(r#"{begin}{records}2],"NextShardIterator":"second"}}"#)
    );
    caller.call("GetRecords", &json!({"ShardIterator": "second"}));
    assert_eq!(kinesis.count("GetRecords"), 2);
}

#[test]
fn an_answer_that_breaks_off_binds_nothing() {
    let authority = Arc::new(Authority::create().unwrap());
    let kinesis = kinesis(&authority, |asked| {
        let (sender, pieces) = mpsc::unbounded_channel();
        let token = br#"{"NextShardIterator":"second","Records":[1"#;
        sender.send(Ok(Bytes::from_static(token))).unwrap();
        sender.send(Ok(Bytes::from(",1".repeat(10_000)))).unwrap();
        sender.send(Err(BodyAborted)).unwrap();
        asked.respond_from(pieces)
    });
    let gate = gate(&authority, &kinesis);
    let caller = Caller::new(&gate, WIRES[0]);
    let body = json!({"ShardIterator": caller.iterator("orders")}).to_string();
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    connection.write(&Request::new("GetRecords", body).bytes());
    let answer = connection.try_response();
    if let Some(answer) = answer {
        assert!(connection.read_chunked(answer.body).is_err());
    }
    assert_eq!(caller.read_error("second"), EXPIRED);
    assert_eq!(metric(&gate, "tokens_bound"), 1);
}

/// What an answer says, with which headers and status, and whether it counts as unreadable.
type Case = (
    &'static str,
    &'static [(&'static str, &'static str)],
    u16,
    bool,
);

const JSON: &str = "application/x-amz-json-1.1";

const BIND_NOTHING: &[Case] = &[
    (
        r#"{"NextShardIterator":"second","NextShardIterator":"second"}"#,
        &[],
        200,
        true,
    ),
    (
        r#"{"NextShardIterator":"second","Next\u0053hardIterator":"x"}"#,
        &[],
        200,
        true,
    ),
    (
        r#"{"NextShardIterator":"second","nextShardIterator":"x"}"#,
        &[],
        200,
        true,
    ),
    (r#"{"NextShardIterator":"second"}{}"#, &[], 200, true),
    (r#"{"NextShardIterator":"second""#, &[], 200, true),
    (r#"{"NextShardIterator":["second"]}"#, &[], 200, true),
    (r#"[{"NextShardIterator":"second"}]"#, &[], 200, true),
    (
        r#"{"Records":[{"NextShardIterator":"second"}]}"#,
        &[],
        200,
        false,
    ),
    (
        r#"{"NextShardIterator":null,"ShardIterator":"second"}"#,
        &[],
        200,
        false,
    ),
    (
        r#"{"NextShardIterator":"second"}"#,
        &[("content-encoding", "gzip")],
        200,
        true,
    ),
    (
        r#"{"NextShardIterator":"second"}"#,
        &[("content-encoding", "identity")],
        200,
        true,
    ),
    (
        r#"{"NextShardIterator":"second"}"#,
        &[("content-type", "text/plain")],
        200,
        true,
    ),
    (
        r#"{"NextShardIterator":"second"}"#,
        &[("content-type", "application/x-amz-cbor-1.1")],
        200,
        true,
    ),
    (
        r#"{"NextShardIterator":"second"}"#,
        &[("x-other", JSON)],
        500,
        false,
    ),
    (r#"{"NextShardIterator":"second"}"#, &[], 400, false),
];

#[test]
fn an_answer_that_cannot_be_read_in_one_way_binds_nothing_and_is_passed_on() {
    for (text, headers, status, unread) in BIND_NOTHING {
        let authority = Arc::new(Authority::create().unwrap());
        let kinesis = kinesis(&authority, move |asked| {
            let (first, second) = text.split_at(text.len() / 2);
            let mut reply = asked.respond_in_chunks([Bytes::from(first), Bytes::from(second)]);
            for (name, value) in *headers {
                reply = reply.header(name, value);
            }
            reply.status(*status)
        });
        let gate = gate(&authority, &kinesis);
        let caller = Caller::new(&gate, WIRES[0]);
        let body = json!({"ShardIterator": caller.iterator("orders")});
        let (answered, bytes) = caller.bytes("GetRecords", &body);
        assert_eq!(answered, *status, "{text}");
        assert_eq!(bytes, text.as_bytes());
        assert_eq!(caller.read_error("second"), EXPIRED, "{text} {headers:?}");
        assert_eq!(metric(&gate, "tokens_unread"), u64::from(*unread), "{text}");
        assert_eq!(kinesis.count("GetRecords"), 1);
    }
}

#[test]
fn an_answer_says_its_encoding_itself() {
    let authority = Arc::new(Authority::create().unwrap());
    let kinesis = kinesis(&authority, |asked| {
        let answer = encode(!asked.cbor, &json!({"NextShardIterator": "second"}));
        let other = crate::support::responder::content_type(!asked.cbor);
        asked
            .respond_in_chunks([answer])
            .header("content-type", other)
    });
    for wire in WIRES {
        let gate = gate(&authority, &kinesis);
        let caller = Caller::new(&gate, wire);
        let body = json!({"ShardIterator": caller.iterator("orders")});
        assert_eq!(caller.bytes("GetRecords", &body).0, 200);
        let second = json!({"ShardIterator": "second"});
        assert_eq!(caller.bytes("GetRecords", &second).0, 200, "{wire:?}");
    }
}
