//! The state of a listener that a reload replaces whole: endpoints, certificates, interception.

use std::sync::Arc;

use rustls::ServerConfig;
use tokio::sync::futures::OwnedNotified;

use crate::config::{Intercept, ProxyProtocol};
use crate::gate::{ListenerEndpoints, SnapshotCell, SnapshotSource};

/// What a listener serves, and to whom.
pub struct ListenerState {
    /// The endpoints, and the names they answer to.
    pub endpoints: Arc<ListenerEndpoints>,
    /// Certificates and ALPN.
    pub tls: Arc<ServerConfig>,
    /// The load balancers whose PROXY protocol headers are believed.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// How connections to another address reach the listener.
    pub intercept: Option<Intercept>,
}

impl SnapshotSource for SnapshotCell<ListenerState> {
    fn generation(&self) -> u64 {
        SnapshotCell::generation(self)
    }

    fn load(&self) -> (u64, Arc<ListenerEndpoints>) {
        let (generation, state) = SnapshotCell::load(self);
        (generation, Arc::clone(&state.endpoints))
    }

    fn changed(&self) -> OwnedNotified {
        SnapshotCell::changed(self)
    }
}
