//! A drain over HTTP/2, frame by frame: clients get GOAWAY, and their streams in flight are finished.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use kinesis_gate::sandbox::Authority;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use tokio::time::timeout;

use crate::health_and_drain::get;
use crate::support::raw::client_config;
use crate::support::{Behaviour, GateBuilder, HOST, Recorder, http2};
use crate::upstream_failures::relay;

const TIMEOUT: Duration = Duration::from_secs(10);
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// The next frame: its type and payload; `None` at the end.
fn frame(stream: &mut impl Read) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).ok()?;
    let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(len).unwrap()];
    stream.read_exact(&mut payload).ok()?;
    Some((head[3], payload))
}

#[test]
fn an_idle_connection_gets_goaway_and_is_closed() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let mut gate = GateBuilder::new(&authority, recorder.address()).start();
    let mut config = client_config(&authority);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tls = ClientConnection::new(Arc::new(config), ServerName::try_from(HOST).unwrap()).unwrap();
    let tcp = TcpStream::connect(gate.address()).unwrap();
    tcp.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut stream = StreamOwned::new(tls, tcp);
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .unwrap();
    assert_eq!(frame(&mut stream).unwrap().0, SETTINGS);
    let drain = gate.drain();
    let mut frames = Vec::new();
    while let Some((kind, payload)) = frame(&mut stream) {
        frames.push((kind, payload.get(4..8).map(<[u8]>::to_vec)));
        // The gate sends PING to learn whether more streams are in flight.
        if kind == 6 {
            let mut pong = b"\0\0\x08\x06\x01\0\0\0\0".to_vec();
            pong.extend(&payload);
            stream.write_all(&pong).unwrap();
        }
    }
    let no_error = (GOAWAY, Some(vec![0; 4]));
    assert!(frames.contains(&no_error), "{frames:?}");
    drain.join().unwrap();
}

#[test]
fn a_stream_in_flight_is_finished() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start_http2(&authority);
    // The relay to the upstream opens on `open`: until then the request is in flight.
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (arrive, arrived) = channel();
    let (open, opened) = channel();
    relay(socket, recorder.address(), move || {
        arrive.send(()).unwrap();
        opened.recv().unwrap();
    });
    let mut gate = GateBuilder::new(&authority, address)
        .limits("connect-timeout = \"20s\"")
        .start();
    let headers = http2::signed_headers("ListStreams", "{}", "host");
    http2::block_on(async {
        let (mut sender, connection) =
            http2::connect(&authority, gate.address(), http2::H2, None).await;
        let ended = tokio::spawn(connection);
        let response = tokio::spawn(sender.send_request(http2::request(&headers, "{}")));
        let arrived = tokio::task::spawn_blocking(move || arrived.recv_timeout(TIMEOUT));
        arrived.await.unwrap().unwrap();
        let admin = gate.admin();
        let drain = gate.drain();
        let deadline = Instant::now() + TIMEOUT;
        while get(admin, "/readyz").0 != 503 {
            assert!(Instant::now() < deadline, "never stopped being ready");
        }
        assert!(!response.is_finished());
        open.send(()).unwrap();
        let response = timeout(TIMEOUT, response).await.unwrap().unwrap().unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
        // The client could send more: without a GOAWAY its connection would not end.
        timeout(TIMEOUT, ended).await.unwrap().unwrap().unwrap();
        drop(sender);
        drain.join().unwrap();
    });
    assert_eq!(recorder.requests().len(), 1);
}
