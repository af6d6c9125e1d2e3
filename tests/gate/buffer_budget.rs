//! What bodies cost in memory, in a gate that is a process of its own, and what happens where the
//! budget for them is used up.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kinesis_gate::sandbox::Authority;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::support::raw::{Connection, Request};
use crate::support::scripted::{self, Client, HTTP_VERSIONS, HttpVersion};
use crate::support::{Behaviour, GateBuilder, HOST, Recorder, http2};

/// A gate as it is run, so that what it holds can be told from what the test holds.
struct Process {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Process {
    fn start(authority: &Authority, upstream: SocketAddr) -> Process {
        let folder = tempfile::tempdir().unwrap();
        authority.write(folder.path()).unwrap();
        let everything =
            r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}"#;
        std::fs::write(folder.path().join("policy.json"), everything).unwrap();
        let config = format!(
            "workers = 1\n[upstream]\nconnect = \"{upstream}\"\nserver-name = \"localhost\"\n\
             ca-file = \"ca.pem\"\n[[endpoint]]\nid = \"vpce-33cc44dd\"\nvpc = \"vpc-0123abcd\"\n\
             region = \"us-east-1\"\npolicy = \"policy.json\"\n[[listener]]\n\
             address = \"127.0.0.1:0\"\nendpoint = \"vpce-33cc44dd\"\n\
             tls = {{ ca-certificate = \"ca.pem\", ca-key = \"ca-key.pem\" }}\n"
        );
        let file = folder.path().join("gate.toml");
        std::fs::write(&file, config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_kinesis-gate"))
            .args(["run", "--config"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let told = BufReader::new(child.stderr.take().unwrap());
        let address = told.lines().map_while(Result::ok).find_map(|line| {
            line.split([' ', '`', ','])
                .find_map(|word| word.parse::<SocketAddr>().ok())
        });
        Process {
            address: address.expect("it says where it listens"),
            child,
            _folder: folder,
        }
    }

    /// Memory of its own, in bytes.
    fn held(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"))
            .unwrap();
        line.trim()
            .trim_end_matches(" kB")
            .trim()
            .parse::<usize>()
            .unwrap()
            << 10
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const BODY: usize = 10 << 20;
const AT_ONCE: usize = 32;

/// Records whose stream is named first.
fn body(len: usize) -> Bytes {
    let record = format!(r#"{{"Data":"{}","PartitionKey":"1"}},"#, "QUJD".repeat(512));
    let records = record.repeat(len / record.len());
    Bytes::from(format!(
        r#"{{"StreamName":"orders","Records":[{}]}}"#,
        records.trim_end_matches(',')
    ))
}

/// Many requests on their way at once to an upstream that reads no body and does not answer, so that
/// each holds as much as it ever can; what the gate holds then for each, its connections included.
async fn held_for_each(authority: &Authority, http: HttpVersion, len: usize) -> usize {
    let (upstream, mut calls) = scripted::upstream(authority, http).await;
    let gate = Process::start(authority, upstream);
    let body = body(len);
    let mut open = Vec::new();
    let mut before = 0;
    for n in 0..=AT_ONCE {
        // The first shows what the gate needs for anything at all.
        if n == 1 {
            before = gate.held();
        }
        let mut client = Client::connect(authority, gate.address, HOST, http).await;
        let (sender, pieces) = scripted::channel_body();
        let mut headers = http2::signed_headers("PutRecords", "", "host");
        headers.push(("content-length".to_owned(), body.len().to_string()));
        let asked = tokio::spawn(async move { client.send(&headers, pieces).await.map(drop) });
        let body = body.clone();
        let sending = tokio::spawn(async move {
            let mut sent = 0;
            for piece in body.chunks(16 << 10) {
                sent += piece.len();
                if timeout(Duration::from_secs(3), sender.send(body.slice_ref(piece)))
                    .await
                    .is_err()
                {
                    break;
                }
            }
            // A body that was sent whole ends here.
            (sent, (sent < body.len()).then_some(sender))
        });
        let call = timeout(Duration::from_secs(20), calls.recv())
            .await
            .unwrap()
            .unwrap();
        open.push((asked, sending, call));
    }
    let mut kept = Vec::new();
    for (asked, sending, call) in open {
        let (sent, sender) = sending.await.unwrap();
        assert!(len < BODY || sent < body.len(), "the upstream read it all");
        kept.push((asked, sender, call));
    }
    gate.held().saturating_sub(before) / AT_ONCE
}

#[test]
fn a_large_body_that_names_its_stream_first_is_not_stored() {
    let authority = Arc::new(Authority::create().unwrap());
    for http in HTTP_VERSIONS {
        let held = |len| http2::block_on(held_for_each(&authority, http, len));
        let (small, large) = (held(4 << 10), held(BODY));
        println!(
            "held for a request over {http:?}, its two connections included: {} KiB with a body of \
             4 KiB, {} KiB with one of 10 MiB that cannot go on",
            small >> 10,
            large >> 10,
        );
        assert!(
            large - small < 256 << 10,
            "{http:?}: {large} and {small} bytes"
        );
    }
}

/// Passes on what a client sends to the gate, and what comes back until the client takes no more.
async fn client_that_stalls(gate: SocketAddr) -> (SocketAddr, oneshot::Sender<()>) {
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

/// Its windows are open, so that nothing but the gate's own caps holds an answer back.
#[test]
fn answers_that_a_client_does_not_take_are_not_stored() {
    let authority = Arc::new(Authority::create().unwrap());
    http2::block_on(async {
        let (upstream, mut calls) = scripted::upstream(&authority, HttpVersion::Http2).await;
        let gate = Process::start(&authority, upstream);
        let (address, stall) = client_that_stalls(gate.address).await;
        let windows = Some(http2::FlowControlWindows(4 << 20, 256 << 20));
        let (client, connection) = http2::connect(&authority, address, http2::H2, windows).await;
        tokio::spawn(connection);
        let mut answers = Vec::new();
        for _ in 0..AT_ONCE {
            let headers = http2::signed_headers("ListStreams", "{}", "host");
            let mut client = client.clone();
            let asked = client.send_request(http2::request(&headers, "{}"));
            let answered = async {
                let call = timeout(Duration::from_secs(20), calls.recv()).await;
                call.unwrap()
                    .unwrap()
                    .respond(200, "application/x-amz-json-1.1")
            };
            let (response, (_, sender)) = tokio::join!(asked, answered);
            answers.push((response.unwrap(), sender));
        }
        stall.send(()).unwrap();
        let before = gate.held();
        let mut sending = Vec::new();
        for (response, sender) in answers {
            sending.push(tokio::spawn(async move {
                let piece = || sender.send(Bytes::from(vec![b' '; 16 << 10]));
                while timeout(Duration::from_secs(2), piece()).await.is_ok() {}
                (response, sender)
            }));
        }
        let mut kept = Vec::new();
        for sent in sending {
            kept.push(sent.await.unwrap());
        }
        let each = gate.held().saturating_sub(before) / AT_ONCE;
        println!("held of an answer that is not taken: {} KiB", each >> 10);
        assert!(each < 420 << 10, "{each} bytes");
    });
}

/// A body that names its stream at its end.
fn named_last(len: usize) -> String {
    format!(
        r#"{{"Data":"{}","PartitionKey":"1","StreamName":"orders"}}"#,
        "A".repeat(len)
    )
}

const LIMITS: &str = "body-bytes = 200000\nbuffered-bytes = 200000\n";

#[test]
fn bodies_beyond_the_budget_wait_for_those_before_them() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits(LIMITS)
        .start();
    let first = Request::new("PutRecord", named_last(150_000)).bytes();
    let mut holds = Connection::open(&authority, gate.address(), HOST);
    holds.write(&first[..first.len() - 1]);
    let mut waits = Connection::open(&authority, gate.address(), HOST);
    waits.write(&Request::new("PutRecord", named_last(150_001)).bytes());
    assert!(recorder.requests().is_empty());
    holds.write(&first[first.len() - 1..]);
    assert_eq!(holds.response().status, 200);
    assert_eq!(waits.response().status, 200);
    assert_eq!(recorder.requests().len(), 2);
}

#[test]
fn bodies_that_wait_too_long_are_throttled() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let limits = format!("{LIMITS}body-timeout = \"500ms\"");
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits(&limits)
        .start();
    let first = Request::new("PutRecord", named_last(150_000)).bytes();
    let mut holds = Connection::open(&authority, gate.address(), HOST);
    let (begin, rest) = first.split_at(first.len() - 40);
    holds.write(begin);
    let (authority2, address) = (Arc::clone(&authority), gate.address());
    let waits = std::thread::spawn(move || {
        Request::new("PutRecord", named_last(150_001)).send(&authority2, address)
    });
    // The first goes on, slowly, and keeps what it holds until the other has its answer.
    let mut rest = rest.iter();
    while !waits.is_finished() {
        let byte = rest.next().expect("an answer in time");
        holds.write(&[*byte]);
        std::thread::sleep(Duration::from_millis(100));
    }
    let answer = waits.join().unwrap();
    assert_eq!(
        (answer.status, answer.error_type().as_str()),
        (503, "ThrottlingException")
    );
    assert!(recorder.requests().is_empty());
    let rest: Vec<u8> = rest.copied().collect();
    holds.write(&rest);
    assert_eq!(holds.response().status, 200);
    let refused = gate
        .log(2)
        .into_iter()
        .find(|line| line["decision"] == "refused")
        .unwrap();
    assert_eq!(refused["reason"], "`buffered-bytes` are held already");
}
