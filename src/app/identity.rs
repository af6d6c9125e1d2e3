//! What the configuration says of callers, and of the gate's own identity, opened.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{self, Config, NamePattern, Problem};
use crate::credentials::{LocalStore, Own, Source, holder};
use crate::gate::{
    CertificatePattern, ClientAuthentication, EndpointOwner, IdentityMap, MappedPrincipal,
    Organization, RateRules, ReSignConfig, RoleMapping,
};
use crate::policy::{Arn, PrincipalPattern};
use crate::sigv4::account_of;

use super::load::Opening;

/// What outlives a reload: what must be kept fresh while the gate runs, and what was counted.
#[derive(Clone, Default)]
pub(super) struct Kept {
    /// Files of local credentials.
    pub(super) stores: HashMap<PathBuf, Arc<LocalStore>>,
    /// The gate's own credentials, by profile.
    pub(super) sources: Vec<Source>,
    /// How many requests a second go on.
    pub(super) rates: Arc<RateRules>,
}

impl Kept {
    /// The files' stores.
    pub(super) fn stores(&self) -> Vec<Arc<LocalStore>> {
        self.stores.values().map(Arc::clone).collect()
    }

    /// Whether nothing is to be kept fresh.
    pub(super) fn is_empty(&self) -> bool {
        self.stores.is_empty() && self.sources.is_empty()
    }
}

impl Opening<'_> {
    /// Everything that is known of callers.
    pub(super) fn principals(&mut self, config: &Config) -> IdentityMap {
        let mut principals = IdentityMap::default();
        let map = self.identity_map(config);
        for (n, account) in map.accounts.into_iter().enumerate() {
            if !is_account(&account.id) {
                let place = Place::of(config, n, config.identities.accounts.len());
                let message = format_args!("`{}` is not twelve digits", account.id);
                self.wrong(place, "account", "id", message);
            }
            let organization = Organization {
                id: account.org_id,
                paths: account.org_paths,
            };
            principals
                .organizations
                .insert(account.id.into_boxed_str(), organization);
        }
        for (n, principal) in map.principals.into_iter().enumerate() {
            let place = Place::of(config, n, config.identities.principals.len());
            self.add(place, principal, &mut principals);
        }
        for (n, certificate) in config.client_certificates.iter().enumerate() {
            let pattern = match &certificate.name {
                NamePattern::Uri(uri) => CertificatePattern::Uri(uri.clone()),
                NamePattern::Dns(dns) => CertificatePattern::Dns(dns.clone()),
            };
            let path = format!("client-certificate[{n}].principal");
            let named = self.named(&path, &certificate.principal, &principals);
            principals
                .by_certificate
                .extend(named.map(|principal| (pattern, principal)));
        }
        principals
    }

    /// A principal that is named by its ARN, with what an entry says of it.
    pub(super) fn named(
        &mut self,
        path: &str,
        arn: &str,
        principals: &IdentityMap,
    ) -> Option<Arc<MappedPrincipal>> {
        if let Some(known) = principals.by_arn.get(arn) {
            return Some(Arc::clone(known));
        }
        let Some(holder) = holder(arn, None) else {
            let message = "is not the ARN of an IAM user, role or account root";
            self.problem(path, format_args!("`{arn}` {message}"));
            return None;
        };
        Some(Arc::new(MappedPrincipal {
            holder,
            user_id: None,
            source_identity: None,
            tags: None,
            organization: Organization::default(),
        }))
    }

    /// Whose the VPC endpoint is.
    pub(super) fn owner(
        &mut self,
        place: usize,
        endpoint: &config::Endpoint,
        partition: &str,
    ) -> EndpointOwner {
        if let Some(account) = &endpoint.account
            && !is_account(account)
        {
            self.problem(
                format_args!("endpoint[{place}].vpce-account"),
                format_args!("`{account}` is not twelve digits"),
            );
        }
        let vpc = endpoint.account.as_ref().zip(endpoint.vpc.as_ref());
        EndpointOwner {
            account: endpoint.account.clone(),
            organization: Organization {
                id: endpoint.org_id.clone(),
                paths: endpoint.org_paths.clone(),
            },
            vpc_arn: vpc.map(|(account, vpc)| {
                format!(
                    "arn:{partition}:ec2:{}:{account}:vpc/{vpc}",
                    endpoint.region
                )
            }),
        }
    }

    /// How an endpoint authenticates its clients, and what it signs with.
    pub(super) fn re_sign(
        &mut self,
        place: usize,
        endpoint: &config::Endpoint,
        kept: &mut Kept,
    ) -> Option<ReSignConfig> {
        let re_sign = endpoint.re_sign.as_ref()?;
        if !cfg!(feature = "re-sign") {
            self.problem(
                format_args!("endpoint[{place}].re-sign"),
                "this program was built without the feature `re-sign`",
            );
        }
        let authenticate = match &re_sign.authenticate {
            config::Authenticate::Mtls => ClientAuthentication::Mtls,
            config::Authenticate::Loopback => ClientAuthentication::Loopback,
            config::Authenticate::Sigv4(file) => {
                ClientAuthentication::Sigv4(self.store(file, kept)?)
            }
        };
        let mut roles = Vec::new();
        for role in &re_sign.roles {
            let account = Arn::parse(&role.role).and_then(|arn| arn.account);
            let account = account.filter(|account| is_account(account));
            let Some(account) = account else {
                let path = format_args!("endpoint[{place}].re-sign.role");
                self.problem(
                    path,
                    format_args!("`{}` is not the ARN of a role", role.role),
                );
                continue;
            };
            for principal in &role.principals {
                match PrincipalPattern::parse(principal) {
                    Ok(principal) => roles.push(RoleMapping {
                        principal,
                        arn: role.role.as_str().into(),
                        account: account.to_owned(),
                    }),
                    Err(error) => {
                        self.problem(format_args!("endpoint[{place}].re-sign.role"), error);
                    }
                }
            }
        }
        Some(ReSignConfig {
            client_authentication: authenticate,
            credentials: own(
                re_sign.profile.as_deref(),
                &endpoint.region,
                kept,
                self.before.map(|it| &it.kept),
            ),
            account: re_sign.account.clone(),
            roles,
        })
    }

    /// Endpoints that name the same file share what is read of it.
    fn store(&mut self, file: &Path, kept: &mut Kept) -> Option<Arc<LocalStore>> {
        if let Some(known) = self.before.and_then(|it| it.kept.stores.get(file)) {
            let known = Arc::clone(known);
            kept.stores.insert(file.to_owned(), Arc::clone(&known));
            return Some(known);
        }
        match kept.stores.entry(file.to_owned()) {
            Entry::Occupied(known) => Some(Arc::clone(known.get())),
            Entry::Vacant(new) => match LocalStore::open(file) {
                Ok(store) => {
                    if store.keys().is_empty() {
                        let message = "holds no local credentials yet: `kinesis-gate credentials \
                                       issue` adds them, and the gate reads them as they come";
                        self.notices.push(Problem::of_file(file, message));
                    }
                    Some(Arc::clone(new.insert(Arc::new(store))))
                }
                Err(error) => {
                    self.problems.push(Problem::of_file(file, error));
                    None
                }
            },
        }
    }

    /// The entries of the configuration and of its map, without overlaps.
    fn identity_map(&mut self, config: &Config) -> config::IdentityMap {
        let mut all = config.identities.clone();
        let Some(file) = &config.identity_map else {
            return all;
        };
        let Some(text) = self.read("identity-map", file) else {
            return all;
        };
        match config::IdentityMap::parse(&text, file) {
            Ok(map) => {
                all.principals.extend(map.principals);
                all.accounts.extend(map.accounts);
                for (_, overlap) in all.overlaps() {
                    self.problems.push(Problem::of_file(file, overlap));
                }
            }
            Err(problems) => self.problems.extend(problems.0),
        }
        all
    }

    /// Tells of an entry where it stands.
    fn wrong(&mut self, place: Place<'_>, table: &str, key: &str, message: impl Display) {
        match place {
            Place::Configuration(n) => self.problem(format_args!("{table}[{n}].{key}"), message),
            Place::Map(file, n) => {
                let path = format_args!("{table}[{n}].{key}");
                self.problems.push(Problem::of_value(file, path, message));
            }
        }
    }

    fn add(&mut self, place: Place<'_>, entry: config::Principal, principals: &mut IdentityMap) {
        let Some(holder) = holder(&entry.arn, entry.session.as_deref()) else {
            return self.wrong(
                place,
                "principal",
                "arn",
                format_args!(
                    "`{}` is not the ARN of an IAM user, role or account root, or `session` is \
                     no name of a role's session",
                    entry.arn
                ),
            );
        };
        let told = entry.access_key_id.as_deref().and_then(account_of);
        if let Some(id) = &entry.access_key_id
            && told.is_some_and(|told| told.as_str() != &*holder.account)
        {
            return self.wrong(
                place,
                "principal",
                "arn",
                format_args!(
                    "`{}`: the access key id `{id}` is one of another account",
                    entry.arn
                ),
            );
        }
        let organization = Organization {
            id: entry.org_id,
            paths: entry.org_paths,
        };
        if let Some(account) = principals.organizations.get(&holder.account)
            && let (Some(own), Some(of_account)) = (&organization.id, &account.id)
            && own != of_account
        {
            return self.wrong(
                place,
                "principal",
                "arn",
                format_args!(
                    "`{}`: `org-id` is `{own}`, but that of its account is `{of_account}`",
                    entry.arn
                ),
            );
        }
        let principal = Arc::new(MappedPrincipal {
            holder,
            user_id: entry.user_id,
            source_identity: entry.source_identity,
            tags: entry.tags.map(|tags| tags.0),
            organization,
        });
        match entry.access_key_id {
            Some(id) => principals
                .by_access_key
                .insert(id.into_boxed_str(), principal),
            None => principals
                .by_arn
                .insert(entry.arn.into_boxed_str(), principal),
        };
    }
}

/// Where an entry stands: entries of the map come after those of the configuration.
#[derive(Clone, Copy)]
enum Place<'a> {
    Configuration(usize),
    Map(&'a Path, usize),
}

impl<'a> Place<'a> {
    fn of(config: &'a Config, n: usize, in_configuration: usize) -> Place<'a> {
        match (&config.identity_map, n.checked_sub(in_configuration)) {
            (Some(file), Some(n)) => Place::Map(file, n),
            _ => Place::Configuration(n),
        }
    }
}

/// Endpoints that sign with the same profile share its credentials; roles are asked for in the
/// first's region.
fn own(profile: Option<&str>, region: &str, kept: &mut Kept, before: Option<&Kept>) -> Arc<Own> {
    let of_profile = |source: &&Source| source.profile.as_deref() == profile;
    if let Some(source) = kept.sources.iter().find(of_profile) {
        return Arc::clone(&source.own);
    }
    let known = before.and_then(|before| before.sources.iter().find(of_profile));
    match known {
        Some(source) => {
            kept.sources.push(source.clone());
            Arc::clone(&source.own)
        }
        None => {
            let own = Arc::new(Own::new());
            kept.sources.push(Source {
                own: Arc::clone(&own),
                profile: profile.map(str::to_owned),
                region: region.to_owned(),
            });
            own
        }
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}
