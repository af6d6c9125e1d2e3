//! Work whose instructions `benches/compare` counts under callgrind.
//!
//! `instructions CASE TIMES` runs one case TIMES times; without arguments every case runs once. The
//! difference of two runs with different TIMES has no part of the start and of the preparation.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a bench fails by panicking"
)]

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

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Instant, UNIX_EPOCH};

use bytes::Bytes;
use kinesis_gate::http::http1;
use kinesis_gate::kinesis::{ACTION_NAMES, Scanner, WireFormat};
use kinesis_gate::policy::{
    Action, Arn, EmptyContext, Fact, Options, Policy, Principal, PrincipalKind, Resource,
};
use kinesis_gate::rate_limit::{Gcra, KeyedLimiter};
use kinesis_gate::reject::{AccessDenied, PolicyType, Rejection};
use kinesis_gate::sandbox::Authority;
use kinesis_gate::sigv4;
use support::raw::{Connection, Request};
use support::{Behaviour, GateBuilder, HOST, Recorder};

/// A case's name, and the function that runs it a number of times.
type Case = (&'static str, fn(usize));

const CASES: &[Case] = &[
    ("head", head),
    ("caller", parse_signature),
    ("decide", decide),
    ("scan-1KiB", |times| scan(times, put(1 << 10, "orders"))),
    ("scan-64KiB-small", |times| scan(times, put_records())),
    ("scan-1MiB", |times| scan(times, put(1 << 20, "orders"))),
    ("reject", reject),
    ("rate", rate_limit),
    ("request-1KiB", |times| {
        request(times, put(1 << 10, "orders"), 200, "")
    }),
    ("request-1KiB-rate", |times| {
        request(times, put(1 << 10, "orders"), 200, RATE_LIMIT);
    }),
    ("request-64KiB-small", |times| {
        request(times, put_records(), 200, "")
    }),
    ("request-1MiB", |times| {
        request(times, put(1 << 20, "orders"), 200, "")
    }),
    ("denied-1KiB", |times| {
        request(times, put(1 << 10, "private"), 400, "")
    }),
    #[cfg(feature = "traces")]
    ("unsampled-1KiB", |times| {
        request(
            times,
            put(1 << 10, "orders"),
            200,
            &format!("{TRACES}sample = 0"),
        )
    }),
    #[cfg(feature = "traces")]
    ("sampled-1KiB", |times| {
        request(
            times,
            put(1 << 10, "orders"),
            200,
            &format!("{TRACES}sample = 1"),
        )
    }),
];

const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Principal":"*","Action":"kinesis:PutRecord*",
     "Resource":"arn:aws:kinesis:us-east-1:123456789012:stream/orders"},
    {"Effect":"Allow","Principal":"*","Action":["kinesis:List*","kinesis:Describe*"],"Resource":"*"},
    {"Effect":"Deny","Principal":"*","Action":"kinesis:Delete*","Resource":"*"}]}"#;

/// No collector listens at this address: spans are recorded and encoded, then dropped.
#[cfg(feature = "traces")]
const TRACES: &str = "[traces]\nendpoint = \"http://127.0.0.1:9/v1/traces\"\n";

/// A rate limit that no request reaches.
const RATE_LIMIT: &str = "[[rate]]\nname = \"all\"\nper = \"principal-and-stream\"\nrequests = 1000000\n\
    streams = [\"orders*\"]\nactions = [\"kinesis:PutRecord*\"]\n";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Cargo passes a flag of its own to benches.
    let mut words = arguments.iter().filter(|word| !word.starts_with("--"));
    match (words.next(), words.next()) {
        (Some(name), Some(times)) => {
            let case = CASES.iter().find(|(known, _)| known == name);
            let (_, run) = case.expect("a case");
            run(times.parse().expect("a number"));
        }
        _ => CASES.iter().for_each(|(name, run)| {
            run(1);
            println!("{name}");
        }),
    }
}

fn put(size: usize, stream: &str) -> Request {
    let data = "QUJD".repeat(size / 4);
    let body = format!(r#"{{"Data":"{data}","PartitionKey":"1","StreamName":"{stream}"}}"#);
    Request::new("PutRecord", body)
}

/// 300 records of 8 to 304 bytes, 64 KiB in all, as boto3 writes them.
fn put_records() -> Request {
    let record = |n: usize| {
        let data = "QUJD".repeat(2 + n * 37 % 75);
        format!(r#"{{"Data": "{data}", "PartitionKey": "device-{n:08}"}}"#)
    };
    let records: Vec<String> = (0..300).map(record).collect();
    let body = format!(
        r#"{{"Records": [{}], "StreamName": "orders"}}"#,
        records.join(", ")
    );
    Request::new("PutRecords", body)
}

fn head(times: usize) {
    let bytes = Bytes::from(put(8, "orders").head());
    for _ in 0..times {
        black_box(http1::parse_request(black_box(bytes.clone())).expect("a head"));
    }
}

fn parse_signature(times: usize) {
    let request = put(8, "orders");
    let authorization = request
        .headers
        .iter()
        .find(|(name, _)| name == "Authorization");
    let (_, authorization) = authorization.expect("a signature");
    for _ in 0..times {
        black_box(sigv4::parse(black_box(Some(authorization)), None).expect("a signature"));
    }
}

fn decide(times: usize) {
    let options = Options {
        actions: ACTION_NAMES,
        ..Options::ENDPOINT
    };
    let policy = Policy::compile(POLICY, &options).expect("a policy");
    let arn = Arn::parse("arn:aws:kinesis:us-east-1:123456789012:stream/orders").expect("an ARN");
    let number = ACTION_NAMES.iter().position(|name| *name == "PutRecord");
    let request = kinesis_gate::policy::Request {
        principal: Principal {
            kind: PrincipalKind::Aws,
            account: Fact::Known("123456789012"),
            arn: Fact::Unknown,
            session_arn: Fact::Unknown,
        },
        action: Action {
            service: "kinesis",
            name: "PutRecord",
            number: number.and_then(|number| u16::try_from(number).ok()),
        },
        resource: Resource::Arn(arn),
        context: &EmptyContext,
    };
    for _ in 0..times {
        black_box(black_box(&policy).decide(black_box(&request)));
    }
}

fn scan(times: usize, request: Request) {
    let body = request.body;
    for _ in 0..times {
        let mut scanner = Scanner::new(WireFormat::Json);
        for record in black_box(&body).chunks(16 << 10) {
            scanner.push(record).expect("a valid body");
        }
        scanner.finish().expect("a whole body");
        black_box(scanner.members().stream_name());
    }
}

fn reject(times: usize) {
    let denied = AccessDenied {
        principal: "arn:aws:iam::123456789012:user/producer".to_owned(),
        action: "kinesis:PutRecord".into(),
        resource: "arn:aws:kinesis:us-east-1:123456789012:stream/orders".to_owned(),
        is_explicit: false,
        policy_type: PolicyType::VpcEndpoint,
    };
    let rejection = Rejection::AccessDenied(denied);
    for _ in 0..times {
        black_box(rejection.response(black_box(Some(WireFormat::Json)), UNIX_EPOCH));
    }
}

/// A request of one key, with a thousand others in the limiter.
fn rate_limit(times: usize) {
    let limiter = KeyedLimiter::new(Gcra::new(1e6, 1_000_000), 1 << 14);
    let now = Instant::now();
    (0..1000).for_each(|n| assert!(limiter.try_acquire(limiter.key(n), now)));
    let principal = "arn:aws:iam::123456789012:role/team/producer";
    let stream = ("us-east-1", Some("123456789012"), "stream/orders");
    for _ in 0..times {
        let key = limiter.key(black_box((Some(principal), Some(stream))));
        assert!(black_box(&limiter).try_acquire(key, now));
    }
}

/// Client, gate and upstream run in one process: the figure includes the work of all three.
fn request(times: usize, request: Request, status: u16, tables: &str) {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint("vpce-33cc44dd", POLICY)
        .tables(tables)
        .start();
    let bytes = request.bytes();
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    for _ in 0..times {
        connection.write(&bytes);
        assert_eq!(connection.response().status, status);
    }
}
