//! Limits that one client, or all of them, come up against: what they see, and what is counted.

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

fn counts(gate: &Gate, line: &str) -> bool {
    let (_, page) = get(gate.admin(), "/metrics");
    page.lines().any(|found| found == line)
}

#[test]
fn all_have_so_many_connections() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("connections = 1")
        .start();
    let mut first = Connection::open(&authority, gate.address(), HOST);
    assert!(Connection::try_open(&authority, gate.address(), HOST).is_err());
    assert!(counts(&gate, "kinesis_gate_connections_refused_total 1"));
    first.write(&Request::new("ListStreams", "{}").bytes());
    assert_eq!(first.response().status, 200);
}

#[test]
fn a_client_has_so_many_connections() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("connections-per-client = 2")
        .start();
    let ask = |connection: &mut Connection| {
        connection.write(&Request::new("ListStreams", "{}").bytes());
        connection.response().status
    };
    let open = || Connection::try_open(&authority, gate.address(), HOST);
    let mut first = open().unwrap();
    let mut second = open().unwrap();
    assert_eq!([ask(&mut first), ask(&mut second)], [200, 200]);
    assert!(open().is_err(), "a third is closed before TLS");
    let line = r#"kinesis_gate_connections_dropped_total{kind="client"} 1"#;
    assert!(counts(&gate, line));
    let logged = gate.log(3).pop().unwrap();
    assert_eq!(logged["kind"], "client");
    // One that ends makes room: the gate sees its end a moment later.
    drop(first);
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut third = loop {
        match open() {
            Ok(connection) => break connection,
            Err(_) => assert!(Instant::now() < deadline, "no room is made"),
        }
    };
    assert_eq!([ask(&mut third), ask(&mut second)], [200, 200]);
}

/// A client that has said hello and does not go on.
fn hello(authority: &Authority, tcp: &mut TcpStream) -> ClientConnection {
    let name = ServerName::try_from(HOST).unwrap();
    let mut tls = ClientConnection::new(Arc::new(client_config(authority)), name).unwrap();
    while tls.wants_write() {
        tls.write_tls(tcp).unwrap();
    }
    tls
}

#[test]
fn so_many_handshakes_are_under_way_and_others_wait() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("handshakes = 1")
        .start();
    let mut first = TcpStream::connect(gate.address()).unwrap();
    let mut tls = hello(&authority, &mut first);
    first.peek(&mut [0]).unwrap();
    // The gate has answered the first: its handshake is under way, and stays so.
    let mut second = TcpStream::connect(gate.address()).unwrap();
    let mut waiting = hello(&authority, &mut second);
    let quiet = Duration::from_millis(300);
    second.set_read_timeout(Some(quiet)).unwrap();
    assert!(second.peek(&mut [0]).is_err(), "it is not answered yet");
    while tls.is_handshaking() {
        tls.complete_io(&mut first).unwrap();
    }
    second.set_read_timeout(None).unwrap();
    while waiting.is_handshaking() {
        waiting.complete_io(&mut second).unwrap();
    }
    let answer = Request::new("ListStreams", "{}").send(&authority, gate.address());
    assert_eq!(answer.status, 200, "both places are free again");
}

#[test]
fn a_handshake_that_gets_no_place_in_its_time_is_dropped() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("handshakes = 1\nhandshake-timeout = \"1s\"")
        .start();
    // Its time begins when it connects: it ends before that of who comes later, and is first.
    let mut late = TcpStream::connect(gate.address()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let mut first = TcpStream::connect(gate.address()).unwrap();
    let _tls = hello(&authority, &mut first);
    first.peek(&mut [0]).unwrap();
    let _late = hello(&authority, &mut late);
    assert_eq!(late.read(&mut [0; 16]).unwrap_or(0), 0, "it is closed");
    let line = r#"kinesis_gate_connections_dropped_total{kind="handshakes"} 1"#;
    assert!(counts(&gate, line));
    assert_eq!(gate.log(1)[0]["kind"], "handshakes");
    let answer = Request::new("ListStreams", "{}").send(&authority, gate.address());
    assert_eq!(answer.status, 200, "the first has no time left either");
}

#[test]
fn requests_in_flight_are_limited_and_throttled() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("requests = 1")
        .start();
    let bytes = Request::new("ListStreams", r#"{"Limit":5}"#).bytes();
    let (begin, rest) = bytes.split_at(bytes.len() - 1);
    let mut first = Connection::open(&authority, gate.address(), HOST);
    first.write(begin);
    // It is in flight once its head was read; until then another may pass.
    let deadline = Instant::now() + Duration::from_secs(10);
    let refused = loop {
        let answer = Request::new("ListStreams", "{}").send(&authority, gate.address());
        if answer.status != 200 {
            break answer;
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
    assert!(counts(&gate, line));
}

/// One byte after another, each well within `body-timeout`, until the gate gives the body up.
fn trickle(body: &[u8], at_once: usize) {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("body-timeout = \"400ms\"\nbody-rate = \"1MiB\"")
        .start();
    let mut slow = Connection::open(&authority, gate.address(), HOST);
    slow.write(&Request::new("PutRecord", body).head());
    let (begin, rest) = body.split_at(at_once);
    slow.write(begin);
    let mut rest = rest.iter();
    let line = r#"kinesis_gate_requests_limited_total{limit="body-time"} 1"#;
    while !counts(&gate, line) {
        let byte = rest.next().expect("it is given up before its end");
        slow.write(&[*byte]);
        std::thread::sleep(Duration::from_millis(50));
    }
    let answer = slow.response();
    assert_eq!(
        (answer.status, answer.error_type().as_str()),
        (400, "RequestTimeoutException")
    );
    assert!(recorder.requests().is_empty(), "none arrived whole");
}

#[test]
fn a_body_that_trickles_is_not_waited_for_for_ever() {
    let data = "A".repeat(400);
    let body = format!(r#"{{"StreamName":"orders","PartitionKey":"1","Data":"{data}"}}"#);
    trickle(body.as_bytes(), 40);
}

#[test]
fn nor_is_the_rest_of_a_large_one() {
    let data = "A".repeat(400_000);
    let body = format!(r#"{{"StreamName":"orders","PartitionKey":"1","Data":"{data}"}}"#);
    trickle(body.as_bytes(), body.len() - 400);
}

/// Two bodies that hold what the other waits for: one lets go of it long before `body-timeout`.
#[test]
fn bodies_that_wait_for_each_other_do_not_stand() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("body-bytes = 200000\nbuffered-bytes = 200000\nbody-timeout = \"20s\"")
        .start();
    let data = "A".repeat(180_000);
    let named_last = format!(r#"{{"Data":"{data}","PartitionKey":"1","StreamName":"orders"}}"#);
    let bytes = Request::new("PutRecord", named_last).bytes();
    let (begin, rest) = bytes.split_at(bytes.len() / 2);
    let mut both: Vec<_> = (0..2)
        .map(|_| {
            let mut connection = Connection::open(&authority, gate.address(), HOST);
            connection.write(begin);
            connection
        })
        .collect();
    let since = Instant::now();
    // One of the two may be refused, and close, before it has sent everything.
    let ask = &|connection: &mut Connection| {
        connection.write(rest);
        connection.response().status
    };
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let asked: Vec<_> = both
            .iter_mut()
            .map(|connection| scope.spawn(move || ask(connection)))
            .collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(since.elapsed() < Duration::from_secs(10), "they stood");
    assert!(answers.contains(&200), "{answers:?}");
    assert!(answers.iter().all(|status| [200, 503].contains(status)));
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;
/// POST, https, /, from HPACK's static table.
const HEAD: &[u8] = &[0x83, 0x87, 0x84];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Whole frames: kind, flags, stream and payload.
fn frames(mut bytes: &[u8]) -> Vec<(u8, u8, u32, &[u8])> {
    let mut found = Vec::new();
    while let [a, b, c, kind, flags, s, t, u, v, rest @ ..] = bytes {
        let len = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let Some((payload, next)) = rest.split_at_checked(len) else {
            break;
        };
        found.push((*kind, *flags, u32::from_be_bytes([*s, *t, *u, *v]), payload));
        bytes = next;
    }
    found
}

fn code(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[payload.len() - 4..].try_into().unwrap())
}

/// A header as a literal of HPACK, without its tables (RFC 7541 section 6.2.2).
fn literal(name: &str, value: &str) -> Vec<u8> {
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

/// Begins HTTP/2 with what comes first in a flood.
fn begin(authority: &Authority, gate: &Gate) -> Connection {
    let pem = authority.pem();
    let mut client = Connection::open_with_alpn(&pem, gate.address(), HOST, b"h2").unwrap();
    client.write(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat());
    client
}

/// Sends a flood and asserts that the gate ends the connection for it, and serves others.
fn assert_ended(limits: &str, flood: &[u8]) {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits(limits)
        .start();
    let mut client = begin(&authority, &gate);
    client.write(flood);
    let mut told = Vec::new();
    while client.read_some(&mut told) {}
    let mut goaway = frames(&told)
        .into_iter()
        .filter(|(kind, ..)| *kind == GOAWAY)
        .map(|(.., payload)| u32::from_be_bytes(payload[4..8].try_into().unwrap()));
    assert_eq!(goaway.next(), Some(ENHANCE_YOUR_CALM));
    assert!(recorder.requests().is_empty());
    let answer = Request::new("ListStreams", "{}").send(&authority, gate.address());
    assert_eq!(answer.status, 200, "others are served");
}

/// CVE-2023-44487: streams that are opened and reset at once, without end.
#[test]
fn streams_reset_in_haste_end_the_connection() {
    let mut flood = Vec::new();
    for n in 0..50 {
        flood.extend(frame(HEADERS, END_HEADERS, 2 * n + 1, HEAD));
        flood.extend(frame(RST_STREAM, 0, 2 * n + 1, &8_u32.to_be_bytes()));
    }
    assert_ended("resets = 5", &flood);
}

/// CVE-2024-27316: a head that goes on and on.
#[test]
fn a_head_of_endless_continuations_ends_the_connection() {
    let mut flood = frame(HEADERS, 0, 1, HEAD);
    for _ in 0..1000 {
        flood.extend(frame(CONTINUATION, 0, 1, &literal("x", "y")));
    }
    assert_ended("", &flood);
}

/// CVE-2019-9518: pieces of a body that hold nothing.
#[test]
fn empty_pieces_of_a_body_end_the_connection() {
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
fn so_many_streams_are_open_and_the_next_is_refused() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start_http2(&authority);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("streams = 2")
        .start();
    let mut client = begin(&authority, &gate);
    let head = signed_head("{}");
    for stream in [1, 3, 5] {
        client.write(&frame(HEADERS, END_HEADERS, stream, &head));
    }
    let mut told = Vec::new();
    let reset = |told: &[u8]| {
        let mut found = frames(told).into_iter();
        let found = found.find(|(kind, ..)| *kind == RST_STREAM);
        found.map(|(_, _, stream, payload)| (stream, code(payload)))
    };
    while reset(&told).is_none() {
        assert!(client.read_some(&mut told), "none is refused");
    }
    assert_eq!(reset(&told), Some((5, REFUSED_STREAM)));
    for stream in [1, 3] {
        client.write(&frame(DATA, END_STREAM, stream, b"{}"));
    }
    let ended = |told: &[u8]| {
        let ends = |kind: u8, flags: u8| kind <= HEADERS && flags & END_STREAM != 0;
        let mut ended: Vec<u32> = frames(told)
            .into_iter()
            .filter(|(kind, flags, ..)| ends(*kind, *flags))
            .map(|(_, _, stream, _)| stream)
            .collect();
        ended.sort_unstable();
        ended
    };
    while ended(&told).len() < 2 {
        assert!(client.read_some(&mut told), "both are answered");
    }
    assert_eq!(ended(&told), [1, 3]);
    assert_eq!(recorder.requests().len(), 2);
}

/// CVE-2019-9512 and CVE-2019-9515: what has to be answered, from a client that reads no answer. The
/// gate holds one answer back and reads no further, so that the client comes to a stand; then
/// it ends the connection.
#[test]
fn pings_and_settings_of_a_client_that_does_not_read_are_ended() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("body-timeout = \"3s\"")
        .start();
    for one in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[])] {
        let mut client = begin(&authority, &gate);
        client.set_write_timeout(Duration::from_secs(1));
        let flood = one.repeat(4096);
        // Far more than both sides' sockets and the gate's buffers hold.
        let stood = (0..2048).any(|_| client.try_write(&flood).is_err());
        assert!(stood, "everything was read");
        let answer = Request::new("ListStreams", "{}").send(&authority, gate.address());
        assert_eq!(answer.status, 200, "others are served");
        let deadline = Instant::now() + Duration::from_secs(15);
        while !counts(&gate, "kinesis_gate_connections_open 0") {
            assert!(Instant::now() < deadline, "it is never ended");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
