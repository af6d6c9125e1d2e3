//! Forwarding: sends an allowed request to Kinesis, once. There is no retry: clients own retries.
//!
//! [`Upstream::forward`] takes a [`Permitted`] request: forwarding without a decision does not
//! compile. The HTTP version and authority are the client's, because a signature may cover a header
//! named `:authority`.

mod connector;
mod error;
mod lease;
mod loop_guard;
mod pool;
mod re_sign;
mod request_body;
mod resolver;
mod response_body;
mod settings;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use http::{Request, Response, Version};
use tokio::net::TcpStream;

use crate::policy::Permitted;

pub use error::UpstreamError;
pub use loop_guard::{LoopGuard, PendingConnect};
pub use re_sign::Signer;
pub use request_body::{BodyAborted, BodyStream, RequestBody};
pub use response_body::ResponseBody;
pub use settings::{Destination, Settings};

use connector::{Connector, HttpVersion};
use pool::Pool;

/// The upstream of one event loop, which owns its connections.
pub struct Upstream {
    pool: Rc<Pool>,
    response_timeout: Duration,
}

impl Upstream {
    /// Opens no connection yet.
    ///
    /// # Errors
    /// If `settings.server_name` is not a name, or the TLS provider refuses its own defaults.
    pub fn new(settings: &Settings) -> Result<Upstream, rustls::Error> {
        Ok(Upstream {
            pool: Rc::new(Pool::new(Connector::new(settings)?, settings.idle_timeout)),
            response_timeout: settings.response_timeout,
        })
    }

    /// Sends the request to a Kinesis endpoint, and returns the head of the response while its body
    /// streams. A signer re-signs the request first.
    ///
    /// # Errors
    /// The reason that there is no response. A request whose bytes may have left is never sent
    /// again: the client owns retries.
    pub async fn forward(
        &self,
        to: Destination<'_>,
        request: Permitted<Request<RequestBody>>,
        signer: Option<Signer<'_>>,
    ) -> Result<Response<ResponseBody>, UpstreamError> {
        let mut request = request.into_inner();
        if let Some(signer) = signer {
            signer.sign(&mut request)?;
        }
        let version = match request.version() {
            Version::HTTP_2 => HttpVersion::Http2,
            _ => HttpVersion::Http1,
        };
        let response = self.pool.send(to, version, request, self.response_timeout);
        response.await
    }

    /// Opens a connection for a tunnel to a host that the configuration lists, or to `connect`. The
    /// tunnel's TLS is not Kinesis and is never decrypted.
    ///
    /// # Errors
    /// If the name has no address, or no address accepts.
    pub async fn tunnel(
        &self,
        name: &str,
        connect: Option<&str>,
    ) -> Result<(TcpStream, PendingConnect), UpstreamError> {
        let (host, port) = connector::split_port(connect.unwrap_or(name));
        self.pool.connector().open_plain(host, port).await
    }

    /// Whether an intercepted connection from `from`, whose original destination is `to`, was opened
    /// by this process, or is for one of its listeners.
    pub fn is_loop(&self, from: SocketAddr, to: SocketAddr) -> bool {
        let guard = self.pool.connector().loop_guard();
        guard.detect_loop(from, to) || guard.listens_on(to)
    }

    /// The addresses that connections to the Kinesis endpoint `name` would go to now.
    ///
    /// # Errors
    /// If no address is found, or an address is the gate's own.
    pub async fn addresses(&self, name: &str) -> Result<Vec<SocketAddr>, UpstreamError> {
        self.pool.connector().addresses(name).await
    }

    /// Closes connections that were idle for too long.
    pub fn close_idle(&self) {
        self.pool.close_idle();
    }
}
