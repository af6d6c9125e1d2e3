//! What holds now: sites that are replaced whole while their connections stay.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::pki_types::UnixTime;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::site::{Arrival, Site};
use super::worker::Connection;

/// A value that is replaced whole while others read it. Whoever looks often compares generations,
/// one load of a line that hardly ever changes, and takes the lock only when they differ.
#[derive(Debug)]
pub struct Live<T> {
    generation: AtomicU64,
    value: RwLock<Arc<T>>,
    replaced: Arc<Notify>,
}

/// The site of one listener, as it is now.
pub trait Sites: Send + Sync {
    /// Which it is; grows with each.
    fn generation(&self) -> u64;
    /// It, and which it is.
    fn site(&self) -> (u64, Arc<Site>);
    /// Waits, from now on, until it is another.
    fn replaced(&self) -> OwnedNotified;
}

/// A client's connection as one request after the other finds it.
pub struct Visit {
    sites: Arc<dyn Sites>,
    generation: Cell<u64>,
    current: RefCell<Rc<Connection>>,
    expelled: Notify,
}

impl<T> Live<T> {
    /// The first value.
    pub fn new(value: Arc<T>) -> Live<T> {
        Live {
            generation: AtomicU64::new(0),
            value: RwLock::new(value),
            replaced: Arc::default(),
        }
    }

    /// Which value holds.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The value, and which it is.
    pub fn read(&self) -> (u64, Arc<T>) {
        let value = self.value.read().unwrap_or_else(PoisonError::into_inner);
        (self.generation(), Arc::clone(&value))
    }

    /// Lets another value hold.
    pub fn replace(&self, value: Arc<T>) {
        let mut held = self.value.write().unwrap_or_else(PoisonError::into_inner);
        *held = value;
        self.generation.fetch_add(1, Ordering::Release);
        drop(held);
        self.replaced.notify_waiters();
    }

    /// Waits, from now on, until another value holds.
    pub fn replaced(&self) -> OwnedNotified {
        Arc::clone(&self.replaced).notified_owned()
    }
}

impl Visit {
    /// A connection that was accepted at a site of this generation.
    pub fn new(sites: Arc<dyn Sites>, generation: u64, connection: Connection) -> Visit {
        Visit {
            sites,
            generation: Cell::new(generation),
            current: RefCell::new(Rc::new(connection)),
            expelled: Notify::new(),
        }
    }

    /// The connection for a request that begins now.
    ///
    /// INVARIANT: a request keeps what it gets here to its end, so that all of its decision is by
    /// one state of policies, principals and certificates.
    pub fn connection(&self, now: impl FnOnce() -> SystemTime) -> Rc<Connection> {
        if self.sites.generation() != self.generation.get() {
            let (generation, site) = self.sites.site();
            let connection = self.current.borrow().renewed(site, now());
            if connection.expelled.is_some() {
                self.expelled.notify_one();
            }
            self.current.replace(Rc::new(connection));
            self.generation.set(generation);
        }
        Rc::clone(&self.current.borrow())
    }

    /// Waits, from now on, for the next reload.
    pub(super) fn reload(&self) -> OwnedNotified {
        self.sites.replaced()
    }

    /// Waits until it may not go on: it is closed when the requests under way are answered.
    pub async fn expelled(&self) {
        self.expelled.notified().await;
    }
}

impl Connection {
    /// The same connection under another state of its listener.
    fn renewed(&self, site: Arc<Site>, now: SystemTime) -> Connection {
        let arrival = Arrival {
            peer: self.peer,
            vpce: Some(&self.endpoint().id),
            name: self.server_name.as_deref(),
        };
        let (endpoint, mut expelled) = match site.choose(&arrival) {
            Ok(endpoint) => (Arc::clone(endpoint), None),
            Err(_) => (
                Arc::clone(self.endpoint()),
                Some("its connection is of no endpoint any more"),
            ),
        };
        if !self.is_still_taken(&site, now) {
            expelled = Some("its client certificate is not taken any more");
        }
        let certified = site.certified(&self.shown);
        let mut connection = Connection::new(site, endpoint, self.peer);
        connection.server_name.clone_from(&self.server_name);
        connection.destination = self.destination;
        connection.certified = certified;
        connection.shown.clone_from(&self.shown);
        connection.expelled = expelled;
        connection
    }

    /// Whether a handshake with the client's certificate would succeed now.
    fn is_still_taken(&self, site: &Site, now: SystemTime) -> bool {
        let Some(clients) = &site.clients else {
            return true;
        };
        let Some((leaf, others)) = self.shown.split_first() else {
            return !clients.client_auth_mandatory();
        };
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(now);
        clients.verify_client_cert(leaf, others, now).is_ok()
    }
}
