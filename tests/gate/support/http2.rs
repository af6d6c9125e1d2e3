//! An HTTP/2 client.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kinesis_gate::sandbox::Authority;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::raw::{Response, client_config};
use super::signature::sign;
use super::{HOST, KEY_ID};

pub type Body = Full<Bytes>;

/// Initial flow-control windows (RFC 9113, section 5.2) of a stream and of the connection, in bytes.
pub struct FlowControlWindows(pub u32, pub u32);

/// What a client offers by ALPN: HTTP/2, or nothing, as Java's async client and the KCL do.
pub const H2: &[&[u8]] = &[b"h2"];
pub const NO_ALPN: &[&[u8]] = &[];

/// The headers of a signed request; `authority` is the signed name of the host: `host`, or `:authority`
/// as in the JavaScript SDK.
pub fn signed_headers(operation: &str, body: &str, authority: &str) -> Vec<(String, String)> {
    let signed = [authority, "content-type", "x-amz-date", "x-amz-target"];
    let target = format!("Kinesis_20131202.{operation}");
    let values = [
        HOST,
        "application/x-amz-json-1.1",
        "20261123T120000Z",
        &target,
    ];
    let mut headers: Vec<(String, String)> = signed
        .iter()
        .zip(values)
        .map(|(name, value)| ((*name).to_owned(), value.to_owned()))
        .collect();
    let authorization = sign(&headers, &signed, body.as_bytes(), KEY_ID);
    headers.push(("authorization".to_owned(), authorization));
    headers
}

/// A request with these headers; the authority is in the URI.
pub fn request(headers: &[(String, String)], body: &str) -> http::Request<Body> {
    let mut request = http::Request::post(format!("https://{HOST}/"));
    for (name, value) in headers
        .iter()
        .filter(|(name, _)| name != ":authority" && name != "host")
    {
        request = request.header(name, value);
    }
    request
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap()
}

/// Opens a connection; a task must drive its second half.
pub async fn connect(
    authority: &Authority,
    address: SocketAddr,
    alpn: &[&[u8]],
    windows: Option<FlowControlWindows>,
) -> (
    SendRequest<Body>,
    Connection<TokioIo<TlsStream<TcpStream>>, Body, TokioExecutor>,
) {
    let mut config = client_config(authority);
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    let tls = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .unwrap();
    let mut builder = Builder::new(TokioExecutor::new());
    if let Some(FlowControlWindows(stream, connection)) = windows {
        builder
            .initial_stream_window_size(stream)
            .initial_connection_window_size(connection);
    }
    builder.handshake(TokioIo::new(tls)).await.unwrap()
}

/// Sends a request on a new connection and returns the status of the response.
pub fn send_for_status(
    authority: &Authority,
    address: SocketAddr,
    alpn: &[&[u8]],
    request: http::Request<Body>,
) -> u16 {
    block_on(async {
        let (mut sender, connection) = connect(authority, address, alpn, None).await;
        tokio::spawn(connection);
        let response = sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        response.into_body().collect().await.unwrap();
        status
    })
}

/// Sends a request on a new connection and returns the response in the form of HTTP/1.1; `None` if the
/// stream is reset.
pub fn try_send(
    authority: &Authority,
    address: SocketAddr,
    request: http::Request<Body>,
) -> Option<Response> {
    block_on(async {
        let (mut sender, connection) = connect(authority, address, H2, None).await;
        tokio::spawn(connection);
        let response = sender.send_request(request).await.ok()?;
        let mut head = String::new();
        for (name, value) in response.headers() {
            head += &format!("{name}: {}\r\n", value.to_str().unwrap());
        }
        Some(Response {
            status: response.status().as_u16(),
            head,
            body: response.into_body().collect().await.ok()?.to_bytes().into(),
        })
    })
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}
