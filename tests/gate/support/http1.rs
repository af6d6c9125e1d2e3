//! An HTTP client for the AWS SDK that speaks HTTP/1.1 only: the SDK's own prefers HTTP/2.

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use kinesis_gate::sandbox::Authority;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::raw::client_config;

/// A client that trusts the authority.
pub fn client(authority: &Authority) -> SharedHttpClient {
    let mut config = client_config(authority);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let connector = SharedHttpConnector::new(Http1(TlsConnector::from(Arc::new(config))));
    http_client_fn(move |_, _| connector.clone())
}

#[derive(Clone)]
struct Http1(TlsConnector);

impl std::fmt::Debug for Http1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Http1")
    }
}

impl HttpConnector for Http1 {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move {
            connector.send(request).await.map_err(ConnectorError::io)
        })
    }
}

impl Http1 {
    async fn send(
        &self,
        request: HttpRequest,
    ) -> Result<HttpResponse, Box<dyn std::error::Error + Send + Sync>> {
        let (mut parts, body) = request.try_into_http1x()?.into_parts();
        let authority = parts.uri.authority().expect("an endpoint").clone();
        let tcp = TcpStream::connect(authority.as_str()).await?;
        let name = ServerName::try_from(authority.host().to_owned())?;
        let tls = self.0.connect(name, tcp).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(tls)).await?;
        tokio::spawn(connection);
        parts.headers.insert("host", authority.as_str().parse()?);
        parts.uri = parts
            .uri
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .parse()?;
        let body = Bytes::copy_from_slice(body.bytes().expect("a body in memory"));
        let response = sender
            .send_request(http::Request::from_parts(parts, Full::new(body)))
            .await?;
        let (parts, body) = response.into_parts();
        let body = SdkBody::from(body.collect().await?.to_bytes().to_vec());
        Ok(HttpResponse::try_from(http::Response::from_parts(
            parts, body,
        ))?)
    }
}
