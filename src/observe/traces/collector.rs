//! The client of the OpenTelemetry collector: one export request at a time, over one connection.

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

use super::settings::TraceSettings;

/// A client of the collector.
pub(super) struct Collector {
    endpoint: Uri,
    headers: http::HeaderMap,
    tls: TlsConnector,
    idle: Option<SendRequest<Full<Bytes>>>,
}

/// The reason that the collector did not accept an export request.
pub(super) enum ExportError {
    /// A retry may succeed.
    Away(String),
    /// A retry is pointless.
    Refused(String),
}

/// The response to an export request that the collector accepted, at least in part.
pub(super) struct Accepted {
    /// The number of spans that the collector refused.
    pub(super) refused_spans: u64,
    /// The collector's reason.
    pub(super) message: String,
}

/// The limit of a response's body, in bytes.
const MAX_RESPONSE_BYTES: usize = 64 << 10;

impl Collector {
    pub(super) fn new(settings: &TraceSettings) -> Collector {
        Collector {
            endpoint: settings.endpoint.clone(),
            headers: settings.headers.clone(),
            tls: TlsConnector::from(Arc::clone(&settings.tls)),
            idle: None,
        }
    }

    /// Sends an export request: OTLP/HTTP,
    /// <https://opentelemetry.io/docs/specs/otlp/#otlphttp-request>. The caller sets the timeout.
    pub(super) async fn export(&mut self, message: Bytes) -> Result<Accepted, ExportError> {
        if let Some(connection) = self.idle.take() {
            let result = self.exchange(connection, message.clone()).await;
            // A collector may close an idle connection: that is not a failure.
            if result.is_ok() || self.idle.is_some() {
                return result;
            }
        }
        let connection = self.connect().await?;
        self.exchange(connection, message).await
    }

    /// Keeps the connection after a whole response.
    async fn exchange(
        &mut self,
        mut connection: SendRequest<Full<Bytes>>,
        message: Bytes,
    ) -> Result<Accepted, ExportError> {
        let response = connection.send_request(self.request(message)?).await;
        let (head, body) = response.map_err(away("answered nothing"))?.into_parts();
        let body = Limited::new(body, MAX_RESPONSE_BYTES).collect().await;
        let body = body.map_err(away("broke its answer off"))?.to_bytes();
        self.idle = Some(connection);
        if head.status.is_success() {
            // A response that cannot be decoded reports no refused spans.
            let response = ExportTraceServiceResponse::decode(body).unwrap_or_default();
            let partial = response.partial_success.unwrap_or_default();
            return Ok(Accepted {
                refused_spans: u64::try_from(partial.rejected_spans).unwrap_or(0),
                message: partial.error_message,
            });
        }
        let status = format!("answered {}", head.status.as_u16());
        match head.status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Err(ExportError::Away(status)),
            _ => Err(ExportError::Refused(status)),
        }
    }

    fn request(&self, message: Bytes) -> Result<Request<Full<Bytes>>, ExportError> {
        let refused = |error: &dyn fmt::Display| ExportError::Refused(error.to_string());
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

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ExportError> {
        let host = self.endpoint.host().unwrap_or_default();
        let host = host.trim_matches(['[', ']']);
        let secure = self.endpoint.scheme_str() == Some("https");
        let port = self.endpoint.port_u16();
        let port = port.unwrap_or(if secure { 443 } else { 80 });
        let tcp = TcpStream::connect((host, port)).await;
        let tcp = tcp.map_err(away("is not reached"))?;
        if !secure {
            return handshake_http1(tcp).await;
        }
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(away("has a name that no certificate can show"))?;
        let tls = self.tls.connect(name, tcp).await;
        handshake_http1(tls.map_err(away("is not reached by TLS"))?).await
    }
}

/// Starts HTTP/1.1 on a connection.
async fn handshake_http1(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<SendRequest<Full<Bytes>>, ExportError> {
    let opened = handshake(TokioIo::new(stream)).await;
    let (sender, connection) = opened.map_err(away("speaks no HTTP"))?;
    // The sender reports the connection's errors.
    tokio::spawn(connection);
    Ok(sender)
}

/// Makes an error for which a retry may succeed; `what` names the failed step.
fn away<E: fmt::Display>(what: &'static str) -> impl FnOnce(E) -> ExportError {
    move |error| ExportError::Away(format!("{what}: {error}"))
}
