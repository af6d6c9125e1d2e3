//! The connector opens upstream connections: address (with happy eyeballs), TCP and TLS.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::http::ReadAhead;

use super::error::UpstreamError;
use super::loop_guard::{LoopGuard, PendingConnect};
use super::resolver::Resolver;
use super::settings::{Destination, Settings};

/// The HTTP version of a request, the same upstream as downstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HttpVersion {
    Http1,
    Http2,
}

/// A TLS connection with a verified certificate.
pub(super) type TlsIo = TokioIo<TlsStream<ReadAhead<TcpStream>>>;

/// Opens connections for one event loop.
pub(super) struct Connector {
    http1: TlsConnector,
    http2: TlsConnector,
    resolver: Resolver,
    connect: Option<String>,
    addresses: Vec<SocketAddr>,
    server_name: Option<ServerName<'static>>,
    timeout: Duration,
    loop_guard: LoopGuard,
}

/// How long an address may take before the next one is tried in parallel (RFC 8305 section 8).
const HAPPY_EYEBALLS_DELAY: Duration = Duration::from_millis(250);

impl Connector {
    pub(super) fn new(settings: &Settings) -> Result<Connector, rustls::Error> {
        // ALPN offers exactly the HTTP version of the client, so that the upstream cannot choose
        // another.
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
            resolver: Resolver::new(&settings.dns)
                .map_err(|error| rustls::Error::General(format!("`dns`: {error}")))?,
            connect: settings.connect.clone(),
            addresses: settings.addresses.clone(),
            server_name,
            timeout: settings.connect_timeout,
            loop_guard: settings.loop_guard.clone(),
        })
    }

    /// Opens a connection to a Kinesis endpoint, within the connect timeout.
    pub(super) async fn open(
        &self,
        to: Destination<'_>,
        version: HttpVersion,
    ) -> Result<TlsIo, UpstreamError> {
        self.with_timeout(Box::pin(self.open_tls(to, version)))
            .await
    }

    /// Opens a connection without TLS, within the connect timeout.
    pub(super) async fn open_plain(
        &self,
        host: &str,
        port: u16,
    ) -> Result<(TcpStream, PendingConnect), UpstreamError> {
        self.with_timeout(Box::pin(async {
            self.open_tcp(self.resolver.addresses(host, port).await?)
                .await
        }))
        .await
    }

    /// The loop guard of the process.
    pub(super) fn loop_guard(&self) -> &LoopGuard {
        &self.loop_guard
    }

    /// The addresses for connections to the Kinesis endpoint `name`.
    ///
    /// # Errors
    /// If no address is found, or an address is the gate's own.
    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<SocketAddr>, UpstreamError> {
        let found = if self.addresses.is_empty() {
            let (host, port) = match &self.connect {
                Some(connect) => split_port(connect),
                None => (name, HTTPS),
            };
            self.resolver.addresses(host, port).await?
        } else {
            self.resolver.round_robin(self.addresses.clone())
        };
        self.refuse_loop(&found)?;
        Ok(found)
    }

    /// The future is on the heap, since a request rarely waits for it: inline it would add 5 KiB to
    /// every connection.
    async fn with_timeout<T>(
        &self,
        pending: Pin<Box<impl Future<Output = Result<T, UpstreamError>>>>,
    ) -> Result<T, UpstreamError> {
        match timeout(self.timeout, pending).await {
            Ok(result) => result,
            Err(_) => Err(UpstreamError::ConnectTimeout),
        }
    }

    async fn open_tls(
        &self,
        to: Destination<'_>,
        version: HttpVersion,
    ) -> Result<TlsIo, UpstreamError> {
        let addresses = match to.address {
            Some(address) => vec![address],
            None => self.addresses(to.name).await?,
        };
        let (tcp, pending) = self.open_tcp(addresses).await?;
        let server_name = match &self.server_name {
            Some(fixed) => fixed.clone(),
            None => ServerName::try_from(to.name.to_owned())
                .map_err(|error| UpstreamError::Certificate(error.to_string()))?,
        };
        let connector = match version {
            HttpVersion::Http1 => &self.http1,
            HttpVersion::Http2 => &self.http2,
        };
        let tls = connector.connect(server_name, ReadAhead::new(tcp)).await;
        let tls = tls.map_err(|error| match pending.loop_address() {
            Some(address) => UpstreamError::Loop(address),
            None => tls_error(error, version),
        })?;
        let alpn = tls.get_ref().1.alpn_protocol();
        match version {
            HttpVersion::Http2 if alpn != Some(b"h2") => Err(UpstreamError::NoHttp2),
            _ => Ok(TokioIo::new(tls)),
        }
    }

    /// Tries every address: a failed connection attempt has sent no byte of the request.
    async fn open_tcp(
        &self,
        addresses: Vec<SocketAddr>,
    ) -> Result<(TcpStream, PendingConnect), UpstreamError> {
        self.refuse_loop(&addresses)?;
        let tcp = happy_eyeballs(addresses)
            .await
            .map_err(UpstreamError::Connect)?;
        // Head and body are separate writes; waiting for an acknowledgement between them would cost a
        // round trip.
        tcp.set_nodelay(true).map_err(UpstreamError::Connect)?;
        let pending = self.loop_guard.open(&tcp).map_err(UpstreamError::Connect)?;
        Ok((tcp, pending))
    }

    fn refuse_loop(&self, addresses: &[SocketAddr]) -> Result<(), UpstreamError> {
        let is_own = |address: &&SocketAddr| self.loop_guard.listens_on(**address);
        match addresses.iter().find(is_own) {
            Some(own) => Err(UpstreamError::Loop(*own)),
            None => Ok(()),
        }
    }
}

/// The port of Kinesis endpoints and of tunnels.
const HTTPS: u16 = 443;

/// Splits `host:port`, which the configuration has validated.
pub(super) fn split_port(connect: &str) -> (&str, u16) {
    let (host, port) = connect.rsplit_once(':').unwrap_or((connect, ""));
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    (bare.unwrap_or(host), port.parse().unwrap_or(HTTPS))
}

/// Happy eyeballs: connects to the first address that accepts. Tries each address when the previous
/// one has failed, or after [`HAPPY_EYEBALLS_DELAY`].
async fn happy_eyeballs(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut addresses = addresses.into_iter();
    let mut attempts = JoinSet::new();
    loop {
        if let Some(address) = addresses.next() {
            attempts.spawn_local(TcpStream::connect(address));
        }
        let waits = addresses.len() > 0;
        tokio::select! {
            ended = attempts.join_next() => match ended {
                Some(Ok(Ok(tcp))) => return Ok(tcp),
                Some(Ok(Err(error))) => last = error,
                Some(Err(error)) => last = error.into(),
                None => return Err(last),
            },
            () = sleep(HAPPY_EYEBALLS_DELAY), if waits => {}
        }
    }
}

fn tls_error(error: io::Error, version: HttpVersion) -> UpstreamError {
    let found = error.get_ref().and_then(|inner| inner.downcast_ref());
    match (found, version) {
        (Some(rustls::Error::InvalidCertificate(why)), _) => {
            UpstreamError::Certificate(why.to_string())
        }
        (
            Some(rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)),
            HttpVersion::Http2,
        ) => UpstreamError::NoHttp2,
        _ => UpstreamError::Tls(error),
    }
}
