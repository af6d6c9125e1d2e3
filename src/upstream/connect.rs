//! Opening connections: address, TCP, TLS.

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

use super::own::{Opening, Own};
use super::pool::Exchange;
use super::resolve::Resolver;
use super::{Destination, Failure, Settings};

/// A verified TLS connection.
pub(super) type Stream = TokioIo<TlsStream<ReadAhead<TcpStream>>>;

/// Opens connections by the process's settings.
pub(super) struct Connector {
    http1: TlsConnector,
    http2: TlsConnector,
    resolver: Resolver,
    connect: Option<String>,
    addresses: Vec<SocketAddr>,
    server_name: Option<ServerName<'static>>,
    timeout: Duration,
    own: Own,
}

/// How long an address may take before the next one is tried beside it (RFC 8305 section 8).
const HEAD_START: Duration = Duration::from_millis(250);

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
            resolver: Resolver::new(&settings.dns)
                .map_err(|error| rustls::Error::General(format!("`dns`: {error}")))?,
            connect: settings.connect.clone(),
            addresses: settings.addresses.clone(),
            server_name,
            timeout: settings.connect_timeout,
            own: settings.own.clone(),
        })
    }

    /// Opens a connection to a Kinesis endpoint, within the deadline.
    pub(super) async fn open(
        &self,
        to: Destination<'_>,
        exchange: Exchange,
    ) -> Result<Stream, Failure> {
        self.within(Box::pin(self.open_tls(to, exchange))).await
    }

    /// Opens a connection without TLS, within the deadline.
    pub(super) async fn open_plain(
        &self,
        host: &str,
        port: u16,
    ) -> Result<(TcpStream, Opening), Failure> {
        self.within(Box::pin(async {
            self.open_tcp(self.resolver.addresses(host, port).await?)
                .await
        }))
        .await
    }

    /// Whether a connection that came in, once meant for `to`, is one of this process's own.
    pub(super) fn own(&self) -> &Own {
        &self.own
    }

    /// The addresses that connections to the Kinesis endpoint `name` go to.
    ///
    /// # Errors
    /// When none is found, or one of them is this gate's own.
    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<SocketAddr>, Failure> {
        let found = if self.addresses.is_empty() {
            let (host, port) = match &self.connect {
                Some(connect) => split(connect),
                None => (name, HTTPS),
            };
            self.resolver.addresses(host, port).await?
        } else {
            self.resolver.in_turn(self.addresses.clone())
        };
        self.refuse_own(&found)?;
        Ok(found)
    }

    /// On the heap, as whatever a request rarely waits for: room for it would else be in every
    /// connection, 5 KiB of it.
    async fn within<T>(
        &self,
        opening: Pin<Box<impl Future<Output = Result<T, Failure>>>>,
    ) -> Result<T, Failure> {
        match timeout(self.timeout, opening).await {
            Ok(result) => result,
            Err(_) => Err(Failure::ConnectTimeout),
        }
    }

    async fn open_tls(&self, to: Destination<'_>, exchange: Exchange) -> Result<Stream, Failure> {
        let addresses = match to.address {
            Some(address) => vec![address],
            None => self.addresses(to.name).await?,
        };
        let (tcp, opening) = self.open_tcp(addresses).await?;
        let server_name = match &self.server_name {
            Some(fixed) => fixed.clone(),
            None => ServerName::try_from(to.name.to_owned())
                .map_err(|error| Failure::Certificate(error.to_string()))?,
        };
        let connector = match exchange {
            Exchange::Http1 => &self.http1,
            Exchange::Http2 => &self.http2,
        };
        let tls = connector.connect(server_name, ReadAhead::new(tcp)).await;
        let tls = tls.map_err(|error| match opening.met_itself() {
            Some(address) => Failure::Loop(address),
            None => tls_failure(error, exchange),
        })?;
        let spoken = tls.get_ref().1.alpn_protocol();
        match exchange {
            Exchange::Http2 if spoken != Some(b"h2") => Err(Failure::NoHttp2),
            _ => Ok(TokioIo::new(tls)),
        }
    }

    /// Every address is tried: a connection that was never made has sent nothing.
    async fn open_tcp(&self, addresses: Vec<SocketAddr>) -> Result<(TcpStream, Opening), Failure> {
        self.refuse_own(&addresses)?;
        let tcp = first_of(addresses).await.map_err(Failure::Connect)?;
        // Head and body leave in writes of their own; waiting for an acknowledgement between them
        // would cost a round trip.
        tcp.set_nodelay(true).map_err(Failure::Connect)?;
        let opening = self.own.open(&tcp).map_err(Failure::Connect)?;
        Ok((tcp, opening))
    }

    fn refuse_own(&self, addresses: &[SocketAddr]) -> Result<(), Failure> {
        let own = addresses
            .iter()
            .find(|address| self.own.listens_on(**address));
        own.map_or(Ok(()), |own| Err(Failure::Loop(*own)))
    }
}

/// The port of Kinesis endpoints and of tunnels.
const HTTPS: u16 = 443;

/// A host and its port, where the configuration has found both.
pub(super) fn split(connect: &str) -> (&str, u16) {
    let (host, port) = connect.rsplit_once(':').unwrap_or((connect, ""));
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    (bare.unwrap_or(host), port.parse().unwrap_or(HTTPS))
}

/// Connects to the first address that answers, each tried when the one before has failed or has
/// had its head start.
async fn first_of(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
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
            () = sleep(HEAD_START), if waits => {}
        }
    }
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
