//! A recording upstream: a server that keeps every request, byte for byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
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

use super::http2::block_on;
use super::raw::{find, header};

/// An upstream that records requests and responds to them.
pub struct Recorder {
    address: SocketAddr,
    record: Arc<Record>,
}

#[derive(Default)]
struct Record {
    requests: Mutex<Vec<RecordedRequest>>,
    connections: AtomicUsize,
    /// Bytes received of each request that was aborted.
    aborted: Mutex<Vec<usize>>,
}

/// A received request. `head` holds the exact bytes of an HTTP/1.1 head.
#[derive(Debug, Clone, Default)]
pub struct RecordedRequest {
    pub head: Vec<u8>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The upstream's handling of a request that it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Responds with `{}`.
    Respond,
    /// Closes the connection without a response.
    Close,
    /// Sends nothing.
    Hang,
    /// Closes the connection after each response, without `Connection: close`.
    RespondThenClose,
    /// Sends these bytes.
    RespondWith(&'static str),
    /// Sends these bytes, then close_notify, and closes the connection.
    RespondWithThenClose(&'static str),
}

const OK_RESPONSE: &str = "HTTP/1.1 200 OK\r\nx-amzn-RequestId: upstream-id\r\n\
    Content-Type: application/x-amz-json-1.1\r\nContent-Length: 2\r\n\r\n{}";

impl Recorder {
    /// An upstream that speaks HTTP/1.1.
    pub fn start(authority: &Authority, behaviour: Behaviour) -> Recorder {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut tls = authority.server("localhost").unwrap();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tls = Arc::new(tls);
        let recorder = Recorder::new(&socket);
        let record = Arc::clone(&recorder.record);
        std::thread::spawn(move || {
            for tcp in socket.incoming().map_while(Result::ok) {
                record.connections.fetch_add(1, Ordering::SeqCst);
                let (tls, record) = (tls.clone(), record.clone());
                std::thread::spawn(move || {
                    let tls = ServerConnection::new(tls).unwrap();
                    serve(StreamOwned::new(tls, tcp), &record, behaviour);
                });
            }
        });
        recorder
    }

    /// An upstream that speaks HTTP/2.
    pub fn start_http2(authority: &Authority) -> Recorder {
        Recorder::start_http2_with(authority, Bytes::from_static(b"{}"))
    }

    /// An upstream that speaks HTTP/2 and sends this body in every response.
    pub fn start_http2_with(authority: &Authority, body: Bytes) -> Recorder {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let tls = TlsAcceptor::from(Arc::new(authority.server("localhost").unwrap()));
        let recorder = Recorder::new(&socket);
        let record = Arc::clone(&recorder.record);
        let serve = async move {
            let socket = tokio::net::TcpListener::from_std(socket).unwrap();
            while let Ok((tcp, _)) = socket.accept().await {
                record.connections.fetch_add(1, Ordering::SeqCst);
                let Ok(stream) = tls.accept(tcp).await else {
                    continue;
                };
                let (record, body) = (record.clone(), body.clone());
                let service =
                    service_fn(move |request| record_http2(request, record.clone(), body.clone()));
                tokio::spawn(async move {
                    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        };
        std::thread::spawn(move || block_on(serve));
        recorder
    }

    fn new(socket: &TcpListener) -> Recorder {
        Recorder {
            address: socket.local_addr().unwrap(),
            record: Arc::default(),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The whole requests so far.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.record.requests.lock().unwrap().clone()
    }

    /// The number of bytes received of each request that was aborted, once there is one.
    pub fn aborted_requests(&self) -> Vec<usize> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let aborted = self.record.aborted.lock().unwrap().clone();
            if !aborted.is_empty() || Instant::now() >= deadline {
                return aborted;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The number of connections opened so far.
    pub fn connections(&self) -> usize {
        self.record.connections.load(Ordering::SeqCst)
    }
}

fn serve(
    mut stream: StreamOwned<ServerConnection, TcpStream>,
    record: &Record,
    behaviour: Behaviour,
) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 65536];
    loop {
        if let Some((request, len)) = parse(&bytes) {
            bytes.drain(..len);
            record.requests.lock().unwrap().push(request);
            let (response, is_last) = match behaviour {
                Behaviour::Respond => (OK_RESPONSE, false),
                Behaviour::RespondThenClose => (OK_RESPONSE, true),
                Behaviour::RespondWith(response) => (response, false),
                Behaviour::RespondWithThenClose(response) => (response, true),
                Behaviour::Close => return,
                Behaviour::Hang => {
                    std::thread::sleep(Duration::from_secs(30));
                    continue;
                }
            };
            stream.write_all(response.as_bytes()).unwrap();
            if let Behaviour::RespondWithThenClose(_) = behaviour {
                stream.conn.send_close_notify();
            }
            stream.flush().unwrap();
            if is_last {
                return;
            }
            continue;
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => {
                if !bytes.is_empty() {
                    record.aborted.lock().unwrap().push(bytes.len());
                }
                return;
            }
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
        }
    }
}

/// The first whole request in `bytes`, and its length.
fn parse(bytes: &[u8]) -> Option<(RecordedRequest, usize)> {
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
    let head = bytes[..end].to_vec();
    Some((
        RecordedRequest {
            head,
            headers,
            body,
        },
        end + len,
    ))
}

/// The body of a whole chunked message, and its length with the chunk heads.
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
    record: Arc<Record>,
    response_body: Bytes,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (parts, mut incoming) = request.into_parts();
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
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        match frame {
            Ok(frame) => body.extend(frame.into_data().unwrap()),
            Err(error) => {
                record.aborted.lock().unwrap().push(body.len());
                return Err(error);
            }
        }
    }
    let head = Vec::new();
    let request = RecordedRequest {
        head,
        headers,
        body,
    };
    record.requests.lock().unwrap().push(request);
    let response = Response::builder()
        .header("x-amzn-requestid", "upstream-id")
        .header("content-type", "application/x-amz-json-1.1")
        .body(Full::new(response_body));
    Ok(response.unwrap())
}
