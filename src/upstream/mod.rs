//! Forwarding an allowed request to Kinesis, and nothing else.
//!
//! [`Upstream::forward`] takes a [`Permitted`] request: forwarding without a decision does not
//! compile. The HTTP version the client spoke is the one spoken upstream, with the same authority,
//! because a signature may cover a header named `:authority`. Nothing is sent twice.

mod body;
mod connect;
mod failure;
mod own;
mod pool;
mod resolve;
mod sign;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, Version};
use rustls::RootCertStore;
use tokio::net::TcpStream;

use crate::policy::Permitted;

pub use body::{RequestBody, ResponseBody, Rest, Withheld};
pub use failure::Failure;
pub use own::{Opening, Own};
pub use sign::Signature;

use connect::Connector;
use pool::{Exchange, Pool};

/// Where connections go and how long they may take. One for the whole process.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port` for every connection, or `None` to go to the server name asked for, port 443.
    pub connect: Option<String>,
    /// Addresses for every connection to Kinesis instead, in turn; empty, `connect` holds.
    pub addresses: Vec<SocketAddr>,
    /// DNS servers to ask; empty, the system's resolver is.
    pub dns: Vec<SocketAddr>,
    /// The name to verify instead of the one asked for.
    pub server_name: Option<String>,
    /// Whom to trust.
    pub roots: Arc<RootCertStore>,
    /// For resolving, connecting and the TLS handshake together.
    pub connect_timeout: Duration,
    /// From the request's last byte to the head of the answer.
    pub response_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// The gate itself: a connection to it would be a loop.
    pub own: Own,
}

/// Where a request goes.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// The name of the Kinesis endpoint, which its certificate must show.
    pub name: &'a str,
    /// Its address, if the client has chosen it; absent, the settings or DNS tell.
    pub address: Option<SocketAddr>,
}

/// The way out of one event loop: connections are owned by the loop that uses them.
pub struct Upstream {
    pool: Rc<Pool>,
    response_timeout: Duration,
}

impl Upstream {
    /// Opens nothing yet.
    ///
    /// # Errors
    /// When `settings.server_name` is not a name or the TLS provider refuses its own defaults.
    pub fn new(settings: &Settings) -> Result<Upstream, rustls::Error> {
        Ok(Upstream {
            pool: Rc::new(Pool::new(Connector::new(settings)?, settings.idle)),
            response_timeout: settings.response_timeout,
        })
    }

    /// Sends the request to a Kinesis endpoint, and returns the head of the answer with its body
    /// still streaming. With a signature, it is signed anew first.
    ///
    /// # Errors
    /// What went wrong, and whether bytes of the request may have left. A request whose bytes may
    /// have left is never sent again: the client owns retries.
    pub async fn forward(
        &self,
        to: Destination<'_>,
        request: Permitted<Request<RequestBody>>,
        signature: Option<Signature<'_>>,
    ) -> Result<Response<ResponseBody>, Failure> {
        let mut request = request.into_inner();
        if let Some(signature) = signature {
            signature.apply(&mut request);
        }
        let exchange = match request.version() {
            Version::HTTP_2 => Exchange::Http2,
            _ => Exchange::Http1,
        };
        let answer = self.pool.send(to, exchange, request, self.response_timeout);
        answer.await
    }

    /// Opens a connection for a tunnel to a host that the configuration lists, at `connect` if that
    /// is said. What passes through is not Kinesis and is never decrypted.
    ///
    /// # Errors
    /// When the name has no address or none answers.
    pub async fn tunnel(
        &self,
        name: &str,
        connect: Option<&str>,
    ) -> Result<(TcpStream, Opening), Failure> {
        let (host, port) = connect::split(connect.unwrap_or(name));
        self.pool.connector().open_plain(host, port).await
    }

    /// Whether an intercepted connection from `from`, once meant for `to`, was opened by this
    /// process, or was never meant for anything else than it.
    pub fn is_own(&self, from: SocketAddr, to: SocketAddr) -> bool {
        let own = self.pool.connector().own();
        own.meets(from, to) || own.listens_on(to)
    }

    /// Where connections to the Kinesis endpoint `name` would go now.
    ///
    /// # Errors
    /// When none is found, or one of them is this gate's own.
    pub async fn addresses(&self, name: &str) -> Result<Vec<SocketAddr>, Failure> {
        self.pool.connector().addresses(name).await
    }

    /// Closes connections that have been unused for too long; called now and then.
    pub fn sweep(&self) {
        self.pool.sweep();
    }
}
