//! An upstream whose responses a test computes from the requests, over HTTP/1.1 and HTTP/2.

use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use kinesis_gate::sandbox::Authority;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::http2::block_on;

/// An upstream that records requests and responds to them.
pub struct Responder {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<ReceivedRequest>>>,
}

/// The parts of a request that responses depend on.
#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    pub operation: String,
    pub cbor: bool,
}

/// A response whose body is streamed, and then ends or is aborted.
pub struct StreamedResponse {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub chunks: Chunks,
}

pub type Chunks = mpsc::UnboundedReceiver<Result<Bytes, BodyAborted>>;

/// The response body ends here and is not whole.
#[derive(Debug)]
pub struct BodyAborted;

impl Responder {
    /// Starts an upstream that responds with what `respond` returns.
    pub fn start(
        authority: &Authority,
        respond: impl Fn(&ReceivedRequest) -> StreamedResponse + Send + Sync + 'static,
    ) -> Responder {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let tls = TlsAcceptor::from(Arc::new(authority.server("localhost").unwrap()));
        let responder = Responder {
            address: socket.local_addr().unwrap(),
            requests: Arc::default(),
        };
        let (requests, respond) = (Arc::clone(&responder.requests), Arc::new(respond));
        std::thread::spawn(move || {
            block_on(async move {
                let socket = tokio::net::TcpListener::from_std(socket).unwrap();
                while let Ok((tcp, _)) = socket.accept().await {
                    let (tls, requests, respond) = (tls.clone(), requests.clone(), respond.clone());
                    tokio::spawn(async move {
                        let Ok(stream) = tls.accept(tcp).await else {
                            return;
                        };
                        let service = service_fn(move |request| {
                            let (requests, respond) = (requests.clone(), respond.clone());
                            async move { serve(request, &requests, &*respond).await }
                        });
                        let _ = auto::Builder::new(TokioExecutor::new())
                            .serve_connection(TokioIo::new(stream), service)
                            .await;
                    });
                }
            });
        });
        responder
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.requests.lock().unwrap().clone()
    }

    /// The number of requests for an operation so far.
    pub fn count(&self, operation: &str) -> usize {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|r| r.operation == operation).count()
    }
}

impl ReceivedRequest {
    /// A response in the encoding of the request.
    pub fn respond(&self, value: &Value) -> StreamedResponse {
        self.respond_in_chunks([encode(self.cbor, value)])
    }

    /// A response whose body comes in these chunks.
    pub fn respond_in_chunks(&self, chunks: impl IntoIterator<Item = Bytes>) -> StreamedResponse {
        let (sender, receiver) = mpsc::unbounded_channel();
        for chunk in chunks {
            sender.send(Ok(chunk)).unwrap();
        }
        self.respond_from(receiver)
    }

    /// A response whose body a test sends through a channel.
    pub fn respond_from(&self, chunks: Chunks) -> StreamedResponse {
        StreamedResponse {
            status: 200,
            headers: vec![
                ("content-type", content_type(self.cbor).to_owned()),
                ("x-amzn-requestid", "upstream-id".to_owned()),
            ],
            chunks,
        }
    }
}

impl StreamedResponse {
    /// With another status.
    pub fn status(mut self, status: u16) -> StreamedResponse {
        self.status = status;
        self
    }

    /// With this value of a header instead of any other.
    pub fn header(mut self, name: &'static str, value: &str) -> StreamedResponse {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// A value in JSON or CBOR.
pub fn encode(cbor: bool, value: &Value) -> Bytes {
    if cbor {
        let mut bytes = Vec::new();
        ciborium::into_writer(value, &mut bytes).unwrap();
        bytes.into()
    } else {
        value.to_string().into()
    }
}

/// The value of a body in JSON or CBOR.
pub fn decode(cbor: bool, bytes: &[u8]) -> Value {
    if cbor {
        ciborium::from_reader(bytes).unwrap()
    } else {
        serde_json::from_slice(bytes).unwrap()
    }
}

pub fn content_type(cbor: bool) -> &'static str {
    if cbor {
        "application/x-amz-cbor-1.1"
    } else {
        "application/x-amz-json-1.1"
    }
}

async fn serve(
    request: Request<Incoming>,
    requests: &Mutex<Vec<ReceivedRequest>>,
    respond: &(dyn Fn(&ReceivedRequest) -> StreamedResponse + Send + Sync),
) -> Result<Response<ChannelBody>, hyper::Error> {
    let header = |name| {
        let value = request.headers().get(name).unwrap();
        value.to_str().unwrap().to_owned()
    };
    let cbor = header("content-type") == content_type(true);
    let target = header("x-amz-target");
    request.into_body().collect().await?;
    let received = ReceivedRequest {
        operation: target.split('.').next_back().unwrap().to_owned(),
        cbor,
    };
    requests.lock().unwrap().push(received.clone());
    let streamed = respond(&received);
    let mut response = Response::builder().status(streamed.status);
    for (name, value) in streamed.headers {
        response = response.header(name, value);
    }
    Ok(response.body(ChannelBody(streamed.chunks)).unwrap())
}

/// A body that a channel fills.
struct ChannelBody(Chunks);

impl Body for ChannelBody {
    type Data = Bytes;
    type Error = BodyAborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyAborted>>> {
        let chunk = std::task::ready!(self.0.poll_recv(cx));
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
    }
}

impl std::fmt::Display for BodyAborted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the body is aborted")
    }
}

impl std::error::Error for BodyAborted {}
