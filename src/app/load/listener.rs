//! Listeners: certificates, endpoints and tunnels.

use std::sync::Arc;

use crate::app::loaded_gate::LoadedListener;
use crate::config::{self, ListenerTls, Tunnel};
use crate::gate::{Endpoint, IdentityMap, ListenerEndpoints};
use crate::kinesis::{Host, canonical_host};
use crate::listener::{Certificates, LeafIssuer, ListenerState, client_verifier, server_config};

use super::loader::Loader;

impl Loader<'_> {
    pub(super) fn listener(
        &mut self,
        index: usize,
        listener: &config::Listener,
        endpoints: Vec<Arc<Endpoint>>,
        principals: Arc<IdentityMap>,
    ) -> Option<LoadedListener> {
        for (n, tunnel) in listener.tunnels.iter().enumerate() {
            let is_own = tunnel.name == "localhost" || listener.names.contains(&tunnel.name);
            if is_own || is_kinesis(&tunnel.name) {
                self.problem(
                    format_args!("listener[{index}].tunnels[{n}]"),
                    format_args!(
                        "the tunnel `{}` would take what clients send to Kinesis past every policy: \
                         name other services only",
                        tunnel.name
                    ),
                );
            }
        }
        let certificates = match &listener.tls {
            ListenerTls::Files { certificate, key } => Certificates::from_files(certificate, key),
            ListenerTls::Authority { certificate, key } => {
                let names = names_without_sni(listener, &endpoints);
                LeafIssuer::from_files(certificate, key, names, self.clock)
                    .map(|issuer| Certificates::Issuer(Box::new(issuer)))
            }
        };
        let clients = listener.client_auth.as_ref().map(|clients| {
            client_verifier(&clients.authorities, &clients.crls, clients.is_required)
        });
        let path = format!("listener[{index}].tls");
        let clients = self.accept(&path, clients.transpose()).flatten();
        let site = Arc::new(ListenerEndpoints {
            client_verifier: clients,
            endpoints,
            identity_map: principals,
            names: listener.names.clone(),
            is_intercepting: listener.intercept.is_some(),
            tunnels: listener.tunnels.iter().map(Tunnel::clone).collect(),
        });
        let tls = certificates.and_then(|certificates| {
            server_config(certificates, Arc::clone(&site)).map_err(|error| error.to_string())
        });
        let tls = self.accept(&path, tls)?;
        self.inventory.add_listener(listener);
        Some(LoadedListener {
            address: listener.address,
            state: Arc::new(ListenerState {
                endpoints: site,
                tls: Arc::new(tls),
                proxy_protocol: listener.proxy_protocol.clone(),
                intercept: listener.intercept,
            }),
        })
    }
}

/// The names on the certificate for a client without SNI.
fn names_without_sni(listener: &config::Listener, endpoints: &[Arc<Endpoint>]) -> Vec<String> {
    let address = listener.address.ip();
    let own = (!address.is_unspecified() && !address.is_loopback()).then(|| address.to_string());
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    names.extend(own);
    for endpoint in endpoints {
        if !names.contains(&endpoint.service_name) {
            names.push(endpoint.service_name.clone());
        }
    }
    names.extend(listener.names.iter().map(str::to_owned));
    names
}

/// Whether a name is a Kinesis endpoint's, or may become one in a future region.
fn is_kinesis(name: &str) -> bool {
    let is_service = |label: &str| {
        let words: Vec<&str> = label.split('-').collect();
        words.contains(&"kinesis")
    };
    Host::parse(&canonical_host(name)).is_some() || name.split('.').any(is_service)
}
