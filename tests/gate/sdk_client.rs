//! The real AWS SDK for Rust through the gate, against an emulator.

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

use crate::support::{ACCOUNT, ANALYST_KEY_ID, Gate, GateBuilder, KEY_ID, SECRET_KEY, http1};

const READ_ONLY: &str = include_str!("../../config/policies/read-only.json");
const ONE_STREAM: &str = include_str!("../../config/policies/one-stream.json");
const FULL: &str =
    r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}"#;

struct Parts {
    gate: Gate,
    kinesis: Emulator,
}

fn parts() -> Parts {
    let authority = Arc::new(Authority::create().unwrap());
    let kinesis = Emulator::start(&authority, ACCOUNT, &["MyStream", "OtherStream"]).unwrap();
    let gate = GateBuilder::new(&authority, kinesis.address())
        .endpoint("vpce-22bb33cc", READ_ONLY)
        .endpoint("vpce-33cc44dd", ONE_STREAM)
        .endpoint("vpce-11aa22bb", FULL)
        .start();
    Parts { gate, kinesis }
}

/// The HTTP version that the SDK speaks.
#[derive(Debug, Clone, Copy)]
pub enum Speaks {
    Http1,
    Http2,
}

/// The SDK's own TLS client, or one that speaks HTTP/1.1 only.
pub fn http_client(authority: &Authority, speaks: Speaks) -> SharedHttpClient {
    if let Speaks::Http1 = speaks {
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

pub fn client(gate: &Gate, endpoint: usize, key_id: &str, speaks: Speaks) -> Client {
    client_with(gate, endpoint, key_id, speaks, RetryConfig::standard())
}

pub fn client_with(
    gate: &Gate,
    endpoint: usize,
    key_id: &str,
    speaks: Speaks,
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
        .http_client(http_client(&gate.authority, speaks))
        .build();
    Client::from_conf(config)
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn a_producer_and_a_consumer_work_where_everything_is_allowed() {
    let Parts {
        gate,
        kinesis: _kinesis,
    } = parts();
    for speaks in [Speaks::Http1, Speaks::Http2] {
        block_on(produce_and_consume(
            &client(&gate, 2, KEY_ID, speaks),
            speaks,
        ));
    }
}

async fn produce_and_consume(client: &Client, speaks: Speaks) {
    let prefix = format!("{speaks:?}-");
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
    let mine = records.records().iter().filter(|r| {
        r.partition_key()
            .is_some_and(|key| key.starts_with(&prefix))
    });
    assert_eq!(mine.count(), 200);
}

#[test]
fn denials_are_typed_and_not_retried() {
    let Parts {
        gate,
        kinesis: _kinesis,
    } = parts();
    for speaks in [Speaks::Http1, Speaks::Http2] {
        block_on(denials(&gate, speaks));
    }
    assert_eq!(
        gate.log(6).len(),
        6,
        "one request each: a denial is not retried"
    );
}

async fn denials(gate: &Gate, speaks: Speaks) {
    let denied = client(gate, 0, KEY_ID, speaks)
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

    let denied = client(gate, 1, ANALYST_KEY_ID, speaks)
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

    let named = client(gate, 2, ANALYST_KEY_ID, speaks)
        .describe_stream_summary()
        .stream_name("MyStream");
    let summary = named.send().await.unwrap();
    assert_eq!(
        summary.stream_description_summary().unwrap().stream_name(),
        "MyStream"
    );
}
