//! The time of a whole request through client TLS, gate and upstream TLS, one at a time over
//! keep-alive connections. Client and upstream are included: compare commits, not proxies.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

#[expect(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "the support of the tests; a bench uses a part of it"
)]
#[path = "../tests/gate/support/mod.rs"]
mod support;

use std::sync::Arc;

use divan::Bencher;
use divan::counter::BytesCount;
use kinesis_gate::sandbox::Authority;
use support::raw::{Connection, Request};
use support::{Behaviour, GateBuilder, HOST, Recorder};

fn main() {
    divan::main();
}

/// An allowed PutRecord of `size` bytes.
#[divan::bench(args = [1 << 10, 64 << 10, 1 << 20], sample_count = 50)]
fn allowed(bencher: Bencher<'_, '_>, size: usize) {
    exchange(bencher, size, "orders", 200);
}

/// A denied PutRecord of `size` bytes, which the gate does not forward.
#[divan::bench(args = [1 << 10, 64 << 10, 1 << 20], sample_count = 50)]
fn denied(bencher: Bencher<'_, '_>, size: usize) {
    exchange(bencher, size, "private", 400);
}

const POLICY: &str = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"kinesis:PutRecord",
    "Resource":"arn:aws:kinesis:us-east-1:123456789012:stream/orders"}}"#;

fn exchange(bencher: Bencher<'_, '_>, size: usize, stream: &str, status: u16) {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint("vpce-33cc44dd", POLICY)
        .start();
    let data = "QUJD".repeat(size / 4);
    let body = format!(r#"{{"Data":"{data}","PartitionKey":"1","StreamName":"{stream}"}}"#);
    let bytes = Request::new("PutRecord", body).bytes();
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    bencher
        .counter(BytesCount::new(bytes.len()))
        .bench_local(|| {
            connection.write(&bytes);
            assert_eq!(connection.response().status, status);
        });
}
