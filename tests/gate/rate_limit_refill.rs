//! Rate limits refill with time, and SDK clients wait for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::primitives::Blob;
use kinesis_gate::sandbox::{Authority, Emulator};

use crate::health_and_drain::get;
use crate::sdk_client::client_with;
use crate::support::http2::block_on;
use crate::support::raw::{Connection, Request};
use crate::support::scripted::{HTTP_VERSIONS, HttpVersion};
use crate::support::{ACCOUNT, Behaviour, Gate, GateBuilder, HOST, KEY_ID, Recorder};

#[test]
fn a_rate_limit_refills_at_its_rate_and_no_faster() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .tables("[[rate]]\nname = \"each\"\nper = \"principal\"\nrequests = 5\nburst = 2\n")
        .start();
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    let started = Instant::now();
    let (mut passed, mut refused) = (0, 0);
    while passed < 8 {
        connection.write(&Request::new("ListStreams", "{}").bytes());
        match connection.response().status {
            200 => passed += 1,
            _ => refused += 1,
        }
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "it does not refill"
        );
    }
    let most = 2.0 + 5.0 * started.elapsed().as_secs_f64();
    assert!(
        f64::from(passed) <= most,
        "{passed} in {:?}",
        started.elapsed()
    );
    assert!(refused > 0);
    assert_eq!(recorder.requests().len(), 8);
}

fn fixture(requests: &str) -> (Gate, Emulator) {
    let authority = Arc::new(Authority::create().unwrap());
    let kinesis = Emulator::start(&authority, ACCOUNT, &["orders"]).unwrap();
    let gate = GateBuilder::new(&authority, kinesis.address())
        .tables(&format!(
            "[[rate]]\nname = \"each\"\nper = \"stream\"\nrequests = {requests}\nburst = 1\n"
        ))
        .start();
    (gate, kinesis)
}

/// One operation on records and one of the control plane: the SDK retries when either is throttled.
#[test]
fn the_sdk_retries_throttled_requests_and_succeeds() {
    for http in HTTP_VERSIONS {
        let (gate, _kinesis) = fixture("2");
        let retry = RetryConfig::standard()
            .with_max_attempts(12)
            .with_initial_backoff(Duration::from_millis(50));
        let client = client_with(&gate, 0, KEY_ID, http, retry);
        block_on(async {
            for _ in 0..3 {
                let put = client.put_record().stream_name("orders");
                let put = put.data(Blob::new("x")).partition_key("1");
                put.send().await.unwrap();
                client
                    .list_shards()
                    .stream_name("orders")
                    .send()
                    .await
                    .unwrap();
            }
        });
        // Each request was allowed once, and some were refused before.
        let page = get(gate.admin(), "/metrics").1;
        let value = |series: &str| {
            let series = format!("kinesis_gate_{series} ");
            let line = page.lines().find_map(|line| line.strip_prefix(&series));
            line.map_or(0, |count| count.parse().unwrap())
        };
        assert_eq!(
            value(r#"decisions_total{layer="endpoint",decision="allow"}"#),
            6
        );
        let refused = value(r#"rate_limited_total{rule="each"}"#);
        assert!(refused > 0, "no request was throttled");
        assert_eq!(
            value(r#"decisions_total{layer="endpoint",decision="refused"}"#),
            refused
        );
    }
}

#[test]
fn an_sdk_out_of_retries_gets_a_modeled_throttling_error() {
    let (gate, _kinesis) = fixture("0.001");
    let retry = RetryConfig::standard()
        .with_max_attempts(3)
        .with_initial_backoff(Duration::from_millis(1));
    let client = client_with(&gate, 0, KEY_ID, HttpVersion::Http2, retry);
    block_on(async {
        let put = || {
            let put = client.put_record().stream_name("orders");
            put.data(Blob::new("x")).partition_key("1").send()
        };
        put().await.unwrap();
        let error = put().await.unwrap_err().into_service_error();
        assert!(
            error.is_provisioned_throughput_exceeded_exception(),
            "{error:?}"
        );
        let list = client.list_shards().stream_name("orders").send();
        let error = list.await.unwrap_err().into_service_error();
        assert_eq!(error.code(), Some("ThrottlingException"), "{error:?}");
    });
    // Three attempts each.
    let log = gate.log(7);
    let refused = log.iter().filter(|line| line["rate"] == "each").count();
    assert_eq!((log.len(), refused), (7, 6));
}
