//! A loaded configuration: all files that it names are opened, compiled and validated.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::admin::Access;
use crate::config::{Config, Problem};
use crate::listener::ListenerState;
use crate::observe::{Clock, TraceSettings};
use crate::tokens::TokenStore;
use crate::upstream;

use super::persistent::PersistentState;
use super::status::Inventory;

/// A configuration, with all files that it names opened, compiled and validated.
pub struct LoadedGate {
    pub(super) file: PathBuf,
    pub(super) config: Config,
    pub(super) upstream: upstream::Settings,
    pub(super) access: Access,
    pub(super) inventory: Inventory,
    pub(super) listeners: Vec<LoadedListener>,
    /// The host names of upstream connections, unless clients name others.
    pub(super) services: Vec<String>,
    pub(super) tokens: Arc<TokenStore>,
    pub(super) traces: Option<TraceSettings>,
    pub(super) persistent: PersistentState,
    pub(super) notices: Vec<Problem>,
    pub(super) clock: Clock,
}

/// A listener that is loaded but not bound.
pub(super) struct LoadedListener {
    pub(super) address: SocketAddr,
    pub(super) state: Arc<ListenerState>,
}

impl LoadedGate {
    /// Notices for the operator before traffic comes: statements that depend on facts unknown to
    /// this gate.
    pub fn notices(&self) -> &[Problem] {
        &self.notices
    }

    /// The files that may be open at once: for each client a connection and an upstream connection,
    /// and some of the gate's own.
    pub fn open_files(&self) -> u64 {
        const OWN: u64 = 128;
        let connections = self.config.limits.connections as u64;
        connections.saturating_mul(2).saturating_add(OWN)
    }

    /// The ids of the endpoints, in the configuration's order.
    pub(super) fn endpoint_ids(&self) -> Vec<String> {
        let endpoints = self.config.endpoints.iter();
        endpoints.map(|endpoint| endpoint.id.clone()).collect()
    }

    /// Event loops, each on a thread of its own.
    pub(super) fn worker_count(&self) -> usize {
        match self.config.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        }
    }
}
