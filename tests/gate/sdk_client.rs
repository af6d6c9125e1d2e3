//! The AWS SDK for Rust through the gate, against an emulator.

use std::sync::Arc;

use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use aws_sdk_kinesis::{Client, Config};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use kinesis_gate::sandbox::{Authority, Emulator};

use crate::published_policies::FULL_ACCESS;
use crate::support::http2::block_on;
use crate::support::scripted::{HTTP_VERSIONS, HttpVersion};
use crate::support::{ACCOUNT, ANALYST_KEY_ID, Gate, GateBuilder, KEY_ID, SECRET_KEY, http1};

const READ_ONLY: &str = include_str!("../../config/policies/read-only.json");
const ONE_STREAM: &str = include_str!("../../config/policies/one-stream.json");

struct Fixture {
    gate: Gate,
    kinesis: Emulator,
}

fn fixture() -> Fixture {
    let authority = Arc::new(Authority::create().unwrap());
    let kinesis = Emulator::start(&authority, ACCOUNT, &["MyStream", "OtherStream"]).unwrap();
    let gate = GateBuilder::new(&authority, kinesis.address())
        .endpoint("vpce-22bb33cc", READ_ONLY)
        .endpoint("vpce-33cc44dd", ONE_STREAM)
        .endpoint("vpce-11aa22bb", FULL_ACCESS)
        .start();
    Fixture { gate, kinesis }
}

/// The SDK's own TLS client, or one that speaks HTTP/1.1 only.
pub fn http_client(authority: &Authority, http: HttpVersion) -> SharedHttpClient {
    if http == HttpVersion::Http1 {
        return http1::client(authority);
    }
    let trust = TrustStore::empty().with_pem_certificate(authority.pem());
    let tls = TlsContext::builder()
        .with_trust_store(trust)
        .build()
        .unwrap();
    Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(tls)
        .build_https()
}

pub fn client(gate: &Gate, endpoint: usize, key_id: &str, http: HttpVersion) -> Client {
    client_with(gate, endpoint, key_id, http, RetryConfig::standard())
}

pub fn client_with(
    gate: &Gate,
    endpoint: usize,
    key_id: &str,
    http: HttpVersion,
    retry: RetryConfig,
) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .retry_config(retry)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::from_keys(key_id, SECRET_KEY, None))
        .endpoint_url(format!(
            "https://localhost:{}",
            gate.addresses()[endpoint].port()
        ))
        .http_client(http_client(&gate.authority, http))
        .build();
    Client::from_conf(config)
}

#[test]
fn a_producer_and_a_consumer_work_under_full_access() {
    let Fixture {
        gate,
        kinesis: _kinesis,
    } = fixture();
    for http in HTTP_VERSIONS {
        block_on(produce_and_consume(&client(&gate, 2, KEY_ID, http), http));
    }
}

async fn produce_and_consume(client: &Client, http: HttpVersion) {
    let prefix = format!("{http:?}-");
    let entries = (0..200).map(|n| {
        PutRecordsRequestEntry::builder()
            .data(Blob::new(vec![b'x'; 4096]))
            .partition_key(format!("{prefix}{n}"))
            .build()
            .unwrap()
    });
    let put = client
        .put_records()
        .stream_name("MyStream")
        .set_records(Some(entries.collect()))
        .send()
        .await
        .unwrap();
    assert_eq!(put.failed_record_count(), Some(0));
    let shards = client
        .list_shards()
        .stream_name("MyStream")
        .send()
        .await
        .unwrap();
    let iterator = client
        .get_shard_iterator()
        .stream_name("MyStream")
        .shard_id(shards.shards()[0].shard_id())
        .shard_iterator_type("TRIM_HORIZON".into())
        .send()
        .await
        .unwrap();
    let records = client
        .get_records()
        .shard_iterator(iterator.shard_iterator().unwrap())
        .send()
        .await
        .unwrap();
    let own_records = records.records().iter().filter(|r| {
        r.partition_key()
            .is_some_and(|key| key.starts_with(&prefix))
    });
    assert_eq!(own_records.count(), 200);
}

#[test]
fn denials_are_typed_and_not_retried() {
    let Fixture {
        gate,
        kinesis: _kinesis,
    } = fixture();
    for http in HTTP_VERSIONS {
        block_on(denials(&gate, http));
    }
    assert_eq!(
        gate.log(6).len(),
        6,
        "one request each: a denial is not retried"
    );
}

async fn denials(gate: &Gate, http: HttpVersion) {
    let denied = client(gate, 0, KEY_ID, http)
        .put_record()
        .stream_name("MyStream")
        .data(Blob::new("x"))
        .partition_key("1")
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(denied.is_access_denied_exception(), "{denied:?}");
    let message = denied.message().unwrap();
    assert!(
        message.ends_with("because no VPC endpoint policy allows the kinesis:PutRecord action")
    );

    let denied = client(gate, 1, ANALYST_KEY_ID, http)
        .describe_stream_summary()
        .stream_name("MyStream")
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(denied.is_access_denied_exception(), "{denied:?}");
    assert!(
        denied
            .message()
            .unwrap()
            .ends_with("with an explicit deny in an identity-based policy")
    );

    let named = client(gate, 2, ANALYST_KEY_ID, http)
        .describe_stream_summary()
        .stream_name("MyStream");
    let summary = named.send().await.unwrap();
    assert_eq!(
        summary.stream_description_summary().unwrap().stream_name(),
        "MyStream"
    );
}
