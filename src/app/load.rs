//! Opens and compiles everything a configuration names, and reports every problem at once.

mod admin;
mod document;
mod door;
mod rates;
mod traces;

use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::config::{self, Config, EndpointPolicy, Problem, Problems};
use crate::gate::{Endpoint, IdentityMap, IdentityPolicies, TokenRules};
use crate::kinesis::{partition_of, regional_endpoint};
use crate::observe::Clock;
use crate::policy::{AttachedPolicy, Attachment, Policy, PrincipalPattern};
use crate::upstream;

use super::control::Inventory;
use super::identity::Kept;
use super::{At, Loaded};

pub(super) use document::with_documents;
pub use document::{compile, knows};
use document::{options, unreadable};

/// What a process that already serves goes on with.
pub(super) struct Before {
    /// The endpoints' ids, in the order of their places.
    pub(super) endpoints: Vec<String>,
    pub(super) kept: Kept,
}

pub(super) fn open(
    config: &Config,
    file: &Path,
    clock: Clock,
    before: Option<&Before>,
) -> Result<Loaded, Problems> {
    let mut opening = Opening {
        file,
        clock,
        before,
        problems: Vec::new(),
        notices: Vec::new(),
        inventory: Inventory::default(),
    };
    let loaded = opening.all(config);
    match loaded {
        Some(loaded) if opening.problems.is_empty() => Ok(loaded),
        _ => Err(Problems(opening.problems)),
    }
}

/// Collects problems while it opens what it can.
pub(super) struct Opening<'a> {
    file: &'a Path,
    clock: Clock,
    pub(super) before: Option<&'a Before>,
    pub(super) problems: Vec<Problem>,
    pub(super) notices: Vec<Problem>,
    pub(super) inventory: Inventory,
}

impl Opening<'_> {
    fn all(&mut self, config: &Config) -> Option<Loaded> {
        let mut identity = IdentityPolicies::default();
        for candidate in [false, true] {
            let policies = config.identity_policies.iter().enumerate();
            for (place, policy) in policies.filter(|(_, it)| it.candidate == candidate) {
                self.identity(place, policy, &mut identity);
            }
            if !candidate {
                identity.enforced_count = identity.policies.len();
            }
        }
        let identity = Arc::new(identity);
        let principals = Arc::new(self.principals(config));
        let mut kept = Kept {
            rates: Arc::new(self.rates(config)),
            ..Kept::default()
        };
        let endpoints: Vec<Option<Arc<Endpoint>>> = config
            .endpoints
            .iter()
            .enumerate()
            .map(|(place, endpoint)| {
                self.endpoint(place, endpoint, &identity, &principals, &mut kept)
            })
            .collect();
        let upstream = self.upstream(config);
        let by_id: HashMap<&str, &Arc<Endpoint>> = endpoints
            .iter()
            .flatten()
            .map(|endpoint| (&*endpoint.id, endpoint))
            .collect();
        let doors: Vec<At> = config
            .listeners
            .iter()
            .enumerate()
            .filter_map(|(place, listener)| {
                let ids = listener.endpoints.iter();
                let endpoints = ids.map(|id| by_id.get(id.as_str()).map(|known| Arc::clone(known)));
                let endpoints = endpoints.collect::<Option<Vec<_>>>()?;
                self.door(place, listener, endpoints, Arc::clone(&principals))
            })
            .collect();
        let tokens = self.tokens(&config.tokens);
        let access = self.access(&config.admin);
        let traces = config.traces.as_ref().map(|traces| self.traces(traces));
        Some(Loaded {
            file: self.file.to_owned(),
            config: config.clone(),
            workers: config.workers,
            limits: config.limits.clone(),
            log: config.log.clone(),
            metrics: config.metrics.clone(),
            upstream: upstream?,
            admin: config.admin.address,
            access: access?,
            inventory: std::mem::take(&mut self.inventory),
            endpoints: config
                .endpoints
                .iter()
                .map(|endpoint| endpoint.id.clone())
                .collect(),
            doors,
            tokens: tokens?,
            traces: match traces {
                Some(traces) => Some(traces?),
                None => None,
            },
            kept,
            services: services(&config.listeners, &by_id),
            notices: std::mem::take(&mut self.notices),
            clock: self.clock,
        })
    }

    fn endpoint(
        &mut self,
        place: usize,
        endpoint: &config::Endpoint,
        identity: &Arc<IdentityPolicies>,
        principals: &IdentityMap,
        kept: &mut Kept,
    ) -> Option<Arc<Endpoint>> {
        let region = &endpoint.region;
        let names = partition_of(region).zip(regional_endpoint(region));
        if names.is_none() {
            self.problem(
                format_args!("endpoint[{place}].region"),
                format_args!("`{region}` is no AWS region such as `us-east-1`"),
            );
        }
        let policy = match &endpoint.policy {
            EndpointPolicy::File(file) => {
                let path = format!("endpoint[{place}].policy");
                self.policy(&path, file, &endpoint.id, Some(endpoint))
            }
            EndpointPolicy::FullAccess => Some((
                "default-full-access".into(),
                Policy::full_access(&options(Attachment::Endpoint)),
            )),
        };
        let candidate = endpoint.candidate.as_ref().and_then(|file| {
            let (path, to) = (
                format!("endpoint[{place}].candidate"),
                format!("{} (candidate)", endpoint.id),
            );
            self.policy(&path, file, &to, Some(endpoint))
        });
        let path = format!("endpoint[{place}].principal");
        let stated = endpoint.principal.as_ref();
        let principal = stated.and_then(|arn| self.named(&path, arn, principals));
        let re_sign = self.re_sign(place, endpoint, kept);
        let (partition, service_name) = names?;
        let owner = self.owner(place, endpoint, partition);
        let (policy_name, policy) = policy?;
        let mut endpoint = Endpoint {
            index: self.counted_at(place, &endpoint.id),
            id: endpoint.id.as_str().into(),
            vpc: endpoint.vpc.clone(),
            region: region.clone(),
            partition,
            service_name,
            networks: endpoint.networks.clone(),
            policy,
            policy_name,
            mode: endpoint.mode,
            candidate,
            identity_policies: Arc::clone(identity),
            rate_rules: Arc::clone(&kept.rates),
            token_rules: TokenRules::default(),
            principal,
            owner,
            re_sign,
        };
        endpoint.token_rules = TokenRules::of(&endpoint);
        Some(Arc::new(endpoint))
    }

    /// Where an endpoint's requests are counted: one that came later shares the last place.
    fn counted_at(&self, place: usize, id: &str) -> usize {
        let Some(Before { endpoints, .. }) = self.before else {
            return place;
        };
        let known = endpoints.iter().position(|known| known == id);
        known.unwrap_or(endpoints.len())
    }

    /// A policy is compiled once for each principal that it is attached to.
    fn identity(
        &mut self,
        place: usize,
        identity: &config::IdentityPolicy,
        into: &mut IdentityPolicies,
    ) {
        let path = format!("identity-policy[{place}].file");
        for (n, principal) in identity.principals.iter().enumerate() {
            match PrincipalPattern::parse(principal) {
                Ok(to) => {
                    let Some((name, policy)) = self.policy(&path, &identity.file, principal, None)
                    else {
                        return;
                    };
                    into.names.push(name);
                    into.policies.push(AttachedPolicy { to, policy });
                }
                Err(error) => {
                    self.problem(
                        format_args!("identity-policy[{place}].principals[{n}]"),
                        error,
                    );
                }
            }
        }
    }

    fn upstream(&mut self, config: &Config) -> Option<upstream::Settings> {
        let roots = match &config.upstream.ca_file {
            Some(file) => self.roots_of("upstream.ca-file", file)?,
            None => self.system_roots("upstream")?,
        };
        let settings = upstream::Settings {
            connect: config.upstream.connect.clone(),
            addresses: config.upstream.addresses.clone(),
            dns: config.upstream.dns.clone(),
            server_name: config.upstream.server_name.clone(),
            roots: Arc::new(roots),
            connect_timeout: config.limits.connect_timeout,
            response_timeout: config.limits.response_timeout,
            idle: config.limits.upstream_idle,
            own: upstream::Own::default(),
        };
        match upstream::Upstream::new(&settings) {
            Ok(_) => Some(settings),
            Err(error) => {
                self.problem("upstream", error);
                None
            }
        }
    }

    fn roots_of(&mut self, path: &str, file: &Path) -> Option<RootCertStore> {
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_file_iter(file)
            .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>());
        match certificates {
            Ok(certificates) => {
                roots.add_parsable_certificates(certificates);
                if roots.is_empty() {
                    self.problem(
                        path,
                        format_args!("`{}` holds no CA certificate in PEM", file.display()),
                    );
                    return None;
                }
                Some(roots)
            }
            Err(error) => {
                self.problem(
                    path,
                    format_args!(
                        "`{}` holds no CA certificate in PEM: {error}",
                        file.display()
                    ),
                );
                None
            }
        }
    }

    fn system_roots(&mut self, path: &str) -> Option<RootCertStore> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            self.problem(path, "the system has no root certificates: name `ca-file`");
            return None;
        }
        Some(roots)
    }

    pub(super) fn read(&mut self, path: &str, file: &Path) -> Option<String> {
        std::fs::read_to_string(file)
            .map_err(|error| {
                self.problems
                    .push(unreadable(self.file, path, file, &error))
            })
            .ok()
    }

    pub(super) fn problem(&mut self, path: impl Display, message: impl Display) {
        let problem = Problem::of_value(self.file, path, message);
        self.problems.push(problem);
    }
}

/// The names of the endpoints that clients of listeners which intercept nothing are led to.
fn services(
    listeners: &[config::Listener],
    endpoints: &HashMap<&str, &Arc<Endpoint>>,
) -> Vec<String> {
    let led = listeners
        .iter()
        .filter(|listener| listener.intercept.is_none());
    let mut names: Vec<String> = led
        .flat_map(|listener| &listener.endpoints)
        .filter_map(|id| endpoints.get(id.as_str()))
        .map(|endpoint| endpoint.service_name.clone())
        .collect();
    names.sort();
    names.dedup();
    names
}
