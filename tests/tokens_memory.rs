//! The memory of a token binding, as the resident memory of a process without any other work.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use kinesis_gate::tokens::{HashKey, LIFETIME_SECONDS, TokenStore, TokenStoreHandle};

/// Tokens.
const CAPACITY: usize = 1 << 20;
/// As many streams as the store has room for, each with the longest name.
const STREAM_COUNT: usize = CAPACITY / 128;

#[test]
fn a_binding_costs_no_more_than_forty_bytes() {
    let streams: Vec<String> = (0..STREAM_COUNT)
        .map(|n| format!("arn:aws-us-gov:kinesis:us-gov-west-1:123456789012:stream/{n:0128}"))
        .collect();
    let key = HashKey::random().unwrap();
    let before = resident_bytes();
    let store = TokenStoreHandle::new(&Arc::new(TokenStore::new(key, CAPACITY, None)));
    // The times lie in two lifetimes, so that every ARN is stored twice. There are more tokens than the
    // store has room for.
    let lifetime = u64::from(LIFETIME_SECONDS);
    let mut samples = Vec::new();
    for n in 0..CAPACITY + CAPACITY / 8 {
        let seconds = lifetime - 1 + u64::from(n > CAPACITY / 2);
        let now = UNIX_EPOCH + Duration::from_secs(seconds);
        let token = store.hash_token("GetRecords", &format!("{n:0268}"));
        store.bind(token, &streams[n % STREAM_COUNT], now);
        if n % (CAPACITY / 4) == CAPACITY / 5 {
            samples.push((token, n));
        }
    }
    let bytes = (resident_bytes() - before) as f64 / CAPACITY as f64;
    println!("{bytes:.1} bytes a token, ARNs of {STREAM_COUNT} streams included");
    assert!(bytes <= TokenStore::BYTES_PER_TOKEN as f64, "{bytes} bytes");
    assert!(bytes > 24.0, "{bytes} bytes: nothing was stored");

    // The store evicted the oldest tokens, and holds the newest.
    let now = UNIX_EPOCH + Duration::from_secs(lifetime + 1);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        assert_eq!(samples.len(), 4);
        for (token, n) in samples {
            let stream = store.resolve(token, now).await.unwrap();
            assert_eq!(stream.as_deref(), Some(&*streams[n % STREAM_COUNT]));
        }
        let oldest = store.hash_token("GetRecords", &format!("{:0268}", 0));
        assert_eq!(store.resolve(oldest, now).await.unwrap(), None);
    });
}

fn resident_bytes() -> usize {
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
