//! The client connection: listener, endpoint, addresses and certificate, for the current snapshot.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::pki_types::{CertificateDer, UnixTime};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::reject::Rejection;

use super::endpoints::{CertificateIdentity, Endpoint, EndpointQuery, ListenerEndpoints, Route};
use super::snapshot::SnapshotSource;

/// A client connection across reloads. [`ClientConnection::info`] gives each request its snapshot.
pub struct ClientConnection {
    source: Arc<dyn SnapshotSource>,
    generation: Cell<u64>,
    current: RefCell<Rc<ConnectionInfo>>,
    revoked: Notify,
}

/// The properties of a client connection under one snapshot.
pub struct ConnectionInfo {
    /// The listener that accepted the connection.
    pub listener: Arc<ListenerEndpoints>,
    /// INVARIANT: read through [`ConnectionInfo::endpoint`] only, once for each request.
    endpoint: Arc<Endpoint>,
    /// The client's address.
    pub peer: IpAddr,
    /// The name in the client's SNI, in lower case.
    pub server_name: Option<String>,
    /// The original destination of an intercepted connection. Requests are sent there.
    pub original_destination: Option<SocketAddr>,
    /// The identity that the client certificate maps to, if the client presented one.
    pub certificate_identity: Option<CertificateIdentity>,
    /// The certificates that the client presented, its own first.
    pub client_certificates: Arc<[CertificateDer<'static>]>,
    /// Why a reload has revoked the connection. Requests of a revoked connection are refused.
    revoked: Option<&'static str>,
}

impl ClientConnection {
    /// A connection that was accepted under the snapshot of this generation.
    pub fn new(
        source: Arc<dyn SnapshotSource>,
        generation: u64,
        connection: ConnectionInfo,
    ) -> ClientConnection {
        ClientConnection {
            source,
            generation: Cell::new(generation),
            current: RefCell::new(Rc::new(connection)),
            revoked: Notify::new(),
        }
    }

    /// The connection under the current snapshot, for a request that begins now.
    ///
    /// INVARIANT: a request keeps this value to its end, so that one snapshot of policies,
    /// principals and certificates makes its whole decision.
    pub fn info(&self, now: impl FnOnce() -> SystemTime) -> Rc<ConnectionInfo> {
        if self.source.generation() != self.generation.get() {
            let (generation, listener) = self.source.load();
            let connection = self.current.borrow().renewed(listener, now());
            if connection.revoked.is_some() {
                self.revoked.notify_one();
            }
            self.current.replace(Rc::new(connection));
            self.generation.set(generation);
        }
        Rc::clone(&self.current.borrow())
    }

    /// Completes at the next reload after this call.
    pub(super) fn changed(&self) -> OwnedNotified {
        self.source.changed()
    }

    /// Completes when a reload revokes the connection, which closes after the requests in flight.
    pub async fn revoked(&self) {
        self.revoked.notified().await;
    }
}

impl ConnectionInfo {
    /// A connection that `listener` accepted for one of its endpoints.
    pub fn new(
        listener: Arc<ListenerEndpoints>,
        endpoint: Arc<Endpoint>,
        peer: IpAddr,
    ) -> ConnectionInfo {
        ConnectionInfo {
            listener,
            endpoint,
            peer,
            server_name: None,
            original_destination: None,
            certificate_identity: None,
            client_certificates: Arc::default(),
            revoked: None,
        }
    }

    /// The endpoint whose policy decides.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// # Errors
    /// [`Rejection::UnknownClient`], if a reload has revoked the connection.
    pub(super) fn check_not_revoked(&self) -> Result<(), Rejection> {
        match self.revoked {
            Some(why) => Err(Rejection::UnknownClient(why)),
            None => Ok(()),
        }
    }

    /// The route of a host name, without port and in lower case.
    ///
    /// # Errors
    /// [`Rejection::MisdirectedRequest`] for a name that is neither a Kinesis endpoint of the
    /// endpoint's region nor one of the listener's own.
    pub(super) fn route<'a>(&'a self, name: &'a str) -> Result<Route<'a>, Rejection> {
        if self.listener.is_own(name) {
            return Ok(self.endpoint.service());
        }
        let route = self.endpoint.route(name);
        route.ok_or_else(|| Rejection::MisdirectedRequest(name.to_owned()))
    }

    /// The same connection under another snapshot of its listener.
    fn renewed(&self, listener: Arc<ListenerEndpoints>, now: SystemTime) -> ConnectionInfo {
        let query = EndpointQuery {
            peer: self.peer,
            vpce_id: Some(&self.endpoint.id),
            server_name: self.server_name.as_deref(),
        };
        let (endpoint, mut revoked) = match listener.select_endpoint(&query) {
            Ok(endpoint) => (Arc::clone(endpoint), None),
            Err(_) => (
                Arc::clone(&self.endpoint),
                Some("its connection is of no endpoint any more"),
            ),
        };
        if !self.has_valid_certificate(&listener, now) {
            revoked = Some("its client certificate is not taken any more");
        }
        ConnectionInfo {
            certificate_identity: listener.identify_certificate(&self.client_certificates),
            listener,
            endpoint,
            peer: self.peer,
            server_name: self.server_name.clone(),
            original_destination: self.original_destination,
            client_certificates: Arc::clone(&self.client_certificates),
            revoked,
        }
    }

    /// Whether a TLS handshake with the client's certificates would succeed now.
    fn has_valid_certificate(&self, listener: &ListenerEndpoints, now: SystemTime) -> bool {
        let Some(verifier) = &listener.client_verifier else {
            return true;
        };
        let Some((leaf, others)) = self.client_certificates.split_first() else {
            return !verifier.client_auth_mandatory();
        };
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(now);
        verifier.verify_client_cert(leaf, others, now).is_ok()
    }
}
