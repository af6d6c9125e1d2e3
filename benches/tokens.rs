//! The time of a token binding: scanning a response for its token, binding the token, and resolving it.
//!
//! `cargo bench --bench tokens`; the store holds a million tokens of 268 characters.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a bench fails by panicking"
)]

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher, black_box};
use kinesis_gate::kinesis::{Scanner, WireFormat};
use kinesis_gate::tokens::{HashKey, TokenHash, TokenStore, TokenStoreHandle};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const CAPACITY: usize = 1 << 20;
const STREAM: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/orders";
/// A TLS record.
const CHUNK_BYTES: usize = 16 * 1024;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn token(n: usize) -> String {
    format!("AAAAAAAAAAE{n:0257}")
}

fn store(capacity: usize) -> TokenStoreHandle {
    let key = HashKey::random().expect("random bytes");
    TokenStoreHandle::new(&Arc::new(TokenStore::new(key, capacity, None)))
}

fn full_store() -> TokenStoreHandle {
    let store = store(CAPACITY);
    for n in 0..CAPACITY + CAPACITY / 4 {
        store.bind(store.hash_token("GetRecords", &token(n)), STREAM, now());
    }
    store
}

fn is_bound(store: &TokenStoreHandle, token: TokenHash) -> bool {
    let resolution = pin!(store.resolve(token, now()));
    match resolution.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(stream)) => stream.is_some(),
        _ => panic!("a store in memory resolves at once"),
    }
}

/// The keyed hash alone, which is a part of `bind` and `resolve`.
#[divan::bench]
fn hash(bencher: Bencher<'_, '_>) {
    let (store, token) = (store(1), token(1));
    bencher.bench_local(|| store.hash_token("GetRecords", black_box(&token)));
}

/// The token of a scanned response is hashed and bound.
#[divan::bench]
fn bind(bencher: Bencher<'_, '_>) {
    let store = full_store();
    let next = Cell::new(2 * CAPACITY);
    bencher
        .with_inputs(|| {
            next.set(next.get() + 1);
            token(next.get())
        })
        .bench_local_refs(|token| {
            store.bind(store.hash_token("GetRecords", token), STREAM, now());
        });
}

/// A request has a bound token.
#[divan::bench]
fn resolve_bound(bencher: Bencher<'_, '_>) {
    let store = full_store();
    let next = Cell::new(CAPACITY / 2);
    bencher
        .with_inputs(|| {
            next.set(CAPACITY / 2 + (next.get() + 7919) % (CAPACITY / 2));
            token(next.get())
        })
        .bench_local_refs(|token| {
            assert!(is_bound(&store, store.hash_token("GetRecords", token)));
        });
}

/// A request has a token that is not bound.
#[divan::bench]
fn resolve_unbound(bencher: Bencher<'_, '_>) {
    let store = full_store();
    let token = token(5 * CAPACITY);
    bencher.bench_local(|| {
        let hash = store.hash_token("GetRecords", black_box(&token));
        assert!(!is_bound(&store, hash));
    });
}

/// A response of `GetShardIterator`.
#[divan::bench]
fn scan_shard_iterator(bencher: Bencher<'_, '_>) {
    let response = format!(r#"{{"ShardIterator":"{}"}}"#, token(1));
    scan(
        bencher,
        WireFormat::Json,
        "ShardIterator",
        response.as_bytes(),
    );
}

/// A response of `GetRecords` with records of about 2 KB.
#[divan::bench(args = [1, 512, 5120])]
fn scan_records(bencher: Bencher<'_, '_>, records: usize) {
    let record = format!(
        r#"{{"ApproximateArrivalTimestamp":1.7e9,"Data":"{}","PartitionKey":"k","SequenceNumber":"4"}}"#,
        "QUJD".repeat(512)
    );
    let records = vec![record; records].join(",");
    let response = format!(
        r#"{{"MillisBehindLatest":0,"NextShardIterator":"{}","Records":[{records}]}}"#,
        token(1)
    );
    scan(
        bencher,
        WireFormat::Json,
        "NextShardIterator",
        response.as_bytes(),
    );
}

fn scan(bencher: Bencher<'_, '_>, format: WireFormat, member: &'static str, response: &[u8]) {
    let bytes = BytesCount::of_slice(response);
    bencher.counter(bytes).bench_local(|| {
        let mut scanner = Scanner::for_response(format, member);
        for chunk in black_box(response).chunks(CHUNK_BYTES) {
            scanner.push(chunk).expect("a valid response");
        }
        scanner.finish().expect("a whole response");
        assert!(scanner.members().next_token().is_some());
    });
}
