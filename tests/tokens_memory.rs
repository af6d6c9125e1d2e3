//! What a remembered token costs: resident memory of this process, which does nothing else.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use kinesis_gate::tokens::{Key, LIFETIME_SECONDS, Store, Tokens};

const CAPACITY: usize = 1 << 20;
/// As many streams as there is room for, each with the longest name.
const STREAMS: usize = CAPACITY / 128;

#[test]
fn a_token_costs_no_more_than_forty_bytes() {
    let streams: Vec<String> = (0..STREAMS)
        .map(|n| format!("arn:aws-us-gov:kinesis:us-gov-west-1:123456789012:stream/{n:0128}"))
        .collect();
    let key = Key::random().unwrap();
    let before = resident();
    let store = Arc::new(Store::new(key, CAPACITY, None));
    let tokens = Tokens::new(&store);
    // Across the border of two lifetimes, so that every name is kept twice; and more tokens than
    // there is room for.
    let lifetime = u64::from(LIFETIME_SECONDS);
    let mut bound = Vec::new();
    for n in 0..CAPACITY + CAPACITY / 8 {
        let seconds = lifetime - 1 + u64::from(n > CAPACITY / 2);
        let now = UNIX_EPOCH + Duration::from_secs(seconds);
        let digest = tokens.digest("GetRecords", &format!("{n:0268}"));
        tokens.bind(digest, &streams[n % STREAMS], now);
        if n % (CAPACITY / 4) == CAPACITY / 5 {
            bound.push((digest, n));
        }
    }
    let bytes = (resident() - before) as f64 / CAPACITY as f64;
    println!("{bytes:.1} bytes a token, names of {STREAMS} streams included");
    assert!(bytes <= Store::BYTES_A_TOKEN as f64, "{bytes} bytes");
    assert!(bytes > 24.0, "{bytes} bytes: nothing was stored");

    // The newest are there; the oldest made room.
    let now = UNIX_EPOCH + Duration::from_secs(lifetime + 1);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let mut known = Vec::new();
        for (digest, n) in bound {
            let stream = tokens.stream(digest, now).await.unwrap();
            assert!(stream.is_none_or(|stream| *stream == streams[n % STREAMS]));
            known.push(tokens.stream(digest, now).await.unwrap().is_some());
        }
        assert_eq!(known, [true, true, true, true]);
        let oldest = tokens.digest("GetRecords", &format!("{:0268}", 0));
        assert_eq!(tokens.stream(oldest, now).await.unwrap(), None);
    });
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes: usize = line
        .unwrap()
        .trim()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    kibibytes << 10
}
