//! What the admin port steers.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::sync::Notify;

use crate::admin::{Control, ListenerStatus, PolicyStatus, Status};
use crate::config::{self, ListenerTls};
use crate::observe::{DecisionLog, Gauge};

/// A gate that serves, from the admin port.
pub(super) struct Steering {
    pub(super) log: DecisionLog,
    pub(super) stop: Arc<Notify>,
    pub(super) status: Status,
}

impl Control for Steering {
    fn reload(&self) -> Result<(), String> {
        self.log.reopen();
        Ok(())
    }

    fn drain(&self) {
        self.stop.notify_one();
    }

    fn status(&self) -> Status {
        self.status.clone()
    }
}

/// What is known of a gate before it is bound.
#[derive(Default)]
pub(super) struct Inventory {
    policies: Vec<PolicyStatus>,
    listeners: Vec<ListenerStatus>,
}

impl Inventory {
    /// A policy document; one that is attached several times is told of once.
    pub(super) fn policy(&mut self, layer: &'static str, name: &str, text: &str, to: &str) {
        let known = self
            .policies
            .iter_mut()
            .find(|it| it.layer == layer && it.policy == name);
        if let Some(known) = known {
            return known.attached_to.push(to.to_owned());
        }
        let hash = digest(&SHA256, text.as_bytes());
        self.policies.push(PolicyStatus {
            policy: name.to_owned(),
            layer,
            attached_to: vec![to.to_owned()],
            sha256: hash.as_ref().iter().map(|b| format!("{b:02x}")).collect(),
            text: text.to_owned(),
        });
    }

    /// A listener whose certificates have been found good.
    pub(super) fn listener(&mut self, listener: &config::Listener) {
        let (ListenerTls::Files { certificate, .. } | ListenerTls::Authority { certificate, .. }) =
            &listener.tls;
        self.listeners.push(ListenerStatus {
            address: String::new(),
            endpoints: listener.endpoints.clone(),
            certificate_expires: expiry(certificate),
        });
    }

    /// All of it, for listeners bound to these addresses.
    pub(super) fn status(mut self, addresses: &[SocketAddr], now: SystemTime) -> Status {
        for (listener, address) in self.listeners.iter_mut().zip(addresses) {
            listener.address = address.to_string();
        }
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        let started = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
        Status {
            version: env!("CARGO_PKG_VERSION"),
            started: started.to_string(),
            listeners: self.listeners,
            policies: self.policies,
        }
    }
}

/// When the certificates of listeners expire.
pub(super) fn expiries(status: &Status) -> impl Iterator<Item = Gauge> {
    status.listeners.iter().filter_map(|listener| {
        let expires = listener.certificate_expires?;
        Some(Gauge {
            name: "certificate_expiry_timestamp_seconds",
            help: "When a listener's certificate, or the authority that mints them, expires",
            label: Some(("listener", listener.address.clone())),
            value: Arc::new(move || expires),
        })
    })
}

fn expiry(certificate: &Path) -> Option<i64> {
    let first = CertificateDer::from_pem_file(certificate).ok()?;
    let (_, read) = x509_parser::parse_x509_certificate(&first).ok()?;
    Some(read.validity().not_after.timestamp())
}
