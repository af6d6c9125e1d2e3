//! The source of a connection: PROXY protocol header, client address and original destination.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::observe::{DropReason, Observer};

use super::original_dst::original_dst;
use super::proxy_protocol::{self, ProxyHeader};
use super::state::ListenerState;

/// The client of a connection, and the addresses that the connection was opened to.
pub(super) struct ConnectionSource {
    /// The client's address.
    pub(super) client: IpAddr,
    /// The VPC endpoint, if the load balancer's header names one.
    pub(super) vpce_id: Option<String>,
    /// The address that the client connected to, if its connection was intercepted.
    pub(super) original_dst: Option<SocketAddr>,
}

impl ConnectionSource {
    /// Reads the source, before TLS. `None` if the connection must close.
    pub(super) async fn read(
        tcp: &mut TcpStream,
        from: SocketAddr,
        state: &ListenerState,
        observer: &Observer,
        deadline: Instant,
    ) -> Option<ConnectionSource> {
        let mut source = ConnectionSource {
            client: from.ip().to_canonical(),
            vpce_id: None,
            original_dst: None,
        };
        let record_drop = |kind, client, why: &dyn fmt::Display| {
            observer.record_dropped_connection(kind, client, why);
            None
        };
        if let Some(rules) = &state.proxy_protocol {
            let read = proxy_protocol::read(tcp, source.client, rules);
            match timeout_at(deadline, read).await {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(ProxyHeader::Local))) => {
                    // A health check: it asks only whether the connection is accepted.
                    observer.counters.health_checks.increment();
                    return None;
                }
                Ok(Ok(Some(ProxyHeader::Client { address, vpce_id }))) => {
                    (source.client, source.vpce_id) = (address, vpce_id);
                }
                Ok(Err(error)) => return record_drop(error.drop_reason()?, source.client, &error),
                Err(_) => {
                    let reason = "no whole PROXY header within `handshake-timeout`";
                    return record_drop(DropReason::ProxyTimeout, source.client, &reason);
                }
            }
        }
        if let Some(id) = &source.vpce_id
            && !state.endpoints.has_endpoint(id)
        {
            let reason = format_args!("it came through `{id}`, which this listener does not serve");
            return record_drop(DropReason::EndpointUnknown, source.client, &reason);
        }
        if let Some(intercept) = state.intercept {
            match original_dst(tcp, source.client, intercept) {
                Ok(address) => source.original_dst = Some(address),
                Err(error) => {
                    return record_drop(DropReason::NotIntercepted, source.client, &error);
                }
            }
        }
        Some(source)
    }
}
