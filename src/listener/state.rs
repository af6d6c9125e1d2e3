//! The state of a listener, which a reload replaces whole: endpoints, certificates, interception.

use std::sync::Arc;

use rustls::ServerConfig;
use tokio::sync::futures::OwnedNotified;

use crate::config::{Intercept, ProxyProtocol};
use crate::gate::{ListenerEndpoints, SnapshotCell, SnapshotSource};

/// The state of one listener under one snapshot.
pub struct ListenerState {
    /// The endpoints and their host names.
    pub endpoints: Arc<ListenerEndpoints>,
    /// Certificates and ALPN.
    pub tls: Arc<ServerConfig>,
    /// The load balancers whose PROXY protocol headers are trusted.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// How intercepted connections reach the listener.
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
