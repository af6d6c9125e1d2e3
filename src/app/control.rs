//! What the admin port steers.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::sync::Notify;

use crate::admin::{Control, ListenerStatus, PolicyStatus, ReloadStatus, Status};
use crate::config::{self, ListenerTls};
use crate::observe::Gauge;

use super::reload::Reloader;

/// A gate that serves, from the admin port.
pub(super) struct Steering {
    pub(super) reloader: Arc<Reloader>,
    pub(super) stop: Arc<Notify>,
}

impl Control for Steering {
    fn reload(&self) -> Result<(), String> {
        self.reloader
            .reload()
            .map_err(|problems| problems.to_string())
    }

    fn drain(&self) {
        self.stop.notify_one();
    }

    fn status(&self) -> Status {
        self.reloader.status()
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
    pub(super) fn status(self, addresses: &[SocketAddr], now: SystemTime) -> Status {
        let started = timestamp(now);
        let mut status = Status {
            version: env!("CARGO_PKG_VERSION"),
            listeners: Vec::new(),
            policies: Vec::new(),
            reload: ReloadStatus {
                last_success: started.clone(),
                ..ReloadStatus::default()
            },
            started,
        };
        self.update(&mut status, addresses);
        status
    }

    /// Tells it of listeners that stay at these addresses.
    pub(super) fn update(mut self, status: &mut Status, addresses: &[SocketAddr]) {
        for (listener, address) in self.listeners.iter_mut().zip(addresses) {
            listener.address = address.to_string();
        }
        status.listeners = self.listeners;
        status.policies = self.policies;
    }
}

/// RFC 3339, to the second.
pub(super) fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    time.to_string()
}

/// What is told of reloads.
pub(super) fn reloads(reloader: &Arc<Reloader>) -> Vec<Gauge> {
    let gauge = |name, help, of: fn(&ReloadStatus) -> i64| {
        let reloader = Arc::clone(reloader);
        Gauge {
            name,
            help,
            label: None,
            value: Arc::new(move || of(&reloader.status().reload)),
        }
    };
    vec![
        gauge(
            "reload_generation",
            "Changed configurations that were taken over",
            |reload| i64::try_from(reload.generation).unwrap_or(i64::MAX),
        ),
        gauge(
            "reload_failures",
            "Changed configurations that were refused",
            |reload| i64::try_from(reload.failures).unwrap_or(i64::MAX),
        ),
        gauge(
            "reload_successful",
            "Whether the last change was taken over",
            |reload| i64::from(reload.last_error.is_none()),
        ),
    ]
}

/// When the certificates of listeners expire.
pub(super) fn expiries(reloader: &Arc<Reloader>) -> impl Iterator<Item = Gauge> {
    let listeners = reloader.status().listeners.into_iter().enumerate();
    listeners.map(|(place, listener)| {
        let reloader = Arc::clone(reloader);
        let expires = move || {
            let status = reloader.status();
            let listener = status.listeners.get(place);
            listener.and_then(|it| it.certificate_expires).unwrap_or(0)
        };
        Gauge {
            name: "certificate_expiry_timestamp_seconds",
            help: "When a listener's certificate, or the authority that mints them, expires",
            label: Some(("listener", listener.address)),
            value: Arc::new(expires),
        }
    })
}

fn expiry(certificate: &Path) -> Option<i64> {
    let first = CertificateDer::from_pem_file(certificate).ok()?;
    let (_, read) = x509_parser::parse_x509_certificate(&first).ok()?;
    Some(read.validity().not_after.timestamp())
}
