//! An upstream and a client that a test plays step by step, over either version of HTTP.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use kinesis_gate::sandbox::Authority;
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::HOST;
use super::raw::client_config;

/// A version of HTTP, by its name in ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http {
    One,
    Two,
}

pub const BOTH: [Http; 2] = [Http::One, Http::Two];

/// A request that arrived, and the right to answer it.
pub struct Call {
    pub request: Request<Incoming>,
    answer: oneshot::Sender<Response<Pieces>>,
}

/// A body that comes as it is sent.
pub struct Pieces(mpsc::Receiver<Bytes>);

/// The end of a [`Pieces`] that is written to.
pub type Sender = mpsc::Sender<Bytes>;

/// A connection of a client.
pub enum Client {
    One(http1::SendRequest<Pieces>),
    Two(http2::SendRequest<Pieces>),
}

/// Bytes that the system holds of a connection, at the least.
const BUFFER: usize = 64 << 10;

impl Http {
    fn alpn(self) -> Vec<u8> {
        match self {
            Http::One => b"http/1.1".to_vec(),
            Http::Two => b"h2".to_vec(),
        }
    }
}

pub fn pieces() -> (Sender, Pieces) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, Pieces(receiver))
}

/// An upstream whose calls come out of the channel.
pub async fn upstream(authority: &Authority, http: Http) -> (SocketAddr, mpsc::Receiver<Call>) {
    let mut tls = authority.server("localhost").unwrap();
    tls.alpn_protocols = vec![http.alpn()];
    let tls = TlsAcceptor::from(Arc::new(tls));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // What is not read is held back soon, however much the system would buffer.
    let buffers = socket2::SockRef::from(&socket);
    buffers.set_recv_buffer_size(BUFFER).unwrap();
    let address = socket.local_addr().unwrap();
    let (calls, receiver) = mpsc::channel(64);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = socket.accept().await {
            tcp.set_nodelay(true).unwrap();
            let (tls, calls) = (tls.clone(), calls.clone());
            tokio::spawn(async move {
                let Ok(stream) = tls.accept(tcp).await else {
                    return;
                };
                let service = service_fn(move |request| {
                    let calls = calls.clone();
                    async move {
                        let (answer, answered) = oneshot::channel();
                        let _ = calls.send(Call { request, answer }).await;
                        match answered.await {
                            Ok(response) => Ok::<_, Infallible>(response),
                            Err(_) => std::future::pending().await,
                        }
                    }
                });
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    (address, receiver)
}

impl Call {
    /// Answers with a head; the body is what is sent then.
    pub fn answer(self, status: u16, content_type: &str) -> (Request<Incoming>, Sender) {
        let (sender, body) = pieces();
        let response = Response::builder()
            .status(status)
            .header("content-type", content_type)
            .header("x-amzn-requestid", "upstream-id")
            .body(body);
        let _ = self.answer.send(response.unwrap());
        (self.request, sender)
    }
}

impl Client {
    pub async fn connect(
        authority: &Authority,
        address: SocketAddr,
        name: &str,
        http: Http,
    ) -> Client {
        let mut config = client_config(authority);
        config.alpn_protocols = vec![http.alpn()];
        let tcp = TcpStream::connect(address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let buffers = socket2::SockRef::from(&tcp);
        buffers.set_send_buffer_size(BUFFER).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let tls = TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
            .unwrap();
        let stream = TokioIo::new(tls);
        match http {
            Http::One => {
                let (sender, connection) = http1::handshake(stream).await.unwrap();
                tokio::spawn(async move { drop(connection.await) });
                Client::One(sender)
            }
            Http::Two => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream)
                    .await
                    .unwrap();
                tokio::spawn(async move { drop(connection.await) });
                Client::Two(sender)
            }
        }
    }

    /// Sends a request with these headers, of which one names the host.
    pub async fn send(
        &mut self,
        headers: &[(String, String)],
        body: Pieces,
    ) -> hyper::Result<Response<Incoming>> {
        let uri = match self {
            Client::One(_) => "/".to_owned(),
            Client::Two(_) => format!("https://{HOST}/"),
        };
        let mut request = Request::post(uri);
        for (name, value) in headers {
            if matches!(self, Client::One(_)) || name != "host" {
                request = request.header(name, value);
            }
        }
        let request = request.body(body).unwrap();
        match self {
            Client::One(sender) => sender.send_request(request).await,
            Client::Two(sender) => sender.send_request(request).await,
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(cx)
            .map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
