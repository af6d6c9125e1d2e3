//! Limits of connections, handshakes, requests, bodies and HTTP/2 frames: the effect on clients,
//! and the counters.

use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kinesis_gate::sandbox::Authority;
use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::health_and_drain::get;
use crate::support::http2::signed_headers;
use crate::support::raw::{Connection, Request, client_config};
use crate::support::{Behaviour, Gate, GateBuilder, HOST, Recorder};

fn has_metric(gate: &Gate, line: &str) -> bool {
    let (_, page) = get(gate.admin(), "/metrics");
    page.lines().any(|found| found == line)
}

#[test]
fn connections_are_limited() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("connections = 1")
        .start();
    let mut first = Connection::open(&authority, gate.address(), HOST);
    assert!(Connection::try_open(&authority, gate.address(), HOST).is_err());
    assert!(has_metric(
        &gate,
        "kinesis_gate_connections_refused_total 1"
    ));
    first.write(&Request::new("ListStreams", "{}").bytes());
    assert_eq!(first.response().status, 200);
}

#[test]
fn connections_of_one_client_are_limited() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("connections-per-client = 2")
        .start();
    let list = |connection: &mut Connection| {
        connection.write(&Request::new("ListStreams", "{}").bytes());
        connection.response().status
    };
    let open = || Connection::try_open(&authority, gate.address(), HOST);
    let mut first = open().unwrap();
    let mut second = open().unwrap();
    assert_eq!([list(&mut first), list(&mut second)], [200, 200]);
    assert!(open().is_err(), "a third is closed before TLS");
    let line = r#"kinesis_gate_connections_dropped_total{kind="client"} 1"#;
    assert!(has_metric(&gate, line));
    let logged = gate.log(3).pop().unwrap();
    assert_eq!(logged["kind"], "client");
    // A connection that ends makes room; the gate sees its end a moment later.
    drop(first);
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut third = loop {
        match open() {
            Ok(connection) => break connection,
            Err(_) => assert!(Instant::now() < deadline, "no room is made"),
        }
    };
    assert_eq!([list(&mut third), list(&mut second)], [200, 200]);
}

/// A client that has sent its ClientHello and then stalls.
fn client_hello(authority: &Authority, tcp: &mut TcpStream) -> ClientConnection {
    let name = ServerName::try_from(HOST).unwrap();
    let mut tls = ClientConnection::new(Arc::new(client_config(authority)), name).unwrap();
    while tls.wants_write() {
        tls.write_tls(tcp).unwrap();
    }
    tls
}

#[test]
fn handshakes_beyond_the_limit_wait() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("handshakes = 1")
        .start();
    let mut first = TcpStream::connect(gate.address()).unwrap();
    let mut tls = client_hello(&authority, &mut first);
    first.peek(&mut [0]).unwrap();
    // The gate has answered the first client: its handshake stays in progress.
    let mut second = TcpStream::connect(gate.address()).unwrap();
    let mut waiting = client_hello(&authority, &mut second);
    let quiet = Duration::from_millis(300);
    second.set_read_timeout(Some(quiet)).unwrap();
    assert!(second.peek(&mut [0]).is_err(), "the second waits");
    while tls.is_handshaking() {
        tls.complete_io(&mut first).unwrap();
    }
    second.set_read_timeout(None).unwrap();
    while waiting.is_handshaking() {
        waiting.complete_io(&mut second).unwrap();
    }
    let response = Request::new("ListStreams", "{}").send(&authority, gate.address());
    assert_eq!(response.status, 200, "both handshakes are finished");
}

#[test]
fn a_handshake_that_waits_past_its_timeout_is_dropped() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("handshakes = 1\nhandshake-timeout = \"1s\"")
        .start();
    // The client's timeout begins at the connect, and so ends before that of the later client.
    let mut late = TcpStream::connect(gate.address()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let mut first = TcpStream::connect(gate.address()).unwrap();
    let _tls = client_hello(&authority, &mut first);
    first.peek(&mut [0]).unwrap();
    let _late = client_hello(&authority, &mut late);
    assert_eq!(late.read(&mut [0; 16]).unwrap_or(0), 0, "it is closed");
    let line = r#"kinesis_gate_connections_dropped_total{kind="handshakes"} 1"#;
    assert!(has_metric(&gate, line));
    assert_eq!(gate.log(1)[0]["kind"], "handshakes");
    let response = Request::new("ListStreams", "{}").send(&authority, gate.address());
    assert_eq!(response.status, 200, "the first has timed out too");
}

#[test]
fn requests_beyond_the_limit_in_flight_are_throttled() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("requests = 1")
        .start();
    let bytes = Request::new("ListStreams", r#"{"Limit":5}"#).bytes();
    let (start, rest) = bytes.split_at(bytes.len() - 1);
    let mut first = Connection::open(&authority, gate.address(), HOST);
    first.write(start);
    // The request is in flight once the gate has read its head; until then another may pass.
    let deadline = Instant::now() + Duration::from_secs(10);
    let refused = loop {
        let response = Request::new("ListStreams", "{}").send(&authority, gate.address());
        if response.status != 200 {
            break response;
        }
        assert!(Instant::now() < deadline, "nothing is refused");
    };
    assert_eq!(
        (refused.status, refused.error_type().as_str()),
        (503, "ThrottlingException")
    );
    first.write(rest);
    assert_eq!(first.response().status, 200);
    let line = r#"kinesis_gate_requests_limited_total{limit="requests"} 1"#;
    assert!(has_metric(&gate, line));
}

/// Sends one byte after another, each well within `body-timeout`, until the gate stops waiting.
fn trickle(body: &[u8], start_bytes: usize) {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("body-timeout = \"400ms\"\nbody-rate = \"1MiB\"")
        .start();
    let mut slow = Connection::open(&authority, gate.address(), HOST);
    slow.write(&Request::new("PutRecord", body).head());
    let (start, rest) = body.split_at(start_bytes);
    slow.write(start);
    let mut rest = rest.iter();
    let line = r#"kinesis_gate_requests_limited_total{limit="body-time"} 1"#;
    while !has_metric(&gate, line) {
        let byte = rest.next().expect("the gate stops before the end");
        slow.write(&[*byte]);
        std::thread::sleep(Duration::from_millis(50));
    }
    let response = slow.response();
    assert_eq!(
        (response.status, response.error_type().as_str()),
        (400, "RequestTimeoutException")
    );
    assert!(recorder.requests().is_empty(), "no request arrived whole");
}

#[test]
fn a_trickling_body_times_out() {
    let data = "A".repeat(400);
    let body = format!(r#"{{"StreamName":"orders","PartitionKey":"1","Data":"{data}"}}"#);
    trickle(body.as_bytes(), 40);
}

#[test]
fn the_trickling_rest_of_a_large_body_times_out() {
    let data = "A".repeat(400_000);
    let body = format!(r#"{{"StreamName":"orders","PartitionKey":"1","Data":"{data}"}}"#);
    trickle(body.as_bytes(), body.len() - 400);
}

/// Two bodies that each hold the budget that the other needs: one is refused long before
/// `body-timeout`.
#[test]
fn bodies_that_wait_for_each_others_budget_do_not_deadlock() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("body-bytes = 200000\nbuffered-bytes = 200000\nbody-timeout = \"20s\"")
        .start();
    let data = "A".repeat(180_000);
    let named_last = format!(r#"{{"Data":"{data}","PartitionKey":"1","StreamName":"orders"}}"#);
    let bytes = Request::new("PutRecord", named_last).bytes();
    let (start, rest) = bytes.split_at(bytes.len() / 2);
    let mut connections: Vec<_> = (0..2)
        .map(|_| {
            let mut connection = Connection::open(&authority, gate.address(), HOST);
            connection.write(start);
            connection
        })
        .collect();
    let started = Instant::now();
    // One of the two may be refused before it has sent everything.
    let finish = &|connection: &mut Connection| {
        connection.write(rest);
        connection.response().status
    };
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = connections
            .iter_mut()
            .map(|connection| scope.spawn(move || finish(connection)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "they deadlocked"
    );
    assert!(statuses.contains(&200), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 503].contains(status)));
}

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;
/// POST, https, /, from HPACK's static table.
const HEAD: &[u8] = &[0x83, 0x87, 0x84];

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The whole frames: type, flags, stream and payload.
pub fn frames(mut bytes: &[u8]) -> Vec<(u8, u8, u32, &[u8])> {
    let mut frames = Vec::new();
    while let [a, b, c, kind, flags, s, t, u, v, rest @ ..] = bytes {
        let len = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let Some((payload, next)) = rest.split_at_checked(len) else {
            break;
        };
        frames.push((*kind, *flags, u32::from_be_bytes([*s, *t, *u, *v]), payload));
        bytes = next;
    }
    frames
}

fn error_code(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[payload.len() - 4..].try_into().unwrap())
}

/// A header as a literal of HPACK, without its tables (RFC 7541 section 6.2.2).
pub fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        match text.len().checked_sub(127) {
            None => bytes.push(u8::try_from(text.len()).unwrap()),
            Some(more) => {
                assert!(more < 1 << 14);
                bytes.extend([127, 0x80 | (more & 0x7f) as u8, (more >> 7) as u8]);
            }
        }
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// Opens an HTTP/2 connection: the preface and SETTINGS.
fn open_http2(authority: &Authority, gate: &Gate) -> Connection {
    let pem = authority.pem();
    let mut client = Connection::open_with_alpn(&pem, gate.address(), HOST, b"h2").unwrap();
    client.write(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat());
    client
}

/// Asserts that the gate ends a connection that sends `flood`, and serves others.
fn assert_ended(limits: &str, flood: &[u8]) {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits(limits)
        .start();
    let mut client = open_http2(&authority, &gate);
    client.write(flood);
    let mut received = Vec::new();
    while client.read_some(&mut received) {}
    let mut goaway = frames(&received)
        .into_iter()
        .filter(|(kind, ..)| *kind == GOAWAY)
        .map(|(.., payload)| u32::from_be_bytes(payload[4..8].try_into().unwrap()));
    assert_eq!(goaway.next(), Some(ENHANCE_YOUR_CALM));
    assert!(recorder.requests().is_empty());
    let response = Request::new("ListStreams", "{}").send(&authority, gate.address());
    assert_eq!(response.status, 200, "others are served");
}

/// CVE-2023-44487, rapid reset: streams that are opened and reset at once, without end.
#[test]
fn rapid_resets_end_the_connection() {
    let mut flood = Vec::new();
    for n in 0..50 {
        flood.extend(frame(HEADERS, END_HEADERS, 2 * n + 1, HEAD));
        flood.extend(frame(RST_STREAM, 0, 2 * n + 1, &8_u32.to_be_bytes()));
    }
    assert_ended("resets = 5", &flood);
}

/// CVE-2024-27316: a head of CONTINUATION frames without end.
#[test]
fn endless_continuation_frames_end_the_connection() {
    let mut flood = frame(HEADERS, 0, 1, HEAD);
    for _ in 0..1000 {
        flood.extend(frame(CONTINUATION, 0, 1, &literal("x", "y")));
    }
    assert_ended("", &flood);
}

/// CVE-2019-9518: DATA frames that hold nothing.
#[test]
fn empty_data_frames_end_the_connection() {
    let mut flood = frame(HEADERS, END_HEADERS, 1, &signed_head("{}"));
    for _ in 0..5000 {
        flood.extend(frame(DATA, 0, 1, &[]));
    }
    assert_ended("", &flood);
}

fn signed_head(body: &str) -> Vec<u8> {
    let mut head = HEAD.to_vec();
    for (name, value) in signed_headers("ListStreams", body, ":authority") {
        head.extend(literal(&name, &value));
    }
    head
}

#[test]
fn streams_beyond_the_limit_are_refused() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start_http2(&authority);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("streams = 2")
        .start();
    let mut client = open_http2(&authority, &gate);
    let head = signed_head("{}");
    for stream in [1, 3, 5] {
        client.write(&frame(HEADERS, END_HEADERS, stream, &head));
    }
    let mut received = Vec::new();
    let reset = |received: &[u8]| {
        let mut found = frames(received).into_iter();
        let found = found.find(|(kind, ..)| *kind == RST_STREAM);
        found.map(|(_, _, stream, payload)| (stream, error_code(payload)))
    };
    while reset(&received).is_none() {
        assert!(client.read_some(&mut received), "no stream is refused");
    }
    assert_eq!(reset(&received), Some((5, REFUSED_STREAM)));
    for stream in [1, 3] {
        client.write(&frame(DATA, END_STREAM, stream, b"{}"));
    }
    let ended = |received: &[u8]| {
        let ends = |kind: u8, flags: u8| kind <= HEADERS && flags & END_STREAM != 0;
        let mut ended: Vec<u32> = frames(received)
            .into_iter()
            .filter(|(kind, flags, ..)| ends(*kind, *flags))
            .map(|(_, _, stream, _)| stream)
            .collect();
        ended.sort_unstable();
        ended
    };
    while ended(&received).len() < 2 {
        assert!(client.read_some(&mut received), "both get a response");
    }
    assert_eq!(ended(&received), [1, 3]);
    assert_eq!(recorder.requests().len(), 2);
}

/// CVE-2019-9512 and CVE-2019-9515: floods of PING and SETTINGS, from a client that reads no
/// acknowledgement. The gate queues one and reads no further, so that the client cannot write; then it
/// ends the connection.
#[test]
fn ping_and_settings_floods_of_a_client_that_does_not_read_end_the_connection() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("body-timeout = \"3s\"")
        .start();
    for flood_frame in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[])] {
        let mut client = open_http2(&authority, &gate);
        client.set_write_timeout(Duration::from_secs(1));
        let flood = flood_frame.repeat(4096);
        // Far more than both sides' sockets and the gate's buffers hold.
        let is_blocked = (0..2048).any(|_| client.try_write(&flood).is_err());
        assert!(is_blocked, "the gate read everything");
        let response = Request::new("ListStreams", "{}").send(&authority, gate.address());
        assert_eq!(response.status, 200, "others are served");
        let deadline = Instant::now() + Duration::from_secs(15);
        while !has_metric(&gate, "kinesis_gate_connections_open 0") {
            assert!(Instant::now() < deadline, "the connection never ends");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
