//! The time of a policy decision, of compiling a policy, and of a rate limit.
//!
//! `cargo bench --bench decide`

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench fails by panicking"
)]

use std::time::Instant;

use divan::{AllocProfiler, Bencher, black_box};
use kinesis_gate::policy::{
    Action, Arn, Attachment, Context, EmptyContext, Fact, Key, Options, Policy, Principal,
    PrincipalKind, Request, Resource, Strictness, Value,
};
use kinesis_gate::rate_limit::{Gcra, KeyedLimiter};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const ACTIONS: &[&str] = &[
    "AddTagsToStream",
    "CreateStream",
    "DeleteStream",
    "DescribeLimits",
    "DescribeStream",
    "DescribeStreamSummary",
    "GetRecords",
    "GetShardIterator",
    "ListShards",
    "ListStreams",
    "MergeShards",
    "PutRecord",
    "PutRecords",
    "SplitShard",
    "SubscribeToShard",
];

fn main() {
    divan::main();
}

fn options(attachment: Attachment) -> Options<'static> {
    Options {
        attachment,
        actions: ACTIONS,
        max_characters: None,
        strictness: Strictness::Aws,
    }
}

struct ThroughEndpoint;

impl Context for ThroughEndpoint {
    fn value(&self, key: Key<'_>) -> Fact<Value<'_>> {
        match key {
            Key::SourceVpce => Fact::Known(Value::Text("vpce-11aa22bb")),
            Key::PrincipalAccount => Fact::Known(Value::Text("123456789012")),
            Key::SecureTransport => Fact::Known(Value::Bool(true)),
            Key::CurrentTime => Fact::Known(Value::Time(1_795_000_000_000)),
            _ => Fact::Unknown,
        }
    }
}

fn request<'a>(action: &'a str, resource: Resource<'a>, context: &'a dyn Context) -> Request<'a> {
    let number = ACTIONS
        .iter()
        .position(|name| *name == action)
        .and_then(|at| u16::try_from(at).ok());
    Request {
        principal: Principal {
            kind: PrincipalKind::Aws,
            account: Fact::Known("123456789012"),
            arn: Fact::Unknown,
            session_arn: Fact::Unknown,
        },
        action: Action {
            service: "kinesis",
            name: action,
            number,
        },
        resource,
        context,
    }
}

const MY_STREAM: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/MyStream";

fn decide_published(bencher: Bencher<'_, '_>, text: &str, attachment: Attachment) {
    let policy = Policy::compile(text, &options(attachment)).expect("published policies are valid");
    let arn = Arn::parse(MY_STREAM).expect("an ARN");
    let request = request("PutRecord", Resource::Arn(arn), &ThroughEndpoint);
    bencher.bench_local(|| black_box(&policy).decide(black_box(&request)));
}

#[divan::bench(sample_size = 1_000)]
fn published_read_only(bencher: Bencher<'_, '_>) {
    decide_published(
        bencher,
        include_str!("../config/policies/read-only.json"),
        Attachment::Endpoint,
    );
}

#[divan::bench(sample_size = 1_000)]
fn published_one_stream(bencher: Bencher<'_, '_>) {
    decide_published(
        bencher,
        include_str!("../config/policies/one-stream.json"),
        Attachment::Endpoint,
    );
}

#[divan::bench(sample_size = 1_000)]
fn published_only_through_endpoint(bencher: Bencher<'_, '_>) {
    let text = include_str!("../config/policies/only-through-endpoint.json");
    decide_published(bencher, text, Attachment::Identity);
}

/// A policy with one statement for each stream. Every third statement has a condition, every ninth two.
fn policy_of_streams(count: usize) -> String {
    let statements: Vec<String> = (0..count)
        .map(|n| {
            let condition = match n % 9 {
                0 | 3 => r#","Condition":{"StringEquals":{"aws:SourceVpce":"vpce-11aa22bb"}}"#,
                6 => r#","Condition":{"Bool":{"aws:SecureTransport":"true"},"DateGreaterThan":{"aws:CurrentTime":"2024-01-01T00:00:00Z"}}"#,
                _ => "",
            };
            let action = if n % 2 == 0 { r#""kinesis:*""# } else { r#"["kinesis:Put*","kinesis:DescribeStreamSummary"]"# };
            format!(
                r#"{{"Effect":"Allow","Principal":{{"AWS":"123456789012"}},"Action":{action},"Resource":"arn:aws:kinesis:us-east-1:123456789012:stream/orders-{n}"{condition}}}"#
            )
        })
        .collect();
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{}]}}"#,
        statements.join(",")
    )
}

#[divan::bench(args = [1, 100, 10_000], sample_size = 2_000)]
fn statements(bencher: Bencher<'_, '_>, count: usize) {
    let policy =
        Policy::compile(&policy_of_streams(count), &options(Attachment::Endpoint)).expect("valid");
    let arns: Vec<String> = (0..count)
        .step_by(7)
        .map(|n| {
            format!(
                "arn:aws:kinesis:us-east-1:123456789012:stream/orders-{}",
                n * 7919 % count
            )
        })
        .collect();
    let requests: Vec<Request<'_>> = arns
        .iter()
        .map(|text| {
            let arn = Arn::parse(text).expect("an ARN");
            request("PutRecord", Resource::Arn(arn), &ThroughEndpoint)
        })
        .collect();
    let mut next = 0;
    bencher.bench_local(|| {
        next = (next + 1) % requests.len();
        black_box(&policy).decide(&requests[next])
    });
}

#[divan::bench]
fn statements_10_000_by_scan(bencher: Bencher<'_, '_>) {
    let policy =
        Policy::compile(&policy_of_streams(10_000), &options(Attachment::Endpoint)).expect("valid");
    let arn =
        Arn::parse("arn:aws:kinesis:us-east-1:123456789012:stream/orders-9999").expect("an ARN");
    let request = request("PutRecord", Resource::Arn(arn), &EmptyContext);
    bencher.bench_local(|| black_box(&policy).decide_by_scan(&request));
}

/// A request of one key, with `keys` other keys in the limiter; both event loops use the same key.
#[divan::bench(args = [1, 10_000], threads = [1, 2], sample_size = 1_000)]
fn rate_limit(bencher: Bencher<'_, '_>, keys: usize) {
    let limiter = KeyedLimiter::new(Gcra::new(1e6, 1_000_000), 1 << 14);
    let now = Instant::now();
    (0..keys).for_each(|n| assert!(limiter.try_acquire(limiter.key(n), now)));
    bencher.bench(|| {
        let key = limiter.key(black_box(("us-east-1", Some("123456789012"), MY_STREAM)));
        black_box(&limiter).try_acquire(key, Instant::now())
    });
}

#[divan::bench(args = [1, 100, 10_000], sample_count = 20)]
fn compile(bencher: Bencher<'_, '_>, count: usize) {
    let text = policy_of_streams(count);
    bencher.bench(|| Policy::compile(black_box(&text), &options(Attachment::Endpoint)));
}
