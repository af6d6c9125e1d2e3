//! What streams: event streams come event by event, an answer that is early is passed on, and a client
//! that leaves is followed upstream; over HTTP/1.1 and HTTP/2.

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

const SUBSCRIBE: &str = r#"{"ConsumerARN":"arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/c:1700000000","ShardId":"shardId-000000000000","StartingPosition":{"Type":"LATEST"}}"#;
const PATIENCE: Duration = Duration::from_secs(20);
const EVENTS: usize = 300;

/// Sends events one by one, each only after the one before it was received: a gate that keeps one back
/// for the next would stop here. How long each took.
async fn follow(events: &BodySender, body: &mut Incoming) -> Vec<Duration> {
    let mut taken = Vec::new();
    for n in 0..EVENTS {
        let event = Bytes::from(vec![n as u8; 200 + n]);
        let sent = Instant::now();
        events.send(event.clone()).await.unwrap();
        let mut received = Vec::new();
        while received.len() < event.len() {
            let frame = timeout(PATIENCE, body.frame()).await;
            let frame = frame.unwrap_or_else(|_| panic!("event {n} was held back"));
            received.extend(frame.unwrap().unwrap().into_data().unwrap());
        }
        taken.push(sent.elapsed());
        assert!(received == event);
    }
    taken.sort();
    taken
}

/// One subscription at `address`; the times of its events.
async fn subscribe(
    authority: &Authority,
    address: SocketAddr,
    name: &str,
    http: HttpVersion,
    calls: &mut tokio::sync::mpsc::Receiver<scripted::PendingRequest>,
) -> Vec<Duration> {
    let mut client = Client::connect(authority, address, name, http).await;
    let headers = http2::signed_headers("SubscribeToShard", SUBSCRIBE, "host");
    let (sender, body) = scripted::channel_body();
    sender.send(Bytes::from(SUBSCRIBE)).await.unwrap();
    drop(sender);
    let asked = client.send(&headers, body);
    let answered = async {
        let call = calls.recv().await.unwrap();
        call.respond(200, "application/vnd.amazon.eventstream")
    };
    let (response, (_, events)) = tokio::join!(asked, answered);
    let mut body = response.unwrap().into_body();
    let taken = follow(&events, &mut body).await;
    drop(events);
    let rest = timeout(PATIENCE, body.collect()).await.unwrap();
    assert!(rest.unwrap().to_bytes().is_empty());
    taken
}

#[test]
fn events_arrive_one_by_one_without_delay() {
    let authority = Arc::new(Authority::create().unwrap());
    for http in HTTP_VERSIONS {
        http2::block_on(async {
            let (address, mut calls) = scripted::upstream(&authority, http).await;
            let gate = gate(&authority, address);
            let direct = subscribe(&authority, address, "localhost", http, &mut calls).await;
            let through = subscribe(&authority, gate.address(), HOST, http, &mut calls).await;
            let at = |taken: &[Duration], percent: usize| taken[taken.len() * percent / 100 - 1];
            println!(
                "event delay over {http:?}: direct p50 {:?} p99 {:?}, through the gate p50 {:?} p99 {:?}",
                at(&direct, 50),
                at(&direct, 99),
                at(&through, 50),
                at(&through, 99),
            );
            // A timer or a buffer would add tens of milliseconds to each; a busy machine adds to some.
            let added = at(&through, 50).saturating_sub(at(&direct, 50));
            assert!(
                added < Duration::from_millis(10),
                "{added:?} added to half of the events"
            );
        });
    }
}

/// A gate whose drain does not wait for connections that this thread, in its way, cannot close.
fn gate(authority: &Arc<Authority>, upstream: SocketAddr) -> Gate {
    let gate = GateBuilder::new(authority, upstream);
    gate.limits("drain = \"100ms\"").start()
}

fn large_headers(http: HttpVersion, length: Option<usize>) -> Vec<(String, String)> {
    let mut headers = http2::signed_headers("PutRecords", "", "host");
    if let (HttpVersion::Http1, Some(length)) = (http, length) {
        headers.push(("content-length".to_owned(), length.to_string()));
    }
    headers
}

/// The beginning of a body that names its stream; it never ends.
fn beginning() -> Bytes {
    let records = r#"{"Data":"QUJDQUJDQUJDQUJD","PartitionKey":"1"},"#.repeat(10_000);
    Bytes::from(format!(r#"{{"StreamName":"orders","Records":[{records}"#))
}

#[test]
fn an_answer_before_the_end_of_the_body_is_passed_on() {
    let authority = Arc::new(Authority::create().unwrap());
    for http in HTTP_VERSIONS {
        for length in [Some(2 << 20), None] {
            http2::block_on(async {
                let (address, mut calls) = scripted::upstream(&authority, http).await;
                let gate = gate(&authority, address);
                let mut client = Client::connect(&authority, gate.address(), HOST, http).await;
                let (sender, body) = scripted::channel_body();
                let headers = large_headers(http, length);
                let asked = client.send(&headers, body);
                let answered = async {
                    sender.send(beginning()).await.unwrap();
                    let call = calls.recv().await.unwrap();
                    let (request, answer) = call.respond(413, "application/x-amz-json-1.1");
                    answer
                        .send(Bytes::from(r#"{"__type":"TooMuch"}"#))
                        .await
                        .unwrap();
                    request
                };
                let both = async { tokio::join!(asked, answered) };
                let (response, _request) = timeout(PATIENCE, both).await.expect("an early answer");
                let response = response.unwrap();
                assert_eq!(response.status(), 413);
                assert_eq!(response.headers()["x-amzn-requestid"], "upstream-id");
                let first = timeout(PATIENCE, response.into_body().frame())
                    .await
                    .unwrap();
                let first = first.unwrap().unwrap().into_data().unwrap();
                assert_eq!(first, r#"{"__type":"TooMuch"}"#);
            });
        }
    }
}

#[test]
fn a_client_that_leaves_cancels_upstream() {
    let authority = Arc::new(Authority::create().unwrap());
    for http in HTTP_VERSIONS {
        for length in [Some(2 << 20), None] {
            http2::block_on(async {
                let (address, mut calls) = scripted::upstream(&authority, http).await;
                let gate = gate(&authority, address);
                let mut client = Client::connect(&authority, gate.address(), HOST, http).await;
                let (sender, body) = scripted::channel_body();
                sender.send(beginning()).await.unwrap();
                let headers = large_headers(http, length);
                let request = {
                    let asked = client.send(&headers, body);
                    tokio::pin!(asked);
                    tokio::select! {
                        call = calls.recv() => call.unwrap(),
                        _ = &mut asked => panic!("there is no answer yet"),
                    }
                };
                // It leaves in the middle of its body.
                drop(client);
                drop(sender);
                let mut body = request.request.into_body();
                let broken = async {
                    loop {
                        match body.frame().await {
                            Some(Ok(_)) => {}
                            Some(Err(_)) => return true,
                            None => return false,
                        }
                    }
                };
                let broken = timeout(PATIENCE, broken)
                    .await
                    .expect("the upstream is told");
                assert!(broken, "{http:?}: the body came to an end");
            });
        }
    }
}

#[test]
fn a_client_that_leaves_its_event_stream_ends_it_upstream() {
    let authority = Arc::new(Authority::create().unwrap());
    for http in HTTP_VERSIONS {
        http2::block_on(async {
            let (address, mut calls) = scripted::upstream(&authority, http).await;
            let gate = gate(&authority, address);
            let mut client = Client::connect(&authority, gate.address(), HOST, http).await;
            let headers = http2::signed_headers("SubscribeToShard", SUBSCRIBE, "host");
            let (sender, body) = scripted::channel_body();
            sender.send(Bytes::from(SUBSCRIBE)).await.unwrap();
            drop(sender);
            let asked = client.send(&headers, body);
            let answered = async {
                let call = calls.recv().await.unwrap();
                call.respond(200, "application/vnd.amazon.eventstream")
            };
            let (response, (_request, events)) = tokio::join!(asked, answered);
            events.send(Bytes::from("event")).await.unwrap();
            let mut body = response.unwrap().into_body();
            assert!(body.frame().await.unwrap().is_ok());
            drop(body);
            drop(client);
            // Over HTTP/1.1 it may take an event more to find out.
            let told = async { while events.send(Bytes::from("event")).await.is_ok() {} };
            let told = timeout(PATIENCE, told).await;
            assert!(told.is_ok(), "{http:?}: the upstream is not told");
        });
    }
}
