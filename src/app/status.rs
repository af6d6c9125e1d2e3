//! The status of a gate, for the admin port: its policies, listeners and reloads.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::admin::{ListenerStatus, PolicyStatus, ReloadStatus, Status};
use crate::config::{self, ListenerTls};

/// The policies and listeners of a configuration, before they are in force.
#[derive(Default)]
pub(super) struct Inventory {
    policies: Vec<PolicyStatus>,
    listeners: Vec<ListenerStatus>,
}

impl Inventory {
    /// Adds a policy document, once for all of its attachments.
    pub(super) fn add_policy(&mut self, layer: &'static str, name: &str, text: &str, to: &str) {
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

    /// Adds a listener whose certificates are valid.
    pub(super) fn add_listener(&mut self, listener: &config::Listener) {
        let (ListenerTls::Files { certificate, .. } | ListenerTls::Authority { certificate, .. }) =
            &listener.tls;
        self.listeners.push(ListenerStatus {
            address: String::new(),
            endpoints: listener.endpoints.clone(),
            certificate_expires: expiry(certificate),
        });
    }

    /// The status of a gate that starts with this inventory and listens at these addresses.
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

    /// Replaces the policies and listeners of a status. The listeners keep these addresses.
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

fn expiry(certificate: &Path) -> Option<i64> {
    let first = CertificateDer::from_pem_file(certificate).ok()?;
    let (_, read) = x509_parser::parse_x509_certificate(&first).ok()?;
    Some(read.validity().not_after.timestamp())
}
