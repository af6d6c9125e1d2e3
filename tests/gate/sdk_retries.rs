//! Retries: the AWS SDK retries the gate's own failures, and the gate retries nothing.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::primitives::Blob;
use kinesis_gate::sandbox::Authority;

use crate::sdk_client::client_with;
use crate::support::http2::block_on;
use crate::support::scripted::HttpVersion;
use crate::support::{Behaviour, GateBuilder, KEY_ID, Recorder};
use crate::upstream_failures::refusing;

#[test]
fn an_upstream_failure_is_retried_by_the_sdk() {
    let authority = Arc::new(Authority::create().unwrap());
    let (_down, down) = refusing();
    let closing = Recorder::start(&authority, Behaviour::Close);
    let hanging = Recorder::start(&authority, Behaviour::Hang);
    let impostor = Recorder::start(&Authority::create().unwrap(), Behaviour::Respond);
    for (upstream, kind) in [
        (down, "connect"),
        (closing.address(), "broken"),
        (hanging.address(), "response-timeout"),
        (impostor.address(), "certificate"),
    ] {
        let gate = GateBuilder::new(&authority, upstream)
            .limits("response-timeout = \"200ms\"")
            .start();
        let retry = RetryConfig::standard()
            .with_max_attempts(3)
            .with_initial_backoff(Duration::from_millis(1));
        let client = client_with(&gate, 0, KEY_ID, HttpVersion::Http1, retry);
        let put = client.put_record().stream_name("orders");
        let put = put.data(Blob::new("x")).partition_key("1").send();
        let error = block_on(put).unwrap_err().into_service_error();
        assert_eq!(
            error.code(),
            Some("ServiceUnavailable"),
            "{kind}: {error:?}"
        );
        let log = gate.log(3);
        assert_eq!(log.len(), 3, "{kind}: three attempts");
        for line in log {
            assert_eq!(line["upstream_failure"], kind, "{line}");
            assert_eq!(line["status"], 503, "{line}");
        }
    }
    // The attempts are the client's, and none is the gate's.
    assert_eq!(closing.requests().len(), 3);
    assert_eq!(hanging.requests().len(), 3);
    assert!(impostor.requests().is_empty());
}
