//! Event streams and streamed bodies, over HTTP/1.1 and HTTP/2: events pass one by one, an early
//! response is passed on, and a client that disconnects cancels its request upstream.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use kinesis_gate::sandbox::Authority;
use tokio::time::timeout;

use crate::support::scripted::{self, BodySender, Client, HTTP_VERSIONS, HttpVersion};
use crate::support::{Gate, GateBuilder, HOST, http2};

const SUBSCRIBE_BODY: &str = r#"{"ConsumerARN":"arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/c:1700000000","ShardId":"shardId-000000000000","StartingPosition":{"Type":"LATEST"}}"#;
const TIMEOUT: Duration = Duration::from_secs(20);
const EVENTS: usize = 300;

/// Sends each event after the last one was received, so that a gate that holds one back for the next
/// stops here. Returns the delays of the events, sorted.
async fn event_delays(events: &BodySender, body: &mut Incoming) -> Vec<Duration> {
    let mut delays = Vec::new();
    for n in 0..EVENTS {
        let event = Bytes::from(vec![n as u8; 200 + n]);
        let sent = Instant::now();
        events.send(event.clone()).await.unwrap();
        let mut received = Vec::new();
        while received.len() < event.len() {
            let frame = timeout(TIMEOUT, body.frame()).await;
            let frame = frame.unwrap_or_else(|_| panic!("event {n} was held back"));
            received.extend(frame.unwrap().unwrap().into_data().unwrap());
        }
        delays.push(sent.elapsed());
        assert!(received == event);
    }
    delays.sort();
    delays
}

/// The delays of the events of one subscription at `address`.
async fn subscribe(
    authority: &Authority,
    address: SocketAddr,
    name: &str,
    http: HttpVersion,
    calls: &mut tokio::sync::mpsc::Receiver<scripted::PendingRequest>,
) -> Vec<Duration> {
    let mut client = Client::connect(authority, address, name, http).await;
    let headers = http2::signed_headers("SubscribeToShard", SUBSCRIBE_BODY, "host");
    let (sender, body) = scripted::channel_body();
    sender.send(Bytes::from(SUBSCRIBE_BODY)).await.unwrap();
    drop(sender);
    let response = client.send(&headers, body);
    let upstream = async {
        let call = calls.recv().await.unwrap();
        call.respond(200, "application/vnd.amazon.eventstream")
    };
    let (response, (_, events)) = tokio::join!(response, upstream);
    let mut body = response.unwrap().into_body();
    let delays = event_delays(&events, &mut body).await;
    drop(events);
    let rest = timeout(TIMEOUT, body.collect()).await.unwrap();
    assert!(rest.unwrap().to_bytes().is_empty());
    delays
}

#[test]
fn events_pass_one_by_one_without_delay() {
    let authority = Arc::new(Authority::create().unwrap());
    for http in HTTP_VERSIONS {
        http2::block_on(async {
            let (address, mut calls) = scripted::upstream(&authority, http).await;
            let gate = gate(&authority, address);
            let direct = subscribe(&authority, address, "localhost", http, &mut calls).await;
            let through = subscribe(&authority, gate.address(), HOST, http, &mut calls).await;
            let percentile =
                |delays: &[Duration], percent: usize| delays[delays.len() * percent / 100 - 1];
            println!(
                "event delay over {http:?}: direct p50 {:?} p99 {:?}, through the gate p50 {:?} p99 {:?}",
                percentile(&direct, 50),
                percentile(&direct, 99),
                percentile(&through, 50),
                percentile(&through, 99),
            );
            // A timer or a buffer would add tens of milliseconds to each; a busy machine adds to some.
            let added = percentile(&through, 50).saturating_sub(percentile(&direct, 50));
            assert!(
                added < Duration::from_millis(10),
                "{added:?} added to half of the events"
            );
        });
    }
}

/// A gate with a short drain: the test's thread waits for it, and so cannot close its connections.
fn gate(authority: &Arc<Authority>, upstream: SocketAddr) -> Gate {
    let gate = GateBuilder::new(authority, upstream);
    gate.limits("drain = \"100ms\"").start()
}

fn put_records_headers(http: HttpVersion, length: Option<usize>) -> Vec<(String, String)> {
    let mut headers = http2::signed_headers("PutRecords", "", "host");
    if let (HttpVersion::Http1, Some(length)) = (http, length) {
        headers.push(("content-length".to_owned(), length.to_string()));
    }
    headers
}

/// The start of a body that names its stream. The body never ends.
fn start_of_body() -> Bytes {
    let records = r#"{"Data":"QUJDQUJDQUJDQUJD","PartitionKey":"1"},"#.repeat(10_000);
    Bytes::from(format!(r#"{{"StreamName":"orders","Records":[{records}"#))
}

#[test]
fn a_response_before_the_end_of_the_request_body_is_passed_on() {
    let authority = Arc::new(Authority::create().unwrap());
    for http in HTTP_VERSIONS {
        for length in [Some(2 << 20), None] {
            http2::block_on(async {
                let (address, mut calls) = scripted::upstream(&authority, http).await;
                let gate = gate(&authority, address);
                let mut client = Client::connect(&authority, gate.address(), HOST, http).await;
                let (sender, body) = scripted::channel_body();
                let headers = put_records_headers(http, length);
                let response = client.send(&headers, body);
                let upstream = async {
                    sender.send(start_of_body()).await.unwrap();
                    let call = calls.recv().await.unwrap();
                    let (request, response_sender) =
                        call.respond(413, "application/x-amz-json-1.1");
                    response_sender
                        .send(Bytes::from(r#"{"__type":"TooMuch"}"#))
                        .await
                        .unwrap();
                    request
                };
                let exchange = async { tokio::join!(response, upstream) };
                let (response, _request) =
                    timeout(TIMEOUT, exchange).await.expect("an early response");
                let response = response.unwrap();
                assert_eq!(response.status(), 413);
                assert_eq!(response.headers()["x-amzn-requestid"], "upstream-id");
                let first = timeout(TIMEOUT, response.into_body().frame())
                    .await
                    .unwrap();
                let first = first.unwrap().unwrap().into_data().unwrap();
                assert_eq!(first, r#"{"__type":"TooMuch"}"#);
            });
        }
    }
}

#[test]
fn a_client_that_disconnects_cancels_its_request_upstream() {
    let authority = Arc::new(Authority::create().unwrap());
    for http in HTTP_VERSIONS {
        for length in [Some(2 << 20), None] {
            http2::block_on(async {
                let (address, mut calls) = scripted::upstream(&authority, http).await;
                let gate = gate(&authority, address);
                let mut client = Client::connect(&authority, gate.address(), HOST, http).await;
                let (sender, body) = scripted::channel_body();
                sender.send(start_of_body()).await.unwrap();
                let headers = put_records_headers(http, length);
                let call = {
                    let response = client.send(&headers, body);
                    tokio::pin!(response);
                    tokio::select! {
                        call = calls.recv() => call.unwrap(),
                        _ = &mut response => panic!("there is no response yet"),
                    }
                };
                // The client leaves in the middle of its body.
                drop(client);
                drop(sender);
                let mut body = call.request.into_body();
                let is_reset = async {
                    loop {
                        match body.frame().await {
                            Some(Ok(_)) => {}
                            Some(Err(_)) => return true,
                            None => return false,
                        }
                    }
                };
                let is_reset = timeout(TIMEOUT, is_reset)
                    .await
                    .expect("the upstream sees it");
                assert!(is_reset, "{http:?}: the body came to an end");
            });
        }
    }
}

#[test]
fn a_client_that_disconnects_ends_its_event_stream_upstream() {
    let authority = Arc::new(Authority::create().unwrap());
    for http in HTTP_VERSIONS {
        http2::block_on(async {
            let (address, mut calls) = scripted::upstream(&authority, http).await;
            let gate = gate(&authority, address);
            let mut client = Client::connect(&authority, gate.address(), HOST, http).await;
            let headers = http2::signed_headers("SubscribeToShard", SUBSCRIBE_BODY, "host");
            let (sender, body) = scripted::channel_body();
            sender.send(Bytes::from(SUBSCRIBE_BODY)).await.unwrap();
            drop(sender);
            let response = client.send(&headers, body);
            let upstream = async {
                let call = calls.recv().await.unwrap();
                call.respond(200, "application/vnd.amazon.eventstream")
            };
            let (response, (_request, events)) = tokio::join!(response, upstream);
            events.send(Bytes::from("event")).await.unwrap();
            let mut body = response.unwrap().into_body();
            assert!(body.frame().await.unwrap().is_ok());
            drop(body);
            drop(client);
            // Over HTTP/1.1 the upstream may send one more event before it notices.
            let closed = async { while events.send(Bytes::from("event")).await.is_ok() {} };
            let closed = timeout(TIMEOUT, closed).await;
            assert!(closed.is_ok(), "{http:?}: the upstream does not see it");
        });
    }
}
