//! Every way in which an upstream can fail an allowed request, over both HTTP versions: an answer
//! that SDKs retry, and a line of the log that says which it was.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use kinesis_gate::sandbox::Authority;
use kinesis_gate::upstream::UpstreamError;
use rustls::{ServerConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, Gate, GateBuilder, HOST, Recorder, http2};

/// The HTTP version that the client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Http1,
    Http2,
}

const BODY: &str = r#"{"StreamName":"orders","Data":"aA==","PartitionKey":"1"}"#;

/// Sends an allowed request and returns the word that the log has for the failure.
fn failure(gate: &Gate, speaks: Speaks) -> String {
    match speaks {
        Speaks::Http1 => {
            let answer = Request::new("PutRecord", BODY).send(&gate.authority, gate.address());
            assert_eq!(answer.status, 503, "{answer:?}");
            assert_eq!(answer.error_type(), "ServiceUnavailable");
        }
        Speaks::Http2 => {
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

/// Passes connections on to `target`, each when `before` has returned.
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

/// An upstream that treats every connection in its own way.
fn upstream(treat: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        for tcp in socket.incoming().map_while(Result::ok) {
            treat(tcp);
        }
    });
    address
}

/// One whose certificate is good and that agrees on `alpn`; `treat` gets the connection.
fn tls(
    authority: &Authority,
    alpn: &[u8],
    treat: impl Fn(StreamOwned<ServerConnection, TcpStream>) + Send + Sync + 'static,
) -> SocketAddr {
    let mut config = authority.server("localhost").unwrap();
    config.alpn_protocols = vec![alpn.to_vec()];
    let config = Arc::new(config);
    upstream(move |tcp| {
        let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut tcp = tcp;
        // Refusing what is offered fails the handshake, as it should.
        while tls.is_handshaking() {
            if tls.complete_io(&mut tcp).is_err() {
                return;
            }
        }
        treat(StreamOwned::new(tls, tcp));
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
fn each_has_its_word() {
    let authority = Arc::new(Authority::create().unwrap());
    let other = Authority::create().unwrap();
    let (_down, down) = refusing();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut seen = vec!["loop".to_owned()]; // tests/gate/upstream.rs
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let alpn: &[u8] = match speaks {
            Speaks::Http1 => b"http/1.1",
            Speaks::Http2 => b"h2",
        };
        let cases: Vec<(&[&str], String)> = vec![
            (&["resolve"], "name.invalid:443".to_owned()),
            (&["connect"], down.to_string()),
            (
                &["connect-timeout"],
                silent.local_addr().unwrap().to_string(),
            ),
            (&["certificate"], tls(&other, alpn, drop).to_string()),
            // Neither speaks TLS: one says so, the other resets.
            (
                &["tls"],
                upstream(|mut tcp| drop(tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")))
                    .to_string(),
            ),
            (&["tls"], upstream(drop).to_string()),
            // It closes before it can have read the request; whether bytes have left by then is
            // for the kernel to say.
            (
                &["unsent", "broken"],
                tls(&authority, alpn, drop).to_string(),
            ),
            (
                &["broken"],
                tls(&authority, alpn, |mut stream| {
                    drop(stream.read(&mut [0; 1 << 16]))
                })
                .to_string(),
            ),
            (
                &["response-timeout"],
                tls(&authority, alpn, |mut stream| {
                    // Kept open for as long as the gate keeps it.
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
        for (words, address) in cases {
            let word = failure(&gate(&authority, &address), speaks);
            assert!(
                words.contains(&&*word),
                "{speaks:?}: {word} is not {words:?}"
            );
            seen.push(word);
        }
    }
    let http1 = tls(&authority, b"http/1.1", drop);
    let word = failure(&gate(&authority, &http1.to_string()), Speaks::Http2);
    assert_eq!(word, "no-http2");
    seen.push(word);
    for kind in UpstreamError::KINDS {
        assert!(
            matches!(kind, "unsent" | "sign") || seen.iter().any(|word| word == kind),
            "no case for `{kind}`"
        );
    }
}

/// What began well and breaks off: the client sees that it is not whole, the log says so.
#[test]
fn an_answer_that_breaks_off() {
    let authority = Arc::new(Authority::create().unwrap());
    let upstream = tls(&authority, b"http/1.1", |mut stream| {
        let _ = stream.read(&mut [0; 1 << 16]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Records\":[");
    });
    let gate = gate(&authority, &upstream.to_string());
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    connection.write(&Request::new("GetRecords", r#"{"ShardIterator":"x"}"#).bytes());
    let answer = connection.response();
    assert_eq!((answer.status, answer.body.len()), (200, 12), "{answer:?}");
    let line = &gate.log(1)[0];
    let reason = line["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("broke off"), "{line}");
    assert_eq!(line["response_bytes"], 12);
}

/// An upstream that stops answering costs the requests that wait for it, and no others.
#[test]
fn a_failure_is_over_when_the_upstream_is_back() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let (socket, address) = refusing();
    let gate = gate(&authority, &address.to_string());
    assert_eq!(failure(&gate, Speaks::Http1), "connect");
    // The same port, leading to an upstream that answers.
    socket.listen(16).unwrap();
    let back = TcpListener::from(socket);
    relay(back, recorder.address(), || {});
    let answer = Request::new("PutRecord", BODY).send(&authority, gate.address());
    assert_eq!(answer.status, 200);
}
