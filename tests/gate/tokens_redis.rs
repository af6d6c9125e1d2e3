//! Token binding through Redis: replicas share their tokens, and consumers recover from lost ones.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_kinesis::error::ProvideErrorMetadata;
use kinesis_gate::sandbox::{Authority, Emulator};

use crate::sdk_client::client;
use crate::support::http2::block_on;
use crate::support::redis::Redis;
use crate::support::responder::Responder;
use crate::support::scripted::HTTP_VERSIONS;
use crate::support::{ACCOUNT, ENDPOINT, Gate, GateBuilder, KEY_ID};
use crate::token_binding::{Caller, POLICY, WIRES, kinesis, metric};

const EXPIRED: &str = "ExpiredIteratorException";
const DENIED: &str = "AccessDeniedException";

struct Replicas {
    kinesis: Responder,
    redis: Redis,
    gates: [Gate; 2],
}

/// `None` where Redis is not installed.
fn replicas() -> Option<Replicas> {
    let redis = Redis::start()?;
    let authority = Arc::new(Authority::create().unwrap());
    let kinesis = kinesis(&authority);
    let start = || {
        GateBuilder::new(&authority, kinesis.address())
            .endpoint(ENDPOINT, POLICY)
            .tokens(&redis.settings())
            .start()
    };
    let gates = [start(), start()];
    Some(Replicas {
        kinesis,
        redis,
        gates,
    })
}

#[test]
fn replicas_share_tokens_and_a_denied_stream_is_still_not_read() {
    let Some(Replicas {
        kinesis,
        redis,
        gates,
    }) = replicas()
    else {
        return;
    };
    let mut read = 0;
    for wire in WIRES {
        let callers = gates.each_ref().map(|gate| Caller::new(gate, wire));
        let private = callers[0].iterator("private");
        assert_eq!(callers[1].read_error(&private), DENIED);
        assert_eq!(callers[1].read_error("invented"), EXPIRED);
        let mut iterator = callers[0].iterator("orders");
        for n in 0..4 {
            iterator = callers[(n + 1) % 2].read(&iterator);
            read += 1;
        }
        // A binding that was copied to another key is not accepted.
        let orders = callers[0].iterator("orders");
        let contents = redis.contents();
        let private = callers[0].iterator("private");
        let allowed = contents.first().unwrap().1.clone();
        for (key, value, ttl) in redis.contents() {
            assert!((299..=300).contains(&ttl), "{ttl}");
            let text = String::from_utf8_lossy(&value).into_owned();
            for secret in [&private, &orders, &iterator] {
                assert!(!key.contains(secret.as_str()) && !text.contains(secret.as_str()));
            }
            if !contents.iter().any(|(known, ..)| *known == key) {
                redis.set(&key, &allowed);
            }
        }
        assert_eq!(callers[1].read_error(&private), EXPIRED);
        assert_eq!(callers[0].read_error(&private), DENIED);
        redis.clear();
    }
    assert_eq!(kinesis.count("GetRecords"), read);
    assert_eq!(metric(&gates[0], "token_store_failures"), 0);
    assert_eq!(metric(&gates[1], "token_store_failures"), 0);
}

#[test]
fn without_the_store_tokens_of_other_replicas_are_unknown_at_once() {
    let Some(Replicas {
        kinesis,
        mut redis,
        gates,
    }) = replicas()
    else {
        return;
    };
    let callers = gates.each_ref().map(|gate| Caller::new(gate, WIRES[0]));
    let before = callers[0].iterator("orders");
    redis.stop();
    let started = Instant::now();
    assert_eq!(callers[1].read_error(&before), EXPIRED);
    let during = callers[0].iterator("orders");
    assert_eq!(callers[1].read_error(&during), EXPIRED);
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(kinesis.count("GetRecords"), 0);
    // Each replica knows the tokens that it saw issued.
    callers[0].read(&during);
    assert!(metric(&gates[0], "token_store_failures") > 0);
    assert!(metric(&gates[1], "token_store_failures") > 0);

    redis.restart();
    wait_until_shared(&callers);
}

#[test]
fn an_unresponsive_store_costs_no_more_than_its_timeout() {
    let Some(Replicas {
        kinesis,
        redis,
        gates,
    }) = replicas()
    else {
        return;
    };
    let callers = gates.each_ref().map(|gate| Caller::new(gate, WIRES[0]));
    let before = callers[0].iterator("orders");
    redis.freeze(true);
    for _ in 0..3 {
        let started = Instant::now();
        let during = callers[0].iterator("orders");
        assert_eq!(callers[1].read_error(&before), EXPIRED);
        callers[0].read(&during);
        // Three timeouts of 200 ms at most, and the requests themselves.
        assert!(started.elapsed() < Duration::from_secs(5));
    }
    assert_eq!(kinesis.count("GetRecords"), 3);
    redis.freeze(false);
    wait_until_shared(&callers);
}

/// Waits until the gates use the store again.
fn wait_until_shared(callers: &[Caller<'_>; 2]) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let iterator = callers[0].iterator("orders");
        let body = serde_json::json!({"ShardIterator": iterator});
        if callers[1].call("GetRecords", &body).0 == 200 {
            break;
        }
        assert!(Instant::now() < deadline, "the store is never used again");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The AWS SDK in front of a restarted gate: one more request, and it reads on.
#[test]
fn a_consumer_of_a_restarted_gate_recovers_with_one_request() {
    let authority = Arc::new(Authority::create().unwrap());
    let emulator = Emulator::start(&authority, ACCOUNT, &["orders", "private"]).unwrap();
    let start = || {
        GateBuilder::new(&authority, emulator.address())
            .endpoint(ENDPOINT, POLICY)
            .start()
    };
    for http in HTTP_VERSIONS {
        let gate = start();
        let consumer = client(&gate, 0, KEY_ID, http);
        let iterator = block_on(new_iterator(&consumer, "orders"));
        let next = block_on(async {
            let read = consumer.get_records().shard_iterator(iterator).send().await;
            read.unwrap().next_shard_iterator().unwrap().to_owned()
        });
        drop(gate);

        let gate = start();
        let consumer = client(&gate, 0, KEY_ID, http);
        block_on(async {
            let read = consumer.get_records().shard_iterator(&next).send().await;
            let expired = read.unwrap_err().into_service_error();
            assert!(expired.is_expired_iterator_exception(), "{expired:?}");
            assert!(expired.message().unwrap().contains("300 seconds"));
            let iterator = new_iterator(&consumer, "orders").await;
            let read = consumer.get_records().shard_iterator(iterator).send().await;
            let next = read.unwrap().next_shard_iterator().unwrap().to_owned();
            let read = consumer.get_records().shard_iterator(next).send().await;
            assert!(read.is_ok(), "{read:?}");

            let iterator = new_iterator(&consumer, "private").await;
            let read = consumer.get_records().shard_iterator(iterator).send().await;
            let denied = read.unwrap_err().into_service_error();
            assert!(denied.is_access_denied_exception(), "{denied:?}");
        });
        assert_eq!(gate.log(6).len(), 6, "an expired iterator is not retried");
    }
}

async fn new_iterator(client: &aws_sdk_kinesis::Client, stream: &str) -> String {
    let iterator = client
        .get_shard_iterator()
        .stream_name(stream)
        .shard_id("shardId-000000000000")
        .shard_iterator_type("TRIM_HORIZON".into())
        .send()
        .await;
    iterator.unwrap().shard_iterator().unwrap().to_owned()
}
