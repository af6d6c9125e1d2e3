//! TLS that passes through undecrypted: to hosts that are listed, and to no other.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kinesis_gate::sandbox::Authority;
use rustls::{ServerConnection, StreamOwned};

use crate::support::raw::Connection;
use crate::support::{Behaviour, GateBuilder, Recorder};

const STS: &str = "sts.us-east-1.amazonaws.com";

/// A host whose certificate is none of the gate's: it answers one line, over TLS of its own.
fn host(authority: &Authority) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let config = Arc::new(authority.server(STS).unwrap());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (tcp, _) = socket.accept().unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), tcp);
        let mut asked = vec![0; 5];
        stream.read_exact(&mut asked).unwrap();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        asked
    });
    (address, thread)
}

fn text(listener: &str) -> String {
    format!(
        "workers = 1\n[upstream]\nconnect = \"127.0.0.1:9\"\nca-file = \"ca.pem\"\n\
         [admin]\naddress = \"127.0.0.1:0\"\n\
         [[endpoint]]\nid = \"vpce-0000aaaa\"\nregion = \"us-east-1\"\ndefault-full-access = true\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\nendpoint = \"vpce-0000aaaa\"\n{listener}\n\
         tls = {{ ca-certificate = \"ca.pem\", ca-key = \"ca-key.pem\" }}\n"
    )
}

#[test]
fn a_listed_host_is_reached_undecrypted_and_no_other() {
    let authority = Arc::new(Authority::create().unwrap());
    let other = Authority::create().unwrap();
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let (address, host) = host(&other);
    let tunnels = format!("tunnels = [{{ name = \"{STS}\", connect = \"{address}\" }}]");
    let gate = GateBuilder::new(&authority, recorder.address())
        .config(&text(&tunnels))
        .start();
    // The client trusts the host's authority alone: nobody is in between.
    let mut connection = Connection::open_with_ca(&other.pem(), gate.address(), STS);
    connection.write(b"hello");
    assert_eq!(connection.response().status, 200);
    drop(connection);
    assert_eq!(host.join().unwrap(), b"hello");
    let told = &gate.log(1)[0];
    assert_eq!(told["connection"], "tunnel", "{told}");
    assert_eq!(told["name"], STS);
    assert!(told["sent_bytes"].as_u64().unwrap() > 5, "{told}");
    // Another name is neither a tunnel nor Kinesis: no certificate, no connection.
    for name in [
        "monitoring.us-east-1.amazonaws.com",
        "sts.eu-west-1.amazonaws.com",
    ] {
        for pem in [authority.pem(), other.pem()] {
            let offered = Connection::open_with_alpn(&pem, gate.address(), name, b"http/1.1");
            assert!(offered.is_err(), "{name}");
        }
    }
    assert!(recorder.requests().is_empty());
}

/// A host that answers one byte with another, for as long as it is asked, over TLS of its own.
fn echo(authority: &Authority) -> SocketAddr {
    let config = Arc::new(authority.server(STS).unwrap());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let (tcp, _) = socket.accept().unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), tcp);
        let mut asked = [0];
        while let Ok(1) = stream.read(&mut asked) {
            stream.write_all(&asked).unwrap();
        }
    });
    address
}

/// How a client uses a tunnel, after the first byte.
#[derive(Clone, Copy, PartialEq)]
enum Use {
    Listen,
    Talk,
}

/// Uses a tunnel under those limits until it ends; how long it lasted, and what the gate logs of it.
fn ended(limits: &str, with: Use) -> (Duration, serde_json::Value) {
    let authority = Arc::new(Authority::create().unwrap());
    let other = Authority::create().unwrap();
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let address = echo(&other);
    let tunnels = format!("tunnels = [{{ name = \"{STS}\", connect = \"{address}\" }}]");
    let gate = GateBuilder::new(&authority, recorder.address())
        .config(&format!("{}[limits]\n{limits}\n", text(&tunnels)))
        .start();
    let began = Instant::now();
    let mut connection = Connection::open_with_ca(&other.pem(), gate.address(), STS);
    let mut heard = Vec::new();
    connection.write(b"x");
    assert!(connection.read_some(&mut heard));
    while (with == Use::Listen || connection.try_write(b"x").is_ok())
        && connection.read_some(&mut heard)
    {
        assert!(began.elapsed() < Duration::from_secs(15), "it never ends");
    }
    (began.elapsed(), gate.log(1).remove(0))
}

#[test]
fn a_tunnel_that_carries_nothing_ends() {
    let (lasted, told) = ended("tunnel-idle = \"300ms\"", Use::Listen);
    assert_eq!(told["reason"], "carried nothing for too long", "{told}");
    assert!(lasted >= Duration::from_millis(300), "{lasted:?}");
}

#[test]
fn a_tunnel_ends_however_busy_it_is() {
    let limits = "tunnel-idle = \"300ms\"\ntunnel-total = \"1s\"";
    let (lasted, told) = ended(limits, Use::Talk);
    assert_eq!(told["reason"], "lasted as long as `tunnel-total`", "{told}");
    // It was never idle for long before that.
    assert!(lasted >= Duration::from_secs(1), "{lasted:?}");
    assert!(told["received_bytes"].as_u64().unwrap() > 1000, "{told}");
}

#[test]
fn kinesis_itself_is_no_tunnel() {
    let authority = Arc::new(Authority::create().unwrap());
    for name in [
        "kinesis.us-east-1.amazonaws.com",
        "123456789012.data-kinesis.eu-west-1.amazonaws.com",
        "kinesis-fips.us-gov-west-1.amazonaws.com",
        "vpce-0a1b2c3d-abcdefgh.kinesis.us-east-1.vpce.amazonaws.com",
        "localhost",
    ] {
        let problems = GateBuilder::new(&authority, ([127, 0, 0, 1], 9).into())
            .config(&text(&format!("tunnels = [\"{name}\"]")))
            .try_start()
            .err()
            .unwrap_or_else(|| panic!("{name} was taken for a tunnel"));
        let said = problems.to_string();
        assert!(said.contains("listener[0].tunnels[0]"), "{said}");
        assert!(said.contains("past every policy"), "{said}");
    }
}
