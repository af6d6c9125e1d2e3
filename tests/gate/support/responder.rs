//! An upstream that answers each request as a test says, over HTTP/1.1 and HTTP/2.

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

/// Records requests and answers them.
pub struct Responder {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// What arrived.
#[derive(Debug, Clone)]
pub struct Asked {
    pub operation: String,
    pub cbor: bool,
}

/// What is answered: a body that comes piece by piece, and then ends or breaks off.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub pieces: mpsc::UnboundedReceiver<Result<Bytes, Broken>>,
}

/// The answer ends here, and is not whole.
#[derive(Debug)]
pub struct Broken;

impl Responder {
    /// Answers by `answer`.
    pub fn start(
        authority: &Authority,
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Responder {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let tls = TlsAcceptor::from(Arc::new(authority.server("localhost").unwrap()));
        let responder = Responder {
            address: socket.local_addr().unwrap(),
            asked: Arc::default(),
        };
        let (asked, answer) = (Arc::clone(&responder.asked), Arc::new(answer));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let socket = tokio::net::TcpListener::from_std(socket).unwrap();
                while let Ok((tcp, _)) = socket.accept().await {
                    let (tls, asked, answer) = (tls.clone(), asked.clone(), answer.clone());
                    tokio::spawn(async move {
                        let Ok(stream) = tls.accept(tcp).await else {
                            return;
                        };
                        let service = service_fn(move |request| {
                            let (asked, answer) = (asked.clone(), answer.clone());
                            async move { reply(request, &asked, &*answer).await }
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

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has arrived so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How many requests for an operation have arrived so far.
    pub fn count(&self, operation: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|a| a.operation == operation).count()
    }
}

impl Asked {
    /// An answer in the encoding of the request.
    pub fn reply(&self, value: &Value) -> Reply {
        self.reply_in([encode(self.cbor, value)])
    }

    /// The same, piece by piece.
    pub fn reply_in(&self, pieces: impl IntoIterator<Item = Bytes>) -> Reply {
        let (sender, pieces_of) = mpsc::unbounded_channel();
        for piece in pieces {
            sender.send(Ok(piece)).unwrap();
        }
        self.reply_from(pieces_of)
    }

    /// The same, as a test sends them.
    pub fn reply_from(&self, pieces: mpsc::UnboundedReceiver<Result<Bytes, Broken>>) -> Reply {
        Reply {
            status: 200,
            headers: vec![
                ("content-type", content_type(self.cbor).to_owned()),
                ("x-amzn-requestid", "upstream-id".to_owned()),
            ],
            pieces,
        }
    }
}

impl Reply {
    /// With another status.
    pub fn status(mut self, status: u16) -> Reply {
        self.status = status;
        self
    }

    /// With a header, whatever it was before.
    pub fn header(mut self, name: &'static str, value: &str) -> Reply {
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

async fn reply(
    request: Request<Incoming>,
    asked: &Mutex<Vec<Asked>>,
    answer: &(dyn Fn(&Asked) -> Reply + Send + Sync),
) -> Result<Response<Pieces>, hyper::Error> {
    let header = |name| {
        let value = request.headers().get(name).unwrap();
        value.to_str().unwrap().to_owned()
    };
    let cbor = header("content-type") == content_type(true);
    let target = header("x-amz-target");
    request.into_body().collect().await?;
    let arrived = Asked {
        operation: target.split('.').next_back().unwrap().to_owned(),
        cbor,
    };
    asked.lock().unwrap().push(arrived.clone());
    let reply = answer(&arrived);
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Pieces(reply.pieces)).unwrap())
}

/// A body that a channel fills.
struct Pieces(mpsc::UnboundedReceiver<Result<Bytes, Broken>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let piece = std::task::ready!(self.0.poll_recv(cx));
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken off")
    }
}

impl std::error::Error for Broken {}
