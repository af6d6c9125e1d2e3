//! HTTP/2 clients that open no window for an answer, or a small one now and then.

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

const PATIENCE: Duration = Duration::from_secs(20);
const TIME: Duration = Duration::from_secs(1);
const PIECE: usize = 16 << 10;

struct Parts {
    calls: Receiver<PendingRequest>,
    gate: Gate,
    client: hyper::client::conn::http2::SendRequest<http2::Body>,
}

/// A client with so large a window for each stream, which opens as it takes what came.
async fn parts(window: u32) -> Parts {
    let authority = Arc::new(Authority::create().unwrap());
    let (address, calls) = scripted::upstream(&authority, HttpVersion::Http2).await;
    let gate = GateBuilder::new(&authority, address)
        .limits("body-timeout = \"1s\"\ndrain = \"100ms\"")
        .start();
    let windows = Some(http2::FlowControlWindows(window, 16 << 20));
    let (client, connection) = http2::connect(&authority, gate.address(), http2::H2, windows).await;
    tokio::spawn(connection);
    Parts {
        calls,
        gate,
        client,
    }
}

impl Parts {
    async fn ask(
        &mut self,
        operation: &str,
        content_type: &str,
    ) -> (Response<Incoming>, BodySender) {
        let headers = http2::signed_headers(operation, "{}", "host");
        let asked = self.client.send_request(http2::request(&headers, "{}"));
        let answered = async {
            let call = timeout(PATIENCE, self.calls.recv()).await.unwrap();
            call.unwrap().respond(200, content_type).1
        };
        let (response, body) = tokio::join!(asked, answered);
        (response.unwrap(), body)
    }

    fn given_up(&self) -> bool {
        let (_, page) = get(self.gate.admin(), "/metrics");
        let line = "kinesis_gate_requests_limited_total{limit=\"body-time\"} 1";
        page.lines().any(|found| found == line)
    }
}

#[test]
fn an_answer_for_which_no_window_is_opened_is_given_up_and_others_are_not() {
    http2::block_on(async {
        let mut parts = parts(0).await;
        let (response, body) = parts.ask("ListStreams", "application/x-amz-json-1.1").await;
        let since = Instant::now();
        assert_eq!(response.status(), 200);
        body.send(Bytes::from_static(b"{}")).await.unwrap();
        let mut untaken = response.into_body();
        let frame = timeout(PATIENCE, untaken.frame()).await.unwrap();
        let error = frame.unwrap().expect_err("nothing can come");
        assert!(format!("{error:?}").contains("CANCEL"), "{error:?}");
        assert!(since.elapsed() >= TIME - TIME / 10, "{:?}", since.elapsed());
        timeout(PATIENCE, body.closed())
            .await
            .expect("Kinesis is told");
        assert!(parts.given_up());
        let line = parts.gate.log(1).pop().unwrap();
        assert_eq!(line["reason"], "the client takes no more of the answer");
        assert_eq!(line["decision"], "allow");
        // Its connection lives on.
        let (response, _) = parts.ask("ListStreams", "application/x-amz-json-1.1").await;
        assert_eq!(response.status(), 200);
    });
}

#[test]
fn an_answer_that_is_taken_in_part_and_then_no_more_is_given_up() {
    http2::block_on(async {
        let mut parts = parts(PIECE as u32).await;
        let (response, body) = parts.ask("ListStreams", "application/x-amz-json-1.1").await;
        let mut half = response.into_body();
        for _ in 0..4 {
            body.send(Bytes::from(vec![b' '; PIECE])).await.unwrap();
        }
        let first = timeout(PATIENCE, half.frame()).await.unwrap().unwrap();
        assert!(!first.unwrap().into_data().unwrap().is_empty());
        timeout(PATIENCE, body.closed())
            .await
            .expect("Kinesis is told");
        assert!(parts.given_up());
        assert!(timeout(PATIENCE, half.collect()).await.unwrap().is_err());
    });
}

#[test]
fn a_client_that_takes_little_but_takes_it_is_served_to_the_end() {
    http2::block_on(async {
        let mut parts = parts(PIECE as u32).await;
        let (response, body) = parts.ask("ListStreams", "application/x-amz-json-1.1").await;
        let pieces = 10;
        let sent = tokio::spawn(async move {
            // Larger than what a client takes at once.
            for _ in 0..pieces / 5 {
                body.send(Bytes::from(vec![b' '; 5 * PIECE])).await.unwrap();
            }
        });
        let since = Instant::now();
        let mut slow = response.into_body();
        let mut taken = 0;
        while let Some(frame) = timeout(PATIENCE, slow.frame()).await.unwrap() {
            taken += frame.unwrap().into_data().unwrap().len();
            sleep(TIME * 3 / 10).await;
        }
        assert_eq!(taken, pieces * PIECE);
        assert!(since.elapsed() > 2 * TIME, "it was not slow");
        sent.await.unwrap();
        assert!(!parts.given_up());
    });
}

#[test]
fn an_event_stream_in_which_nothing_happens_stays_open() {
    http2::block_on(async {
        let mut parts = parts(PIECE as u32).await;
        let kind = "application/vnd.amazon.eventstream";
        let (response, events) = parts.ask("SubscribeToShard", kind).await;
        let mut body = response.into_body();
        for event in [b"one", b"two"] {
            sleep(2 * TIME).await;
            events.send(Bytes::from_static(event)).await.unwrap();
            let frame = timeout(PATIENCE, body.frame()).await.unwrap();
            let received = frame.unwrap().unwrap().into_data().unwrap();
            assert_eq!(received, event.as_slice());
        }
        assert!(!parts.given_up());
    });
}
