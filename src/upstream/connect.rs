//! Opening connections: address, TCP, TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::read_ahead::ReadAhead;

use super::pool::Exchange;
use super::{Failure, Settings};

/// A verified TLS connection.
pub(super) type Stream = TokioIo<TlsStream<ReadAhead<TcpStream>>>;

/// Opens connections by the process's settings.
pub(super) struct Connector {
    http1: TlsConnector,
    http2: TlsConnector,
    connect: Option<String>,
    server_name: Option<ServerName<'static>>,
    timeout: Duration,
    own: Vec<SocketAddr>,
}

impl Connector {
    pub(super) fn new(settings: &Settings) -> Result<Connector, rustls::Error> {
        // A configuration for each HTTP version: exactly that one is offered, so that the upstream
        // cannot answer in another one than the client spoke.
        let config = |alpn: &[u8]| {
            let mut config = ClientConfig::builder()
                .with_root_certificates(Arc::clone(&settings.roots))
                .with_no_client_auth();
            config.alpn_protocols = vec![alpn.to_vec()];
            TlsConnector::from(Arc::new(config))
        };
        let server_name = settings
            .server_name
            .clone()
            .map(ServerName::try_from)
            .transpose()
            .map_err(|error| rustls::Error::General(format!("`server-name`: {error}")))?;
        Ok(Connector {
            http1: config(b"http/1.1"),
            http2: config(b"h2"),
            connect: settings.connect.clone(),
            server_name,
            timeout: settings.connect_timeout,
            own: settings.own.clone(),
        })
    }

    /// Opens a connection to the Kinesis endpoint `name`, within the deadline.
    pub(super) async fn open(&self, name: &str, exchange: Exchange) -> Result<Stream, Failure> {
        match timeout(self.timeout, self.open_unbounded(name, exchange)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::ConnectTimeout),
        }
    }

    async fn open_unbounded(&self, name: &str, exchange: Exchange) -> Result<Stream, Failure> {
        let tcp = self.open_tcp(name).await?;
        let server_name = match &self.server_name {
            Some(fixed) => fixed.clone(),
            None => ServerName::try_from(name.to_owned())
                .map_err(|error| Failure::Certificate(error.to_string()))?,
        };
        let connector = match exchange {
            Exchange::Http1 => &self.http1,
            Exchange::Http2 => &self.http2,
        };
        let tls = connector
            .connect(server_name, ReadAhead::new(tcp))
            .await
            .map_err(|error| tls_failure(error, exchange))?;
        let spoken = tls.get_ref().1.alpn_protocol();
        match exchange {
            Exchange::Http2 if spoken != Some(b"h2") => Err(Failure::NoHttp2),
            _ => Ok(TokioIo::new(tls)),
        }
    }

    /// Every address is tried in turn: a connection that was never made has sent nothing.
    async fn open_tcp(&self, name: &str) -> Result<TcpStream, Failure> {
        let asked = self
            .connect
            .as_deref()
            .map_or_else(|| format!("{name}:443"), str::to_owned);
        let addresses = tokio::net::lookup_host(&asked)
            .await
            .map_err(|error| Failure::Resolve(asked.clone(), error))?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            if self.is_own(address) {
                return Err(Failure::Loop(address));
            }
            match TcpStream::connect(address).await {
                Ok(tcp) => {
                    // Head and body leave in writes of their own; waiting for an acknowledgement
                    // between them would cost a round trip.
                    tcp.set_nodelay(true).map_err(Failure::Connect)?;
                    return Ok(tcp);
                }
                Err(error) => last = error,
            }
        }
        Err(Failure::Connect(last))
    }

    /// A listener on every address is met through any loopback one.
    fn is_own(&self, address: SocketAddr) -> bool {
        self.own.iter().any(|own| {
            own.port() == address.port()
                && (own.ip() == address.ip()
                    || own.ip().is_unspecified() && is_loopback(address.ip()))
        })
    }
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

fn tls_failure(error: io::Error, exchange: Exchange) -> Failure {
    let found = error.get_ref().and_then(|inner| inner.downcast_ref());
    match (found, exchange) {
        (Some(rustls::Error::InvalidCertificate(why)), _) => Failure::Certificate(why.to_string()),
        (
            Some(rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)),
            Exchange::Http2,
        ) => Failure::NoHttp2,
        _ => Failure::Tls(error),
    }
}
