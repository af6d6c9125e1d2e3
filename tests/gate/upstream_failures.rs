//! Upstream failures of an allowed request, over both HTTP versions: a response that SDKs retry, and a
//! log record that names the kind of failure.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use kinesis_gate::sandbox::Authority;
use kinesis_gate::upstream::UpstreamError;
use rustls::{ServerConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

use crate::http1_conformance::BODY;
use crate::support::raw::{Connection, Request};
use crate::support::scripted::{HTTP_VERSIONS, HttpVersion};
use crate::support::{Behaviour, Gate, GateBuilder, HOST, Recorder, http2};

/// Sends an allowed request and returns the logged kind of the failure.
fn failure_kind(gate: &Gate, http: HttpVersion) -> String {
    match http {
        HttpVersion::Http1 => {
            let response = Request::new("PutRecord", BODY).send(&gate.authority, gate.address());
            assert_eq!(response.status, 503, "{response:?}");
            assert_eq!(response.error_type(), "ServiceUnavailable");
        }
        HttpVersion::Http2 => {
            let headers = http2::signed_headers("PutRecord", BODY, "host");
            let request = http2::request(&headers, BODY);
            let status =
                http2::send_for_status(&gate.authority, gate.address(), http2::H2, request);
            assert_eq!(status, 503);
        }
    }
    let line = &gate.log(1)[0];
    assert_eq!(line["decision"], "allow", "{line}");
    assert!(!line["reason"].as_str().unwrap().is_empty(), "{line}");
    line["upstream_failure"].as_str().unwrap().to_owned()
}

/// An address that refuses connections for as long as the socket lives: bound, and not listening.
pub fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// Relays each connection to `target` once `before` has returned.
pub fn relay(socket: TcpListener, target: SocketAddr, before: impl Fn() + Send + 'static) {
    std::thread::spawn(move || {
        for client in socket.incoming().map_while(Result::ok) {
            before();
            let server = TcpStream::connect(target).unwrap();
            let pairs = [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server, client),
            ];
            for (mut from, mut to) in pairs {
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
        }
    });
}

/// An upstream that handles every connection with `handle`.
fn upstream(handle: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        for tcp in socket.incoming().map_while(Result::ok) {
            handle(tcp);
        }
    });
    address
}

/// An upstream with a valid certificate that negotiates `alpn`; `handle` gets each connection.
fn tls(
    authority: &Authority,
    alpn: &[u8],
    handle: impl Fn(StreamOwned<ServerConnection, TcpStream>) + Send + Sync + 'static,
) -> SocketAddr {
    let mut config = authority.server("localhost").unwrap();
    config.alpn_protocols = vec![alpn.to_vec()];
    let config = Arc::new(config);
    upstream(move |tcp| {
        let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut tcp = tcp;
        // A gate that refuses the certificate fails the handshake.
        while tls.is_handshaking() {
            if tls.complete_io(&mut tcp).is_err() {
                return;
            }
        }
        handle(StreamOwned::new(tls, tcp));
    })
}

fn gate(authority: &Arc<Authority>, upstream: &str) -> Gate {
    GateBuilder::new(authority, ([127, 0, 0, 1], 1).into())
        .upstream(&format!(
            "connect = \"{upstream}\"\nserver-name = \"localhost\"\nca-file = \"ca.pem\"\n"
        ))
        .limits("connect-timeout = \"500ms\"\nresponse-timeout = \"500ms\"")
        .start()
}

#[test]
fn each_failure_has_its_kind() {
    let authority = Arc::new(Authority::create().unwrap());
    let other = Authority::create().unwrap();
    let (_down, down) = refusing();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut seen = vec!["loop".to_owned()]; // upstream_connections.rs
    for http in HTTP_VERSIONS {
        let alpn: &[u8] = match http {
            HttpVersion::Http1 => b"http/1.1",
            HttpVersion::Http2 => b"h2",
        };
        #[rustfmt::skip]
        let cases: Vec<(&[&str], String)> = vec![
            (&["resolve"], "name.invalid:443".to_owned()),
            (&["connect"], down.to_string()),
            (&["connect-timeout"], silent.local_addr().unwrap().to_string()),
            (&["certificate"], tls(&other, alpn, drop).to_string()),
            // Neither speaks TLS: one responds in clear text, the other resets.
            (&["tls"], upstream(|mut tcp| drop(tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"))).to_string()),
            (&["tls"], upstream(drop).to_string()),
            // It closes before it reads the request; whether bytes were sent by then depends on the
            // kernel.
            (&["unsent", "broken"], tls(&authority, alpn, drop).to_string()),
            (&["broken"], tls(&authority, alpn, |mut stream| { drop(stream.read(&mut [0; 1 << 16])) }).to_string()),
            (
                &["response-timeout"],
                tls(&authority, alpn, |mut stream| {
                    // Stays open for as long as the gate keeps it.
                    std::thread::spawn(move || {
                        while stream.read(&mut [0; 1 << 16]).is_ok_and(|n| n > 0) {}
                    });
                })
                .to_string(),
            ),
            (
                &["broken"],
                tls(&authority, alpn, |mut stream| {
                    let _ = stream.read(&mut [0; 1 << 16]);
                    let _ = stream.write_all(b"\0\0\0\0\0\0\0\0\0 no HTTP of any version\r\n\r\n");
                })
                .to_string(),
            ),
        ];
        for (kinds, address) in cases {
            let logged_kind = failure_kind(&gate(&authority, &address), http);
            assert!(
                kinds.contains(&&*logged_kind),
                "{http:?}: `{logged_kind}` is none of {kinds:?}"
            );
            seen.push(logged_kind);
        }
    }
    let http1 = tls(&authority, b"http/1.1", drop);
    let logged_kind = failure_kind(&gate(&authority, &http1.to_string()), HttpVersion::Http2);
    assert_eq!(logged_kind, "no-http2");
    seen.push(logged_kind);
    for kind in UpstreamError::KINDS {
        assert!(
            matches!(kind, "unsent" | "sign") || seen.iter().any(|known| known == kind),
            "no case for `{kind}`"
        );
    }
}

/// The client sees that the response is not whole, and the log says so.
#[test]
fn a_response_that_is_cut_off_is_logged() {
    let authority = Arc::new(Authority::create().unwrap());
    let upstream = tls(&authority, b"http/1.1", |mut stream| {
        let _ = stream.read(&mut [0; 1 << 16]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Records\":[");
    });
    let gate = gate(&authority, &upstream.to_string());
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    connection.write(&Request::new("GetRecords", r#"{"ShardIterator":"x"}"#).bytes());
    let response = connection.response();
    assert_eq!(
        (response.status, response.body.len()),
        (200, 12),
        "{response:?}"
    );
    let line = &gate.log(1)[0];
    let reason = line["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("broke off"), "{line}");
    assert_eq!(line["response_bytes"], 12);
}

/// A failed upstream costs the requests that wait for it, and no others.
#[test]
fn requests_pass_again_when_the_upstream_is_back() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let (socket, address) = refusing();
    let gate = gate(&authority, &address.to_string());
    assert_eq!(failure_kind(&gate, HttpVersion::Http1), "connect");
    // The same port, leading to an upstream that answers.
    socket.listen(16).unwrap();
    let back = TcpListener::from(socket);
    relay(back, recorder.address(), || {});
    let response = Request::new("PutRecord", BODY).send(&authority, gate.address());
    assert_eq!(response.status, 200);
}
