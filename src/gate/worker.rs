//! What a request is handled with: its event loop's share of the gate, and its connection.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use tokio::sync::Semaphore;

use crate::config::{Limits, OnReload};
use crate::observe::Observer;
use crate::tokens::TokenStoreHandle;
use crate::upstream::Upstream;

use super::principals::Certified;
use super::site::Route;
use super::{Endpoint, Site};

/// One event loop's share of the gate. Nothing of it is shared with another loop but what is
/// read-only.
pub struct Worker {
    /// Counters and the decision log.
    pub observer: Rc<Observer>,
    /// Connections to Kinesis.
    pub upstream: Upstream,
    /// Caps and deadlines.
    pub limits: Limits,
    /// What becomes of open event streams that a reload denies.
    pub on_reload: OnReload,
    /// Bytes of request bodies this loop may still hold.
    pub budget: Arc<Semaphore>,
    /// What opaque tokens stand for.
    pub tokens: TokenStoreHandle,
}

/// What is known of a connection before its first request.
pub struct Connection {
    /// Where it came in.
    pub site: Arc<Site>,
    /// INVARIANT: read through [`Connection::endpoint`] only, once for each request.
    endpoint: Arc<Endpoint>,
    /// The client's address.
    pub peer: IpAddr,
    /// The name the client asked for, in lower case.
    pub server_name: Option<String>,
    /// Where the client connected to, if its connection was intercepted: its requests go there.
    pub destination: Option<SocketAddr>,
    /// Whose certificate the client showed, if it showed one.
    pub certified: Option<Certified>,
    /// The certificates it showed, its own first.
    pub shown: Arc<[CertificateDer<'static>]>,
    /// Why it may ask nothing any more, since what it was accepted under has changed.
    pub(super) expelled: Option<&'static str>,
}

impl Connection {
    /// A connection that came in at `site` through one of its endpoints.
    pub fn new(site: Arc<Site>, endpoint: Arc<Endpoint>, peer: IpAddr) -> Connection {
        Connection {
            site,
            endpoint,
            peer,
            server_name: None,
            destination: None,
            certified: None,
            shown: Arc::default(),
            expelled: None,
        }
    }

    /// The endpoint whose policy holds.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// The way that a name, without its port and in lower case, leads; `None` for every name that
    /// is neither a Kinesis endpoint of the endpoint's region nor one of the listener's own.
    pub(super) fn route<'a>(&'a self, name: &'a str) -> Option<Route<'a>> {
        if self.site.is_own(name) {
            Some(self.endpoint.service())
        } else {
            self.endpoint.route(name)
        }
    }
}
