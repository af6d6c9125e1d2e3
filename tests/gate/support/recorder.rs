//! An upstream that keeps every byte that arrives.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kinesis_gate::sandbox::Authority;
use rustls::{ServerConnection, StreamOwned};
use tokio_rustls::TlsAcceptor;

use super::raw::{find, header};

/// Records requests and answers them.
pub struct Recorder {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Recorded>>>,
    connections: Arc<Mutex<usize>>,
    broken: Arc<Mutex<Vec<usize>>>,
}

/// What arrived. `head` holds the very bytes of an HTTP/1.1 head.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    pub head: Vec<u8>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// How the upstream treats a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers `{}`.
    Answer,
    /// Reads the request and closes the connection.
    Close,
    /// Reads the request and says nothing.
    Hang,
    /// Closes the connection after each answer, without saying so first.
    CloseAfterAnswer,
    /// Answers with these bytes.
    Say(&'static str),
    /// Answers with these bytes and ends the connection in due form.
    SayAndEnd(&'static str),
}

pub const ANSWER: &str = "HTTP/1.1 200 OK\r\nx-amzn-RequestId: upstream-id\r\n\
    Content-Type: application/x-amz-json-1.1\r\nContent-Length: 2\r\n\r\n{}";

impl Recorder {
    /// Speaks HTTP/1.1, byte by byte.
    pub fn start(authority: &Authority, behaviour: Behaviour) -> Recorder {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut tls = authority.server("localhost").unwrap();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tls = Arc::new(tls);
        let recorder = Recorder::new(socket.local_addr().unwrap());
        let (requests, connections) = (recorder.requests.clone(), recorder.connections.clone());
        let broken = recorder.broken.clone();
        std::thread::spawn(move || {
            for tcp in socket.incoming().map_while(Result::ok) {
                *connections.lock().unwrap() += 1;
                let (tls, requests, broken) = (tls.clone(), requests.clone(), broken.clone());
                std::thread::spawn(move || {
                    let tls = ServerConnection::new(tls).unwrap();
                    serve(StreamOwned::new(tls, tcp), &requests, &broken, behaviour);
                });
            }
        });
        recorder
    }

    /// Speaks HTTP/2.
    pub fn start_http2(authority: &Authority) -> Recorder {
        Recorder::start_http2_with(authority, Bytes::from_static(b"{}"))
    }

    /// Speaks HTTP/2 and answers every request with these bytes.
    pub fn start_http2_with(authority: &Authority, answer: Bytes) -> Recorder {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let tls = TlsAcceptor::from(Arc::new(authority.server("localhost").unwrap()));
        let recorder = Recorder::new(socket.local_addr().unwrap());
        let (requests, connections) = (recorder.requests.clone(), recorder.connections.clone());
        let broken = recorder.broken.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let socket = tokio::net::TcpListener::from_std(socket).unwrap();
                while let Ok((tcp, _)) = socket.accept().await {
                    *connections.lock().unwrap() += 1;
                    let Ok(stream) = tls.accept(tcp).await else {
                        continue;
                    };
                    let (requests, broken) = (requests.clone(), broken.clone());
                    let answer = answer.clone();
                    let service = service_fn(move |request| {
                        record_http2(request, requests.clone(), broken.clone(), answer.clone())
                    });
                    tokio::spawn(async move {
                        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                            .serve_connection(TokioIo::new(stream), service)
                            .await;
                    });
                }
            });
        });
        recorder
    }

    fn new(address: SocketAddr) -> Recorder {
        Recorder {
            address,
            requests: Arc::default(),
            connections: Arc::default(),
            broken: Arc::default(),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has arrived so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.requests.lock().unwrap().clone()
    }

    /// Requests that broke off before their end, once there is one: how many bytes came.
    pub fn broken(&self) -> Vec<usize> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.broken.lock().unwrap().is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.broken.lock().unwrap().clone()
    }

    /// How many connections were opened so far.
    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

fn serve(
    mut stream: StreamOwned<ServerConnection, TcpStream>,
    requests: &Mutex<Vec<Recorded>>,
    broken: &Mutex<Vec<usize>>,
    behaviour: Behaviour,
) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 65536];
    loop {
        if let Some((recorded, len)) = parse(&bytes) {
            bytes.drain(..len);
            requests.lock().unwrap().push(recorded);
            match behaviour {
                Behaviour::Answer | Behaviour::CloseAfterAnswer => {
                    stream.write_all(ANSWER.as_bytes()).unwrap();
                    stream.flush().unwrap();
                }
                Behaviour::Say(answer) | Behaviour::SayAndEnd(answer) => {
                    stream.write_all(answer.as_bytes()).unwrap();
                    if let Behaviour::SayAndEnd(_) = behaviour {
                        stream.conn.send_close_notify();
                    }
                    stream.flush().unwrap();
                }
                Behaviour::Close => return,
                Behaviour::Hang => std::thread::sleep(Duration::from_secs(30)),
            }
            if matches!(
                behaviour,
                Behaviour::CloseAfterAnswer | Behaviour::SayAndEnd(_)
            ) {
                return;
            }
            continue;
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => {
                if !bytes.is_empty() {
                    broken.lock().unwrap().push(bytes.len());
                }
                return;
            }
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
        }
    }
}

/// The first whole request in `bytes`, and its length.
fn parse(bytes: &[u8]) -> Option<(Recorded, usize)> {
    let end = find(bytes, b"\r\n\r\n")? + 4;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let (body, len) = match header(&head, "transfer-encoding") {
        Some(_) => dechunk(bytes.get(end..)?)?,
        None => {
            let len: usize = header(&head, "content-length").map_or(0, |len| len.parse().unwrap());
            (bytes.get(end..end + len)?.to_vec(), len)
        }
    };
    let headers = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    Some((
        Recorded {
            head: bytes[..end].to_vec(),
            headers,
            body,
        },
        end + len,
    ))
}

/// A whole chunked body, and the bytes it took.
pub(super) fn dechunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = at + find(&bytes[at..], b"\r\n")?;
        let len =
            usize::from_str_radix(std::str::from_utf8(&bytes[at..line]).unwrap(), 16).unwrap();
        body.extend(bytes.get(line + 2..line + 2 + len)?);
        at = line + 2 + len + 2;
        bytes.get(..at)?;
        if len == 0 {
            return Some((body, at));
        }
    }
}

async fn record_http2(
    request: Request<Incoming>,
    requests: Arc<Mutex<Vec<Recorded>>>,
    broken: Arc<Mutex<Vec<usize>>>,
    answer: Bytes,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let mut headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    if let Some(authority) = parts.uri.authority() {
        headers.push((":authority".to_owned(), authority.to_string()));
    }
    if let Some(path) = parts.uri.path_and_query().filter(|path| *path != "/") {
        headers.push((":path".to_owned(), path.to_string()));
    }
    let mut body = body;
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend(frame.into_data().unwrap()),
            Err(error) => {
                broken.lock().unwrap().push(bytes.len());
                return Err(error);
            }
        }
    }
    let body = bytes;
    requests.lock().unwrap().push(Recorded {
        head: Vec::new(),
        headers,
        body,
    });
    let answer = Response::builder()
        .header("x-amzn-requestid", "upstream-id")
        .header("content-type", "application/x-amz-json-1.1")
        .body(Full::new(answer));
    Ok(answer.unwrap())
}
