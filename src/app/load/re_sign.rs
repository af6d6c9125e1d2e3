//! Re-signing: how clients authenticate, the gate's own credentials, and the roles to assume.

use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::Arc;

use crate::app::persistent::PersistentState;
use crate::config::{self, Problem};
use crate::credentials::{CredentialSource, LocalStore, UpstreamCredentials};
use crate::gate::{ClientAuthentication, ReSignConfig, RoleMapping};
use crate::policy::{Arn, PrincipalPattern};

use super::identity_map::is_account;
use super::loader::Loader;

impl Loader<'_> {
    /// How an endpoint authenticates its clients, and the credentials that it signs with.
    pub(super) fn re_sign(
        &mut self,
        index: usize,
        endpoint: &config::Endpoint,
        persistent: &mut PersistentState,
    ) -> Option<ReSignConfig> {
        let re_sign = endpoint.re_sign.as_ref()?;
        if !cfg!(feature = "re-sign") {
            let message = "this program was built without the feature `re-sign`";
            self.problem(format_args!("endpoint[{index}].re-sign"), message);
        }
        let authenticate = match &re_sign.authenticate {
            config::Authenticate::Mtls => ClientAuthentication::Mtls,
            config::Authenticate::Loopback => ClientAuthentication::Loopback,
            config::Authenticate::Sigv4(file) => {
                ClientAuthentication::Sigv4(self.store(file, persistent)?)
            }
        };
        let path = format!("endpoint[{index}].re-sign.role");
        let mut roles = Vec::new();
        for role in &re_sign.roles {
            let account = Arn::parse(&role.role).and_then(|arn| arn.account);
            let Some(account) = account.filter(|account| is_account(account)) else {
                self.problem(
                    &path,
                    format_args!("`{}` is not the ARN of a role", role.role),
                );
                continue;
            };
            for principal in &role.principals {
                let principal = self.accept(&path, PrincipalPattern::parse(principal));
                roles.extend(principal.map(|principal| RoleMapping {
                    principal,
                    arn: role.role.as_str().into(),
                    account: account.to_owned(),
                }));
            }
        }
        Some(ReSignConfig {
            client_authentication: authenticate,
            credentials: self.own(re_sign.profile.as_deref(), &endpoint.region, persistent),
            account: re_sign.account.clone(),
            roles,
        })
    }

    /// A store of local credentials. Endpoints that name the same file share one store.
    fn store(&mut self, file: &Path, persistent: &mut PersistentState) -> Option<Arc<LocalStore>> {
        let new = match persistent.stores.entry(file.to_owned()) {
            Entry::Occupied(known) => return Some(Arc::clone(known.get())),
            Entry::Vacant(new) => new,
        };
        if let Some(known) = self.previous.and_then(|it| it.persistent.stores.get(file)) {
            return Some(Arc::clone(new.insert(Arc::clone(known))));
        }
        match LocalStore::open(file) {
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
        }
    }

    /// The gate's own credentials of a profile. Endpoints with the same profile share them. Roles
    /// are assumed in the region of the first endpoint.
    fn own(
        &self,
        profile: Option<&str>,
        region: &str,
        persistent: &mut PersistentState,
    ) -> Arc<UpstreamCredentials> {
        let of_profile = |source: &&CredentialSource| source.profile.as_deref() == profile;
        if let Some(source) = persistent.sources.iter().find(of_profile) {
            return Arc::clone(&source.upstream);
        }
        let previous = self.previous.map(|it| it.persistent.sources.iter());
        let source = match previous.and_then(|mut sources| sources.find(of_profile)) {
            Some(source) => source.clone(),
            None => CredentialSource {
                upstream: Arc::new(UpstreamCredentials::new()),
                profile: profile.map(str::to_owned),
                region: region.to_owned(),
            },
        };
        let own = Arc::clone(&source.upstream);
        persistent.sources.push(source);
        own
    }
}
