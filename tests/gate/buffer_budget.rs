//! The buffer budget: the memory that bodies take in the process of a gate, and requests beyond the
//! budget.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kinesis_gate::sandbox::Authority;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::support::process::GateProcess;
use crate::support::raw::{Connection, Request};
use crate::support::scripted::{self, Client, HTTP_VERSIONS, HttpVersion};
use crate::support::{Behaviour, GateBuilder, HOST, Recorder, http2};

/// A gate in its own process, so that its memory is not that of the test.
struct MeasuredGate {
    process: GateProcess,
    _folder: TempDir,
}

impl MeasuredGate {
    fn start(authority: &Authority, upstream: SocketAddr) -> MeasuredGate {
        let folder = tempfile::tempdir().unwrap();
        authority.write(folder.path()).unwrap();
        let config = format!(
            "workers = 1\n[upstream]\nconnect = \"{upstream}\"\nserver-name = \"localhost\"\n\
             ca-file = \"ca.pem\"\n[[endpoint]]\nid = \"vpce-33cc44dd\"\nvpc = \"vpc-0123abcd\"\n\
             region = \"us-east-1\"\npolicy = \"policy.json\"\n[[listener]]\n\
             address = \"127.0.0.1:0\"\nendpoint = \"vpce-33cc44dd\"\n\
             tls = {{ ca-certificate = \"ca.pem\", ca-key = \"ca-key.pem\" }}\n"
        );
        let policy =
            r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}"#;
        std::fs::write(folder.path().join("policy.json"), policy).unwrap();
        let file = folder.path().join("gate.toml");
        std::fs::write(&file, config).unwrap();
        MeasuredGate {
            process: GateProcess::start(&file, &[]),
            _folder: folder,
        }
    }

    fn address(&self) -> SocketAddr {
        self.process.address()
    }

    /// Anonymous resident memory, in bytes.
    fn memory(&self) -> usize {
        let status = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(status).unwrap();
        let mut lines = status.lines();
        let kib = lines.find_map(|line| line.strip_prefix("RssAnon:")?.strip_suffix("kB"));
        kib.unwrap().trim().parse::<usize>().unwrap() << 10
    }
}

const LARGE_BODY: usize = 10 << 20;
const CONCURRENT_REQUESTS: usize = 32;

/// A body of PutRecords that names its stream first.
fn body(len: usize) -> Bytes {
    let record = format!(r#"{{"Data":"{}","PartitionKey":"1"}},"#, "QUJD".repeat(512));
    let records = record.repeat(len / record.len());
    Bytes::from(format!(
        r#"{{"StreamName":"orders","Records":[{}]}}"#,
        records.trim_end_matches(',')
    ))
}

/// The memory that the gate takes for each of many concurrent requests, with its two connections.
/// The upstream reads no body and does not respond: each request takes as much as it ever can.
async fn memory_per_request(authority: &Authority, http: HttpVersion, len: usize) -> usize {
    let (upstream, mut pending_requests) = scripted::upstream(authority, http).await;
    let gate = MeasuredGate::start(authority, upstream);
    let body = body(len);
    let mut open = Vec::new();
    let mut before = 0;
    for n in 0..=CONCURRENT_REQUESTS {
        // The first request shows the memory of a gate without requests.
        if n == 1 {
            before = gate.memory();
        }
        let mut client = Client::connect(authority, gate.address(), HOST, http).await;
        let (sender, channel_body) = scripted::channel_body();
        let mut headers = http2::signed_headers("PutRecords", "", "host");
        headers.push(("content-length".to_owned(), body.len().to_string()));
        let response =
            tokio::spawn(async move { client.send(&headers, channel_body).await.map(drop) });
        let body = body.clone();
        let sending = tokio::spawn(async move {
            let mut sent = 0;
            for chunk in body.chunks(16 << 10) {
                sent += chunk.len();
                if timeout(Duration::from_secs(3), sender.send(body.slice_ref(chunk)))
                    .await
                    .is_err()
                {
                    break;
                }
            }
            // A body that is sent whole ends here.
            (sent, (sent < body.len()).then_some(sender))
        });
        let pending = timeout(Duration::from_secs(20), pending_requests.recv()).await;
        open.push((response, sending, pending.unwrap().unwrap()));
    }
    let mut stalled = Vec::new();
    for (response, sending, pending) in open {
        let (sent, sender) = sending.await.unwrap();
        assert!(
            len < LARGE_BODY || sent < body.len(),
            "the upstream has read the whole body"
        );
        stalled.push((response, sender, pending));
    }
    gate.memory().saturating_sub(before) / CONCURRENT_REQUESTS
}

#[test]
fn a_large_body_that_names_its_stream_first_is_not_buffered() {
    let authority = Arc::new(Authority::create().unwrap());
    for http in HTTP_VERSIONS {
        let memory = |len| http2::block_on(memory_per_request(&authority, http, len));
        let (small, large) = (memory(4 << 10), memory(LARGE_BODY));
        println!(
            "memory of a request over {http:?} and its two connections: {} KiB with a body of 4 KiB, \
             {} KiB with a stalled body of 10 MiB",
            small >> 10,
            large >> 10,
        );
        assert!(
            large - small < 256 << 10,
            "{http:?}: {large} and {small} bytes"
        );
    }
}

/// A TCP relay to the gate that stops passing on responses when the returned sender fires.
async fn stalling_client(gate: SocketAddr) -> (SocketAddr, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stall, stalled) = oneshot::channel();
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let gate = TcpStream::connect(gate).await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_gate, mut to_gate) = gate.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_gate).await });
        tokio::select! {
            _ = tokio::io::copy(&mut from_gate, &mut to_client) => {}
            _ = stalled => std::future::pending().await,
        }
    });
    (address, stall)
}

/// The client's windows are open, so that only the gate's own caps hold a response back.
#[test]
fn responses_that_a_client_does_not_read_are_not_buffered() {
    let authority = Arc::new(Authority::create().unwrap());
    http2::block_on(async {
        let (upstream, mut pending_requests) =
            scripted::upstream(&authority, HttpVersion::Http2).await;
        let gate = MeasuredGate::start(&authority, upstream);
        let (address, stall) = stalling_client(gate.address()).await;
        let windows = Some(http2::FlowControlWindows(4 << 20, 256 << 20));
        let (client, connection) = http2::connect(&authority, address, http2::H2, windows).await;
        tokio::spawn(connection);
        let mut responses = Vec::new();
        for _ in 0..CONCURRENT_REQUESTS {
            let headers = http2::signed_headers("ListStreams", "{}", "host");
            let mut client = client.clone();
            let response = client.send_request(http2::request(&headers, "{}"));
            let respond = async {
                let pending = timeout(Duration::from_secs(20), pending_requests.recv()).await;
                let pending = pending.unwrap().unwrap();
                pending.respond(200, "application/x-amz-json-1.1")
            };
            let (response, (_, sender)) = tokio::join!(response, respond);
            responses.push((response.unwrap(), sender));
        }
        stall.send(()).unwrap();
        let before = gate.memory();
        let mut sending = Vec::new();
        for (response, sender) in responses {
            sending.push(tokio::spawn(async move {
                let chunk = || sender.send(Bytes::from(vec![b' '; 16 << 10]));
                while timeout(Duration::from_secs(2), chunk()).await.is_ok() {}
                (response, sender)
            }));
        }
        let mut stalled = Vec::new();
        for response in sending {
            stalled.push(response.await.unwrap());
        }
        let each = gate.memory().saturating_sub(before) / CONCURRENT_REQUESTS;
        println!("memory of a response that is not read: {} KiB", each >> 10);
        assert!(each < 420 << 10, "{each} bytes");
    });
}

/// A body that names its stream last.
fn body_with_stream_last(len: usize) -> String {
    format!(
        r#"{{"Data":"{}","PartitionKey":"1","StreamName":"orders"}}"#,
        "A".repeat(len)
    )
}

const LIMITS: &str = "body-bytes = 200000\nbuffered-bytes = 200000\n";

#[test]
fn bodies_beyond_the_budget_wait_for_earlier_bodies() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits(LIMITS)
        .start();
    let first = Request::new("PutRecord", body_with_stream_last(150_000)).bytes();
    let mut holding = Connection::open(&authority, gate.address(), HOST);
    holding.write(&first[..first.len() - 1]);
    let mut waiting = Connection::open(&authority, gate.address(), HOST);
    waiting.write(&Request::new("PutRecord", body_with_stream_last(150_001)).bytes());
    assert!(recorder.requests().is_empty());
    holding.write(&first[first.len() - 1..]);
    assert_eq!(holding.response().status, 200);
    assert_eq!(waiting.response().status, 200);
    assert_eq!(recorder.requests().len(), 2);
}

#[test]
fn bodies_that_wait_too_long_for_the_budget_are_throttled() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let limits = format!("{LIMITS}body-timeout = \"500ms\"");
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits(&limits)
        .start();
    let first = Request::new("PutRecord", body_with_stream_last(150_000)).bytes();
    let mut holding = Connection::open(&authority, gate.address(), HOST);
    let (begin, rest) = first.split_at(first.len() - 40);
    holding.write(begin);
    let (ca, address) = (Arc::clone(&authority), gate.address());
    let waiting = std::thread::spawn(move || {
        Request::new("PutRecord", body_with_stream_last(150_001)).send(&ca, address)
    });
    // The first body continues slowly, and holds the budget until the other has its response.
    let mut rest = rest.iter();
    while !waiting.is_finished() {
        let byte = rest.next().expect("a response in time");
        holding.write(&[*byte]);
        std::thread::sleep(Duration::from_millis(100));
    }
    let response = waiting.join().unwrap();
    assert_eq!(
        (response.status, response.error_type().as_str()),
        (503, "ThrottlingException")
    );
    assert!(recorder.requests().is_empty());
    let rest: Vec<u8> = rest.copied().collect();
    holding.write(&rest);
    assert_eq!(holding.response().status, 200);
    let refused = gate
        .log(2)
        .into_iter()
        .find(|line| line["decision"] == "refused")
        .unwrap();
    assert_eq!(refused["reason"], "`buffered-bytes` are held already");
}
