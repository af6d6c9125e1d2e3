//! Settings of upstream connections, and the destination of a request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;

use super::loop_guard::LoopGuard;

/// The address and timeouts of upstream connections. One value for the process.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port` for every connection; `None` connects to the server name, port 443.
    pub connect: Option<String>,
    /// Addresses for every connection to Kinesis, in round robin; if empty, `connect` applies.
    pub addresses: Vec<SocketAddr>,
    /// DNS servers; if empty, the system's resolver is used.
    pub dns: Vec<SocketAddr>,
    /// The name to verify in place of the server name.
    pub server_name: Option<String>,
    /// The trusted root certificates.
    pub roots: Arc<RootCertStore>,
    /// Timeout of resolving, connecting and the TLS handshake together.
    pub connect_timeout: Duration,
    /// Timeout from the request's last byte to the head of the response.
    pub response_timeout: Duration,
    /// How long the pool keeps an idle connection.
    pub idle_timeout: Duration,
    /// The gate's own addresses: a connection to one of them would be a loop.
    pub loop_guard: LoopGuard,
}

/// The destination of a request.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// The name of the Kinesis endpoint, which its certificate must have.
    pub name: &'a str,
    /// The address that the client chose; if `None`, the settings or DNS decide.
    pub address: Option<SocketAddr>,
}
