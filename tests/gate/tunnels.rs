//! Tunnels: TLS that passes through undecrypted, to listed hosts and to no other.

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

/// A TLS server with a certificate that is not the gate's. It answers one request of five bytes.
fn tls_server(authority: &Authority) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let config = Arc::new(authority.server(STS).unwrap());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (tcp, _) = socket.accept().unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), tcp);
        let mut request = vec![0; 5];
        stream.read_exact(&mut request).unwrap();
        let response = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(response).unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        request
    });
    (address, thread)
}

fn configuration(listener: &str) -> String {
    format!(
        "workers = 1\n[upstream]\nconnect = \"127.0.0.1:9\"\nca-file = \"ca.pem\"\n\
         [admin]\naddress = \"127.0.0.1:0\"\n\
         [[endpoint]]\nid = \"vpce-0000aaaa\"\nregion = \"us-east-1\"\ndefault-full-access = true\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\nendpoint = \"vpce-0000aaaa\"\n{listener}\n\
         tls = {{ ca-certificate = \"ca.pem\", ca-key = \"ca-key.pem\" }}\n"
    )
}

#[test]
fn a_listed_host_is_tunnelled_undecrypted_and_no_other() {
    let authority = Arc::new(Authority::create().unwrap());
    let other = Authority::create().unwrap();
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let (address, server) = tls_server(&other);
    let tunnels = format!("tunnels = [{{ name = \"{STS}\", connect = \"{address}\" }}]");
    let gate = GateBuilder::new(&authority, recorder.address())
        .config(&configuration(&tunnels))
        .start();
    // The client trusts the server's CA alone: the gate decrypts nothing.
    let mut connection = Connection::open_with_ca(&other.pem(), gate.address(), STS);
    connection.write(b"hello");
    assert_eq!(connection.response().status, 200);
    drop(connection);
    assert_eq!(server.join().unwrap(), b"hello");
    let record = &gate.log(1)[0];
    assert_eq!(record["connection"], "tunnel", "{record}");
    assert_eq!(record["name"], STS);
    assert!(record["sent_bytes"].as_u64().unwrap() > 5, "{record}");
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

/// A TLS server that echoes each byte.
fn echo_server(authority: &Authority) -> SocketAddr {
    let config = Arc::new(authority.server(STS).unwrap());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let (tcp, _) = socket.accept().unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), tcp);
        let mut byte = [0];
        while let Ok(1) = stream.read(&mut byte) {
            stream.write_all(&byte).unwrap();
        }
    });
    address
}

/// The client's traffic through a tunnel after the first byte.
#[derive(Clone, Copy, PartialEq)]
enum Traffic {
    Idle,
    Busy,
}

/// Uses a tunnel under these limits until it ends. Returns its duration and its log record.
fn run_tunnel(limits: &str, traffic: Traffic) -> (Duration, serde_json::Value) {
    let authority = Arc::new(Authority::create().unwrap());
    let other = Authority::create().unwrap();
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let address = echo_server(&other);
    let tunnels = format!("tunnels = [{{ name = \"{STS}\", connect = \"{address}\" }}]");
    let gate = GateBuilder::new(&authority, recorder.address())
        .config(&format!("{}[limits]\n{limits}\n", configuration(&tunnels)))
        .start();
    let started = Instant::now();
    let mut connection = Connection::open_with_ca(&other.pem(), gate.address(), STS);
    let mut received = Vec::new();
    connection.write(b"x");
    assert!(connection.read_some(&mut received));
    while (traffic == Traffic::Idle || connection.try_write(b"x").is_ok())
        && connection.read_some(&mut received)
    {
        assert!(
            started.elapsed() < Duration::from_secs(15),
            "the tunnel never ends"
        );
    }
    (started.elapsed(), gate.log(1).remove(0))
}

#[test]
fn an_idle_tunnel_times_out() {
    let (duration, record) = run_tunnel("tunnel-idle = \"300ms\"", Traffic::Idle);
    assert_eq!(record["reason"], "carried nothing for too long", "{record}");
    assert!(duration >= Duration::from_millis(300), "{duration:?}");
}

#[test]
fn a_busy_tunnel_ends_at_its_total_timeout() {
    let limits = "tunnel-idle = \"300ms\"\ntunnel-total = \"1s\"";
    let (duration, record) = run_tunnel(limits, Traffic::Busy);
    assert_eq!(
        record["reason"], "lasted as long as `tunnel-total`",
        "{record}"
    );
    // The tunnel was never idle for long.
    assert!(duration >= Duration::from_secs(1), "{duration:?}");
    assert!(
        record["received_bytes"].as_u64().unwrap() > 1000,
        "{record}"
    );
}

#[test]
fn kinesis_itself_cannot_be_tunnelled() {
    let authority = Arc::new(Authority::create().unwrap());
    for name in [
        "kinesis.us-east-1.amazonaws.com",
        "123456789012.data-kinesis.eu-west-1.amazonaws.com",
        "kinesis-fips.us-gov-west-1.amazonaws.com",
        "vpce-0a1b2c3d-abcdefgh.kinesis.us-east-1.vpce.amazonaws.com",
        "localhost",
    ] {
        let problems = GateBuilder::new(&authority, ([127, 0, 0, 1], 9).into())
            .config(&configuration(&format!("tunnels = [\"{name}\"]")))
            .try_start()
            .err()
            .unwrap_or_else(|| panic!("{name} was accepted as a tunnel"));
        let message = problems.to_string();
        assert!(message.contains("listener[0].tunnels[0]"), "{message}");
        assert!(message.contains("past every policy"), "{message}");
    }
}
