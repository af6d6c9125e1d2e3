//! Robustness over HTTP/1.1: for any bytes, nothing panics, no denied request passes, and the gate
//! keeps serving.

use std::sync::Arc;

use kinesis_gate::sandbox::Authority;
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq};
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use proptest::{collection, sample};

use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, GateBuilder, HOST, Recorder};

/// Allows one stream, whose name no few mutations produce.
const POLICY: &str = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"kinesis:PutRecord",
    "Resource":"arn:aws:kinesis:us-east-1:123456789012:stream/an-allowed-stream"}}"#;
const DENIED: &str = r#"{"StreamName":"private","Data":"c2VjcmV0","PartitionKey":"1","StreamARN":"arn:aws:kinesis:us-east-1:123456789012:stream/private"}"#;
const ALLOWED: &str = r#"{"StreamName":"an-allowed-stream","Data":"aA==","PartitionKey":"1"}"#;

/// A mutation of the bytes of a request: at an index, insert, replace or remove.
type Mutation = (sample::Index, u8, Vec<u8>);

fn mutate(bytes: &mut Vec<u8>, mutations: &[Mutation]) {
    const TOKENS: [&[u8]; 16] = [
        b"\r\n",
        b"\n",
        b"\0",
        b"\"",
        b"\\u0053",
        b"{",
        b"}",
        b",",
        b":",
        b"Host: localhost\r\n",
        b"Content-Length: 0\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"\xff",
        b"StreamName",
        b" ",
        b"[",
    ];
    for (at, kind, new) in mutations {
        if bytes.is_empty() {
            return;
        }
        let at = at.index(bytes.len());
        match kind % 4 {
            0 => bytes[at] = new.first().copied().unwrap_or(0),
            1 => drop(bytes.splice(at..at, new.iter().copied())),
            2 => drop(bytes.drain(at..(at + new.len()).min(bytes.len()))),
            _ => drop(bytes.splice(at..at, TOKENS[usize::from(kind / 4) % 16].iter().copied())),
        }
    }
}

#[test]
fn mutated_requests_never_pass_the_policy() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("body-timeout = \"50ms\"\nhead-timeout = \"50ms\"")
        .endpoint("vpce-33cc44dd", POLICY)
        .start();
    let allowed = Request::new("PutRecord", ALLOWED);
    let mut runner = TestRunner::new_with_rng(
        ProptestConfig {
            cases: 400,
            failure_persistence: None,
            ..ProptestConfig::default()
        },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let mutation = (
        any::<sample::Index>(),
        any::<u8>(),
        collection::vec(any::<u8>(), 0..8),
    );
    let strategy = (any::<bool>(), collection::vec(mutation, 1..6));
    let outcome = runner.run(&strategy, |(head, mutations)| {
        let request = Request::new("PutRecord", DENIED);
        let bytes = if head {
            let mut bytes = request.head();
            mutate(&mut bytes, &mutations);
            bytes.extend(&request.body);
            bytes
        } else {
            // The body is mutated and the head states its new length, so that it is read whole.
            let mut body = request.body.clone();
            mutate(&mut body, &mutations);
            let mut bytes = request
                .replace("content-length", &body.len().to_string())
                .head();
            bytes.extend(body);
            bytes
        };
        let mut connection = Connection::open(&authority, gate.address(), HOST);
        connection.write(&bytes);
        if let Some(response) = connection.try_response() {
            prop_assert!((400..=503).contains(&response.status), "{response:?}");
        }
        prop_assert_eq!(recorder.requests().len(), 0);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    // The gate keeps serving, and forwards allowed requests.
    assert_eq!(allowed.send(&authority, gate.address()).status, 200);
    assert_eq!(recorder.requests().len(), 1);
}
