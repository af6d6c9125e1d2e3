//! The collector: one delivery after the other, over one connection.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::TraceSettings;

/// A way to it.
pub(super) struct Collector {
    endpoint: Uri,
    headers: http::HeaderMap,
    tls: TlsConnector,
    unused: Option<SendRequest<Full<Bytes>>>,
}

/// Why it did not take a delivery.
pub(super) enum Failure {
    /// It may take it later.
    Away(String),
    /// It never will.
    Refused(String),
}

/// What it says of a delivery that it took.
pub(super) struct Taken {
    /// Spans that it does not want.
    pub(super) refused: u64,
    /// Why, in its words.
    pub(super) reason: String,
}

/// Bytes of an answer that are read.
const ANSWER: usize = 64 << 10;

impl Collector {
    pub(super) fn new(settings: &TraceSettings) -> Collector {
        Collector {
            endpoint: settings.endpoint.clone(),
            headers: settings.headers.clone(),
            tls: TlsConnector::from(Arc::clone(&settings.tls)),
            unused: None,
        }
    }

    /// Delivers a message: OTLP/HTTP,
    /// <https://opentelemetry.io/docs/specs/otlp/#otlphttp-request>. Whoever calls sets a deadline.
    pub(super) async fn deliver(&mut self, message: Bytes) -> Result<Taken, Failure> {
        if let Some(kept) = self.unused.take() {
            let answer = self.exchange(kept, message.clone()).await;
            // One that the collector has ended meanwhile is no failure of its.
            if answer.is_ok() || self.unused.is_some() {
                return answer;
            }
        }
        let connection = self.connect().await?;
        self.exchange(connection, message).await
    }

    /// Keeps the connection once a whole answer has come.
    async fn exchange(
        &mut self,
        mut connection: SendRequest<Full<Bytes>>,
        message: Bytes,
    ) -> Result<Taken, Failure> {
        let answer = connection.send_request(self.request(message)?).await;
        let (head, body) = answer.map_err(away("answered nothing"))?.into_parts();
        let body = Limited::new(body, ANSWER).collect().await;
        let body = body.map_err(away("broke its answer off"))?.to_bytes();
        self.unused = Some(connection);
        if head.status.is_success() {
            // An answer that cannot be read says nothing of spans that were refused.
            let told = ExportTraceServiceResponse::decode(body).unwrap_or_default();
            let told = told.partial_success.unwrap_or_default();
            return Ok(Taken {
                refused: u64::try_from(told.rejected_spans).unwrap_or(0),
                reason: told.error_message,
            });
        }
        let status = format!("answered {}", head.status.as_u16());
        match head.status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Err(Failure::Away(status)),
            _ => Err(Failure::Refused(status)),
        }
    }

    fn request(&self, message: Bytes) -> Result<Request<Full<Bytes>>, Failure> {
        let refused = |error: &dyn fmt::Display| Failure::Refused(error.to_string());
        let authority = self.endpoint.authority().map_or("", |it| it.as_str());
        let mut request = Request::new(Full::new(message));
        *request.method_mut() = Method::POST;
        let path = self.endpoint.path();
        *request.uri_mut() = path.parse().map_err(|error| refused(&error))?;
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        let host = HeaderValue::from_str(authority).map_err(|error| refused(&error))?;
        headers.insert(HOST, host);
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-protobuf"),
        );
        Ok(request)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let host = self.endpoint.host().unwrap_or_default();
        let host = host.trim_matches(['[', ']']);
        let secure = self.endpoint.scheme_str() == Some("https");
        let port = self.endpoint.port_u16();
        let port = port.unwrap_or(if secure { 443 } else { 80 });
        let tcp = TcpStream::connect((host, port)).await;
        let tcp = tcp.map_err(away("is not reached"))?;
        if !secure {
            return drive(tcp).await;
        }
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(away("has a name that no certificate can show"))?;
        let tls = self.tls.connect(name, tcp).await;
        drive(tls.map_err(away("is not reached by TLS"))?).await
    }
}

/// Speaks HTTP/1.1 over a connection.
async fn drive(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let opened = handshake(TokioIo::new(stream)).await;
    let (sender, connection) = opened.map_err(away("speaks no HTTP"))?;
    // Whoever waits for an answer is told how it ended.
    tokio::spawn(connection);
    Ok(sender)
}

/// Sorts an error, with what it means before it.
fn away<E: fmt::Display>(what: &'static str) -> impl FnOnce(E) -> Failure {
    move |error| Failure::Away(format!("{what}: {error}"))
}
