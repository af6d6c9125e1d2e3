//! An upstream and a client that a test drives step by step, over either version of HTTP.

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

/// A version of HTTP, which ALPN selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    Http1,
    Http2,
}

pub const HTTP_VERSIONS: [HttpVersion; 2] = [HttpVersion::Http1, HttpVersion::Http2];

/// A request that the upstream has received and not yet responded to.
pub struct PendingRequest {
    pub request: Request<Incoming>,
    respond: oneshot::Sender<Response<ChannelBody>>,
}

/// A body whose chunks come through a channel.
pub struct ChannelBody(mpsc::Receiver<Bytes>);

/// Sends the chunks of a [`ChannelBody`].
pub type BodySender = mpsc::Sender<Bytes>;

/// A client connection.
pub enum Client {
    Http1(http1::SendRequest<ChannelBody>),
    Http2(http2::SendRequest<ChannelBody>),
}

/// Bytes of a socket's buffer in the kernel.
const SOCKET_BUFFER: usize = 64 << 10;

impl HttpVersion {
    fn alpn(self) -> Vec<u8> {
        match self {
            HttpVersion::Http1 => b"http/1.1".to_vec(),
            HttpVersion::Http2 => b"h2".to_vec(),
        }
    }
}

pub fn channel_body() -> (BodySender, ChannelBody) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, ChannelBody(receiver))
}

/// Starts an upstream; its requests come out of the channel.
pub async fn upstream(
    authority: &Authority,
    http: HttpVersion,
) -> (SocketAddr, mpsc::Receiver<PendingRequest>) {
    let mut tls = authority.server("localhost").unwrap();
    tls.alpn_protocols = vec![http.alpn()];
    let tls = TlsAcceptor::from(Arc::new(tls));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // A small buffer, so that an upstream that does not read soon holds the gate back.
    let socket_ref = socket2::SockRef::from(&socket);
    socket_ref.set_recv_buffer_size(SOCKET_BUFFER).unwrap();
    let address = socket.local_addr().unwrap();
    let (requests, receiver) = mpsc::channel(64);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = socket.accept().await {
            tcp.set_nodelay(true).unwrap();
            let (tls, requests) = (tls.clone(), requests.clone());
            tokio::spawn(async move {
                let Ok(stream) = tls.accept(tcp).await else {
                    return;
                };
                let service = service_fn(move |request| {
                    let requests = requests.clone();
                    async move {
                        let (respond, response) = oneshot::channel();
                        let _ = requests.send(PendingRequest { request, respond }).await;
                        match response.await {
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

impl PendingRequest {
    /// Sends a response head; the returned sender sends the body.
    pub fn respond(self, status: u16, content_type: &str) -> (Request<Incoming>, BodySender) {
        let (sender, body) = channel_body();
        let response = Response::builder()
            .status(status)
            .header("content-type", content_type)
            .header("x-amzn-requestid", "upstream-id")
            .body(body);
        let _ = self.respond.send(response.unwrap());
        (self.request, sender)
    }
}

impl Client {
    pub async fn connect(
        authority: &Authority,
        address: SocketAddr,
        name: &str,
        http: HttpVersion,
    ) -> Client {
        let mut config = client_config(authority);
        config.alpn_protocols = vec![http.alpn()];
        let tcp = TcpStream::connect(address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let socket_ref = socket2::SockRef::from(&tcp);
        socket_ref.set_send_buffer_size(SOCKET_BUFFER).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let tls = TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
            .unwrap();
        let stream = TokioIo::new(tls);
        match http {
            HttpVersion::Http1 => {
                let (sender, connection) = http1::handshake(stream).await.unwrap();
                tokio::spawn(async move { drop(connection.await) });
                Client::Http1(sender)
            }
            HttpVersion::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream)
                    .await
                    .unwrap();
                tokio::spawn(async move { drop(connection.await) });
                Client::Http2(sender)
            }
        }
    }

    /// Sends a request with these headers, one of which is `host`.
    pub async fn send(
        &mut self,
        headers: &[(String, String)],
        body: ChannelBody,
    ) -> hyper::Result<Response<Incoming>> {
        let uri = match self {
            Client::Http1(_) => "/".to_owned(),
            Client::Http2(_) => format!("https://{HOST}/"),
        };
        let mut request = Request::post(uri);
        for (name, value) in headers {
            if matches!(self, Client::Http1(_)) || name != "host" {
                request = request.header(name, value);
            }
        }
        let request = request.body(body).unwrap();
        match self {
            Client::Http1(sender) => sender.send_request(request).await,
            Client::Http2(sender) => sender.send_request(request).await,
        }
    }
}

impl Body for ChannelBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(cx)
            .map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}
