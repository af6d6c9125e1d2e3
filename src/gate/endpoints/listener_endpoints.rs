//! The endpoints of one listener, their host names, and the selection of one for a connection.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;

use crate::config::{HostNames, Tunnel};

use super::client_certificate::subject_alt_names;
use super::endpoint::Endpoint;
use super::identity_map::{CertificateIdentity, IdentityMap};

/// The endpoints behind one listener. Read-only, shared by every event loop.
pub struct ListenerEndpoints {
    /// The endpoints; [`ListenerEndpoints::select_endpoint`] chooses one for a connection.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// The configured facts about callers.
    pub identity_map: Arc<IdentityMap>,
    /// Host names of this listener that are not Kinesis endpoint names.
    pub names: HostNames,
    /// Whether the listener accepts intercepted connections, which clients opened to another
    /// address. Their clients use the names of Kinesis endpoints only.
    pub is_intercepting: bool,
    /// Hosts that clients may reach through a TLS tunnel.
    pub tunnels: Vec<Tunnel>,
    /// Verifies client certificates, where clients present them.
    pub client_verifier: Option<Arc<dyn ClientCertVerifier>>,
}

/// The inputs of the selection of a connection's endpoint.
#[derive(Debug, Clone, Copy)]
pub struct EndpointQuery<'a> {
    /// The client's address.
    pub peer: IpAddr,
    /// The endpoint's id, from the load balancer's PROXY header.
    pub vpce_id: Option<&'a str>,
    /// The name in the client's SNI, in lower case.
    pub server_name: Option<&'a str>,
}

/// Why no endpoint is selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelectError {
    /// The load balancer names an endpoint that is not behind this listener.
    UnknownEndpoint,
    /// The client is in no network of these endpoints.
    OutsideNetworks,
    /// None of the remaining endpoints has the name.
    UnknownName,
    /// Several endpoints remain.
    Ambiguous,
}

impl ListenerEndpoints {
    /// Selects the one endpoint that the load balancer's id, client's network and name match.
    ///
    /// # Errors
    /// If no endpoint matches, or more than one: there is no default.
    pub fn select_endpoint(
        &self,
        query: &EndpointQuery<'_>,
    ) -> Result<&Arc<Endpoint>, SelectError> {
        let has_id = |endpoint: &&Arc<Endpoint>| query.vpce_id.is_none_or(|id| *endpoint.id == *id);
        let admits = |endpoint: &&Arc<Endpoint>| endpoint.admits(query.peer);
        let has_name = |endpoint: &&Arc<Endpoint>| match query.server_name {
            Some(name) => self.is_own(name) || endpoint.route(name).is_some(),
            None => !self.is_intercepting,
        };
        let candidates = || self.endpoints.iter().filter(has_id);
        let mut remaining = candidates().filter(admits).filter(has_name);
        match (remaining.next(), remaining.next()) {
            (Some(endpoint), None) => Ok(endpoint),
            (Some(_), Some(_)) => Err(SelectError::Ambiguous),
            (None, _) if candidates().next().is_none() => Err(SelectError::UnknownEndpoint),
            (None, _) if !candidates().any(|endpoint| admits(&endpoint)) => {
                Err(SelectError::OutsideNetworks)
            }
            (None, _) => Err(SelectError::UnknownName),
        }
    }

    /// The identity that the first of a client's certificates maps to; `None` without certificates.
    pub fn identify_certificate(
        &self,
        certificates: &[CertificateDer<'_>],
    ) -> Option<CertificateIdentity> {
        let leaf = certificates.first()?;
        Some(
            self.identity_map
                .identify_certificate(&subject_alt_names(leaf)),
        )
    }

    /// Whether an endpoint with this id is behind this listener.
    pub fn has_endpoint(&self, id: &str) -> bool {
        self.endpoints.iter().any(|endpoint| *endpoint.id == *id)
    }

    /// Whether a client may ask for `name`, in lower case.
    pub fn serves(&self, name: &str) -> bool {
        self.is_own(name)
            || self
                .endpoints
                .iter()
                .any(|endpoint| endpoint.route(name).is_some())
    }

    /// The tunnel for `name`, in lower case.
    pub fn tunnel(&self, name: &str) -> Option<&Tunnel> {
        self.tunnels.iter().find(|tunnel| tunnel.name == name)
    }

    /// Whether `name` is an endpoint override: one of this listener and not of a Kinesis endpoint.
    pub(in crate::gate) fn is_own(&self, name: &str) -> bool {
        let is_address = || name.parse::<IpAddr>().is_ok();
        !self.is_intercepting && (name == "localhost" || is_address() || self.names.contains(name))
    }
}
