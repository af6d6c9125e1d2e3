//! What a token costs: reading it from an answer, binding it, and knowing it again.
//!
//! `cargo bench --bench tokens`; a million tokens are alive, each of 268 characters.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a bench stops by panicking"
)]

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher, black_box};
use kinesis_gate::kinesis::{Scanner, WireFormat};
use kinesis_gate::tokens::{Digest, Key, Store, Tokens};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const TOKENS: usize = 1 << 20;
const STREAM: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/orders";
const RECORD: usize = 16 * 1024;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn token(n: usize) -> String {
    format!("AAAAAAAAAAE{n:0257}")
}

/// A full store.
fn full() -> Tokens {
    let key = Key::random().expect("random bytes");
    let tokens = Tokens::new(&Arc::new(Store::new(key, TOKENS, None)));
    for n in 0..TOKENS + TOKENS / 4 {
        tokens.bind(tokens.digest("GetRecords", &token(n)), STREAM, now());
    }
    tokens
}

fn stream(tokens: &Tokens, digest: Digest) -> bool {
    let asked = pin!(tokens.stream(digest, now()));
    match asked.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(stream)) => stream.is_some(),
        _ => panic!("memory waits for nobody"),
    }
}

/// The keyed hash alone; it is part of both that follow.
#[divan::bench]
fn hash(bencher: Bencher<'_, '_>) {
    let tokens = Tokens::new(&Arc::new(Store::new(
        Key::random().expect("random bytes"),
        1,
        None,
    )));
    let token = token(1);
    bencher.bench_local(|| tokens.digest("GetRecords", black_box(&token)));
}

/// What an answer that hands out a token costs, once it is read.
#[divan::bench]
fn bind(bencher: Bencher<'_, '_>) {
    let tokens = full();
    let next = Cell::new(2 * TOKENS);
    bencher
        .with_inputs(|| {
            next.set(next.get() + 1);
            token(next.get())
        })
        .bench_local_refs(|token| {
            tokens.bind(tokens.digest("GetRecords", token), STREAM, now());
        });
}

/// What a request with a known token costs.
#[divan::bench]
fn known(bencher: Bencher<'_, '_>) {
    let tokens = full();
    let next = Cell::new(TOKENS / 2);
    bencher
        .with_inputs(|| {
            next.set(TOKENS / 2 + (next.get() + 7919) % (TOKENS / 2));
            token(next.get())
        })
        .bench_local_refs(|token| {
            assert!(stream(&tokens, tokens.digest("GetRecords", token)));
        });
}

/// What a request with an unknown token costs.
#[divan::bench]
fn unknown(bencher: Bencher<'_, '_>) {
    let tokens = full();
    let token = token(5 * TOKENS);
    bencher.bench_local(|| {
        assert!(!stream(
            &tokens,
            tokens.digest("GetRecords", black_box(&token))
        ));
    });
}

/// Reading an answer of `GetShardIterator`.
#[divan::bench]
fn read_iterator(bencher: Bencher<'_, '_>) {
    let answer = format!(r#"{{"ShardIterator":"{}"}}"#, token(1));
    read(
        bencher,
        WireFormat::Json,
        "ShardIterator",
        answer.as_bytes(),
    );
}

/// Reading an answer of `GetRecords` with records of about 2 KB.
#[divan::bench(args = [1, 512, 5120])]
fn read_records(bencher: Bencher<'_, '_>, records: usize) {
    let record = format!(
        r#"{{"ApproximateArrivalTimestamp":1.7e9,"Data":"{}","PartitionKey":"k","SequenceNumber":"4"}}"#,
        "QUJD".repeat(512)
    );
    let records = vec![record; records].join(",");
    let answer = format!(
        r#"{{"MillisBehindLatest":0,"NextShardIterator":"{}","Records":[{records}]}}"#,
        token(1)
    );
    read(
        bencher,
        WireFormat::Json,
        "NextShardIterator",
        answer.as_bytes(),
    );
}

fn read(bencher: Bencher<'_, '_>, format: WireFormat, member: &'static str, answer: &[u8]) {
    let bytes = BytesCount::of_slice(answer);
    bencher.counter(bytes).bench_local(|| {
        let mut scanner = Scanner::for_response(format, member);
        for chunk in black_box(answer).chunks(RECORD) {
            scanner.push(chunk).expect("an answer that is valid");
        }
        scanner.finish().expect("an answer that is whole");
        assert!(scanner.members().next_token().is_some());
    });
}
