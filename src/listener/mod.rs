//! Listeners: everything before HTTP. Sockets, connection limits, the PROXY protocol, the original
//! destination, TLS by SNI and ALPN, and tunnels.

mod acceptor;
mod client_certificates;
mod client_hello;
mod connection;
mod connection_limits;
mod leaf_issuer;
mod original_dst;
mod pem;
mod proxy_protocol;
mod source;
mod state;
mod tls;
mod tunnel;

pub use acceptor::{Listener, bind};
pub use client_certificates::client_verifier;
pub use connection_limits::ConnectionLimits;
pub use leaf_issuer::LeafIssuer;
pub use pem::read_certificates;
pub use proxy_protocol::ProxyHeader;
pub use state::ListenerState;
pub use tls::{Certificates, server_config};
