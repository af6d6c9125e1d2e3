//! The identity map: principals, accounts and client certificates.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use crate::config::{self, Config, NamePattern, Problem};
use crate::gate::{CertificatePattern, IdentityMap, MappedPrincipal, Organization};
use crate::sigv4::{AccountId, PrincipalArn};

use super::loader::Loader;

impl Loader<'_> {
    /// The principals and organizations that the configuration and its identity map describe.
    pub(super) fn principals(&mut self, config: &Config) -> IdentityMap {
        let mut principals = IdentityMap::default();
        let map = self.identity_map(config);
        for (n, account) in map.accounts.into_iter().enumerate() {
            if !is_account(&account.id) {
                let message = format_args!("`{}` is not twelve digits", account.id);
                let in_configuration = config.identities.accounts.len();
                self.entry_problem(config, in_configuration, n, ("account", "id"), message);
            }
            let organization = Organization {
                id: account.org_id,
                paths: account.org_paths,
            };
            principals
                .organizations
                .insert(account.id.into_boxed_str(), organization);
        }
        for (n, entry) in map.principals.into_iter().enumerate() {
            let (key, arn) = (entry.access_key_id.clone(), entry.arn.clone());
            match principal(entry, &principals.organizations) {
                Ok(principal) => match key {
                    Some(key) => principals
                        .by_access_key
                        .insert(key.into(), Arc::new(principal)),
                    None => principals.by_arn.insert(arn.into(), Arc::new(principal)),
                },
                Err(message) => {
                    let in_configuration = config.identities.principals.len();
                    self.entry_problem(config, in_configuration, n, ("principal", "arn"), message);
                    None
                }
            };
        }
        for (n, certificate) in config.client_certificates.iter().enumerate() {
            let pattern = match &certificate.name {
                NamePattern::Uri(uri) => CertificatePattern::Uri(uri.clone()),
                NamePattern::Dns(dns) => CertificatePattern::Dns(dns.clone()),
            };
            let path = format!("client-certificate[{n}].principal");
            let principal = self.principal_of(&path, &certificate.principal, &principals);
            principals
                .by_certificate
                .extend(principal.map(|principal| (pattern, principal)));
        }
        principals
    }

    /// The principal with that ARN, with the facts of its entry, if there is one.
    pub(super) fn principal_of(
        &mut self,
        path: &str,
        arn: &str,
        principals: &IdentityMap,
    ) -> Option<Arc<MappedPrincipal>> {
        if let Some(known) = principals.by_arn.get(arn) {
            return Some(Arc::clone(known));
        }
        let message = format!("`{arn}` is not the ARN of an IAM user, role or account root");
        Some(Arc::new(MappedPrincipal {
            holder: self.accept(path, PrincipalArn::parse(arn, None).ok_or(message))?,
            user_id: None,
            source_identity: None,
            tags: None,
            organization: Organization::default(),
        }))
    }

    /// The entries of the configuration and of its identity map, without overlaps.
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
                let overlaps = all.overlaps().into_iter();
                let overlaps = overlaps.map(|(_, message)| Problem::of_file(file, message));
                self.problems.extend(overlaps);
            }
            Err(problems) => self.problems.extend(problems.0),
        }
        all
    }

    /// Reports a problem of entry `n`. Entries after the first `in_configuration` are in the
    /// identity map.
    fn entry_problem(
        &mut self,
        config: &Config,
        in_configuration: usize,
        n: usize,
        (table, key): (&str, &str),
        message: impl Display,
    ) {
        let (file, n) = match (&config.identity_map, n.checked_sub(in_configuration)) {
            (Some(map), Some(n)) => (map.as_path(), n),
            _ => (self.file, n),
        };
        let path = format_args!("{table}[{n}].{key}");
        self.problems.push(Problem::of_value(file, path, message));
    }
}

fn principal(
    entry: config::Principal,
    organizations: &HashMap<Box<str>, Organization>,
) -> Result<MappedPrincipal, String> {
    let arn = &entry.arn;
    let holder = PrincipalArn::parse(arn, entry.session.as_deref()).ok_or_else(|| {
        format!(
            "`{arn}` is not the ARN of an IAM user, role or account root, or `session` is no name \
             of a role's session"
        )
    })?;
    if let Some(id) = &entry.access_key_id
        && AccountId::of_access_key(id).is_some_and(|account| account.as_str() != &*holder.account)
    {
        return Err(format!(
            "`{arn}`: the access key id `{id}` is one of another account"
        ));
    }
    let of_account = organizations.get(&holder.account);
    if let (Some(own), Some(of_account)) = (&entry.org_id, of_account.and_then(|it| it.id.as_ref()))
        && own != of_account
    {
        return Err(format!(
            "`{arn}`: `org-id` is `{own}`, but that of its account is `{of_account}`"
        ));
    }
    Ok(MappedPrincipal {
        holder,
        user_id: entry.user_id,
        source_identity: entry.source_identity,
        tags: entry.tags.map(|tags| tags.0),
        organization: Organization {
            id: entry.org_id,
            paths: entry.org_paths,
        },
    })
}

/// Whether the text is an account id: twelve digits.
pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}
