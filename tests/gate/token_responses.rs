//! Token binding: responses that issue tokens, whole, in chunks, cut off, and unreadable.

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

/// An upstream that issues the iterator `first`, and answers `GetRecords` by `records`.
fn kinesis(
    authority: &Authority,
    records: impl Fn(&ReceivedRequest) -> StreamedResponse + Send + Sync + 'static,
) -> Responder {
    Responder::start(authority, move |request| match request.operation.as_str() {
        "GetShardIterator" => request.respond(&json!({"ShardIterator": "first"})),
        _ => records(request),
    })
}

/// A response of some 8 MiB in chunks of 64 KiB, with its token at the end.
fn large_response(cbor: bool) -> Vec<Bytes> {
    let record = json!({"Data": "QUJD".repeat(512), "PartitionKey": "1", "SequenceNumber": "49"});
    let response = encode(
        cbor,
        // The members of a `Value` are in alphabetical order.
        &json!({"MillisBehindLatest": 0, "Records": vec![record; 4096], "ZNextShardIterator": ""}),
    );
    // Put in its place the member that the gate looks for.
    let placeholder = if cbor {
        b"\x72ZNextShardIterator\x60".to_vec()
    } else {
        b"\"ZNextShardIterator\":\"\"".to_vec()
    };
    let member = if cbor {
        b"\x71NextShardIterator\x66second".to_vec()
    } else {
        b"\"NextShardIterator\":\"second\"".to_vec()
    };
    let at = response.len() - placeholder.len() - usize::from(!cbor);
    assert_eq!(&response[at..at + placeholder.len()], placeholder);
    let mut bytes = response[..at].to_vec();
    bytes.extend(member);
    bytes.extend(&response[at + placeholder.len()..]);
    bytes.chunks(64 << 10).map(Bytes::copy_from_slice).collect()
}

#[test]
fn a_large_response_streams_and_its_token_is_bound() {
    let authority = Arc::new(Authority::create().unwrap());
    let kinesis = kinesis(&authority, |request| {
        request.respond_in_chunks(large_response(request.cbor))
    });
    for wire in WIRES {
        let gate = gate(&authority, &kinesis);
        let caller = Caller::new(&gate, wire);
        let iterator = caller.iterator("orders");
        assert_eq!(caller.read_error("second"), EXPIRED);
        let (status, response) =
            caller.call_bytes("GetRecords", &json!({"ShardIterator": iterator}));
        assert_eq!(status, 200);
        assert!(
            response == large_response(wire.cbor()).concat(),
            "{wire:?}: the response was changed"
        );
        caller.read("second");
    }
}

#[test]
fn all_chunks_but_the_last_pass_before_the_response_ends() {
    let authority = Arc::new(Authority::create().unwrap());
    let (sender, chunks) = mpsc::unbounded_channel();
    let chunks = Mutex::new(Some(chunks));
    let kinesis = kinesis(&authority, move |request| {
        match chunks.lock().unwrap().take() {
            Some(chunks) => request.respond_from(chunks),
            None => request.respond(&json!({})),
        }
    });
    let gate = gate(&authority, &kinesis);
    let caller = Caller::new(&gate, WIRES[0]);
    let iterator = caller.iterator("orders");

    let body = json!({"ShardIterator": iterator}).to_string();
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    connection.write(&Request::new("GetRecords", body).bytes());
    let (start, records) = (r#"{"Records":["#, "1,".repeat(32 << 10));
    for piece in [start, &records, "2"] {
        sender
            .send(Ok(Bytes::copy_from_slice(piece.as_bytes())))
            .unwrap();
    }
    let response = connection.response();
    assert_eq!(response.status, 200);
    // Two chunks have arrived; the gate holds the third until a fourth comes.
    let arrived = connection.read_at_least(start.len() + records.len(), response.body);
    assert_eq!(caller.read_error("second"), EXPIRED);
    sender
        .send(Ok(Bytes::from(r#"],"NextShardIterator":"second"}"#)))
        .unwrap();
    drop(sender);
    let body = connection.read_chunked(arrived).unwrap();
    assert_eq!(
        String::from_utf8(body).unwrap(),
        format!(r#"{start}{records}2],"NextShardIterator":"second"}}"#)
    );
    caller.call("GetRecords", &json!({"ShardIterator": "second"}));
    assert_eq!(kinesis.count("GetRecords"), 2);
}

#[test]
fn a_response_that_is_cut_off_binds_no_token() {
    let authority = Arc::new(Authority::create().unwrap());
    let kinesis = kinesis(&authority, |request| {
        let (sender, chunks) = mpsc::unbounded_channel();
        let token = br#"{"NextShardIterator":"second","Records":[1"#;
        sender.send(Ok(Bytes::from_static(token))).unwrap();
        sender.send(Ok(Bytes::from(",1".repeat(10_000)))).unwrap();
        sender.send(Err(BodyAborted)).unwrap();
        request.respond_from(chunks)
    });
    let gate = gate(&authority, &kinesis);
    let caller = Caller::new(&gate, WIRES[0]);
    let body = json!({"ShardIterator": caller.iterator("orders")}).to_string();
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    connection.write(&Request::new("GetRecords", body).bytes());
    let response = connection.try_response();
    if let Some(response) = response {
        assert!(connection.read_chunked(response.body).is_err());
    }
    assert_eq!(caller.read_error("second"), EXPIRED);
    assert_eq!(metric(&gate, "tokens_bound"), 1);
}

/// The body, headers and status of a response, and whether it counts as unreadable.
type Case = (
    &'static str,
    &'static [(&'static str, &'static str)],
    u16,
    bool,
);

const JSON: &str = "application/x-amz-json-1.1";

#[rustfmt::skip]
const BIND_NOTHING: &[Case] = &[
    (r#"{"NextShardIterator":"second","NextShardIterator":"second"}"#, &[], 200, true),
    (r#"{"NextShardIterator":"second","Next\u0053hardIterator":"x"}"#, &[], 200, true),
    (r#"{"NextShardIterator":"second","nextShardIterator":"x"}"#, &[], 200, true),
    (r#"{"NextShardIterator":"second"}{}"#, &[], 200, true),
    (r#"{"NextShardIterator":"second""#, &[], 200, true),
    (r#"{"NextShardIterator":["second"]}"#, &[], 200, true),
    (r#"[{"NextShardIterator":"second"}]"#, &[], 200, true),
    (r#"{"Records":[{"NextShardIterator":"second"}]}"#, &[], 200, false),
    (r#"{"NextShardIterator":null,"ShardIterator":"second"}"#, &[], 200, false),
    (r#"{"NextShardIterator":"second"}"#, &[("content-encoding", "gzip")], 200, true),
    (r#"{"NextShardIterator":"second"}"#, &[("content-encoding", "identity")], 200, true),
    (r#"{"NextShardIterator":"second"}"#, &[("content-type", "text/plain")], 200, true),
    (r#"{"NextShardIterator":"second"}"#, &[("content-type", "application/x-amz-cbor-1.1")], 200, true),
    (r#"{"NextShardIterator":"second"}"#, &[("x-other", JSON)], 500, false),
    (r#"{"NextShardIterator":"second"}"#, &[], 400, false),
];

#[test]
fn an_ambiguous_response_is_passed_on_and_binds_no_token() {
    for (text, headers, status, is_unreadable) in BIND_NOTHING {
        let authority = Arc::new(Authority::create().unwrap());
        let kinesis = kinesis(&authority, move |request| {
            let (first, second) = text.split_at(text.len() / 2);
            let mut response = request.respond_in_chunks([Bytes::from(first), Bytes::from(second)]);
            for (name, value) in *headers {
                response = response.header(name, value);
            }
            response.status(*status)
        });
        let gate = gate(&authority, &kinesis);
        let caller = Caller::new(&gate, WIRES[0]);
        let body = json!({"ShardIterator": caller.iterator("orders")});
        let (received_status, bytes) = caller.call_bytes("GetRecords", &body);
        assert_eq!(received_status, *status, "{text}");
        assert_eq!(bytes, text.as_bytes());
        assert_eq!(caller.read_error("second"), EXPIRED, "{text} {headers:?}");
        assert_eq!(
            metric(&gate, "tokens_unread"),
            u64::from(*is_unreadable),
            "{text}"
        );
        assert_eq!(kinesis.count("GetRecords"), 1);
    }
}

#[test]
fn the_content_type_of_the_response_states_its_encoding() {
    let authority = Arc::new(Authority::create().unwrap());
    let kinesis = kinesis(&authority, |request| {
        let response = encode(!request.cbor, &json!({"NextShardIterator": "second"}));
        let other = crate::support::responder::content_type(!request.cbor);
        request
            .respond_in_chunks([response])
            .header("content-type", other)
    });
    for wire in WIRES {
        let gate = gate(&authority, &kinesis);
        let caller = Caller::new(&gate, wire);
        let body = json!({"ShardIterator": caller.iterator("orders")});
        assert_eq!(caller.call_bytes("GetRecords", &body).0, 200);
        let second = json!({"ShardIterator": "second"});
        assert_eq!(caller.call_bytes("GetRecords", &second).0, 200, "{wire:?}");
    }
}
