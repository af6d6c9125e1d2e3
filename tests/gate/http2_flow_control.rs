//! HTTP/2 flow control: clients that open no window for a response, or a small one now and then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use kinesis_gate::sandbox::Authority;
use tokio::sync::mpsc::Receiver;
use tokio::time::{sleep, timeout};

use crate::health_and_drain::get;
use crate::support::scripted::{self, BodySender, HttpVersion, PendingRequest};
use crate::support::{Gate, GateBuilder, http2};

const TIMEOUT: Duration = Duration::from_secs(20);
const BODY_TIMEOUT: Duration = Duration::from_secs(1);
const JSON: &str = "application/x-amz-json-1.1";
const CHUNK: usize = 16 << 10;

struct Fixture {
    calls: Receiver<PendingRequest>,
    gate: Gate,
    client: hyper::client::conn::http2::SendRequest<http2::Body>,
}

/// A client with a window of this size for each stream, which it updates as it reads.
async fn fixture(window: u32) -> Fixture {
    let authority = Arc::new(Authority::create().unwrap());
    let (address, calls) = scripted::upstream(&authority, HttpVersion::Http2).await;
    let gate = GateBuilder::new(&authority, address)
        .limits("body-timeout = \"1s\"\ndrain = \"100ms\"")
        .start();
    let windows = Some(http2::FlowControlWindows(window, 16 << 20));
    let (client, connection) = http2::connect(&authority, gate.address(), http2::H2, windows).await;
    tokio::spawn(connection);
    Fixture {
        calls,
        gate,
        client,
    }
}

impl Fixture {
    async fn request(
        &mut self,
        operation: &str,
        content_type: &str,
    ) -> (Response<Incoming>, BodySender) {
        let headers = http2::signed_headers(operation, "{}", "host");
        let response = self.client.send_request(http2::request(&headers, "{}"));
        let upstream = async {
            let call = timeout(TIMEOUT, self.calls.recv()).await.unwrap();
            call.unwrap().respond(200, content_type).1
        };
        let (response, body) = tokio::join!(response, upstream);
        (response.unwrap(), body)
    }

    fn has_timed_out(&self) -> bool {
        let (_, page) = get(self.gate.admin(), "/metrics");
        let line = "kinesis_gate_requests_limited_total{limit=\"body-time\"} 1";
        page.lines().any(|found| found == line)
    }
}

#[test]
fn a_response_without_a_window_times_out_and_others_do_not() {
    http2::block_on(async {
        let mut fixture = fixture(0).await;
        let (response, body) = fixture.request("ListStreams", JSON).await;
        let started = Instant::now();
        assert_eq!(response.status(), 200);
        body.send(Bytes::from_static(b"{}")).await.unwrap();
        let mut unread = response.into_body();
        let frame = timeout(TIMEOUT, unread.frame()).await.unwrap();
        let error = frame.unwrap().expect_err("nothing can come");
        assert!(format!("{error:?}").contains("CANCEL"), "{error:?}");
        assert!(
            started.elapsed() >= BODY_TIMEOUT - BODY_TIMEOUT / 10,
            "{:?}",
            started.elapsed()
        );
        timeout(TIMEOUT, body.closed())
            .await
            .expect("the upstream sees it");
        assert!(fixture.has_timed_out());
        let line = fixture.gate.log(1).pop().unwrap();
        assert_eq!(line["reason"], "the client takes no more of the answer");
        assert_eq!(line["decision"], "allow");
        // The connection stays open.
        let (response, _) = fixture.request("ListStreams", JSON).await;
        assert_eq!(response.status(), 200);
    });
}

#[test]
fn a_response_read_in_part_times_out() {
    http2::block_on(async {
        let mut fixture = fixture(CHUNK as u32).await;
        let (response, body) = fixture.request("ListStreams", JSON).await;
        let mut unread = response.into_body();
        for _ in 0..4 {
            body.send(Bytes::from(vec![b' '; CHUNK])).await.unwrap();
        }
        let first = timeout(TIMEOUT, unread.frame()).await.unwrap().unwrap();
        assert!(!first.unwrap().into_data().unwrap().is_empty());
        timeout(TIMEOUT, body.closed())
            .await
            .expect("the upstream sees it");
        assert!(fixture.has_timed_out());
        assert!(timeout(TIMEOUT, unread.collect()).await.unwrap().is_err());
    });
}

#[test]
fn a_slow_reader_gets_the_whole_response() {
    http2::block_on(async {
        let mut fixture = fixture(CHUNK as u32).await;
        let (response, body) = fixture.request("ListStreams", JSON).await;
        let chunks = 10;
        let sent = tokio::spawn(async move {
            // Larger than the client's window.
            for _ in 0..chunks / 5 {
                body.send(Bytes::from(vec![b' '; 5 * CHUNK])).await.unwrap();
            }
        });
        let started = Instant::now();
        let mut slow = response.into_body();
        let mut received = 0;
        while let Some(frame) = timeout(TIMEOUT, slow.frame()).await.unwrap() {
            received += frame.unwrap().into_data().unwrap().len();
            sleep(BODY_TIMEOUT * 3 / 10).await;
        }
        assert_eq!(received, chunks * CHUNK);
        assert!(
            started.elapsed() > 2 * BODY_TIMEOUT,
            "the client was not slow"
        );
        sent.await.unwrap();
        assert!(!fixture.has_timed_out());
    });
}

#[test]
fn an_idle_event_stream_stays_open() {
    http2::block_on(async {
        let mut fixture = fixture(CHUNK as u32).await;
        let kind = "application/vnd.amazon.eventstream";
        let (response, events) = fixture.request("SubscribeToShard", kind).await;
        let mut body = response.into_body();
        for event in [b"one", b"two"] {
            sleep(2 * BODY_TIMEOUT).await;
            events.send(Bytes::from_static(event)).await.unwrap();
            let frame = timeout(TIMEOUT, body.frame()).await.unwrap();
            let received = frame.unwrap().unwrap().into_data().unwrap();
            assert_eq!(received, event.as_slice());
        }
        assert!(!fixture.has_timed_out());
    });
}
