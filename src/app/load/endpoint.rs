//! Endpoints with their policies, and the identity policies that all of them share.

use std::sync::Arc;

use crate::app::persistent::{PersistentState, PreviousLoad};
use crate::config::{self, EndpointPolicy, Mode};
use crate::gate::{
    Endpoint, EndpointOwner, Enforcement, IdentityMap, IdentityPolicies, Organization, TokenRules,
};
use crate::kinesis::{partition_of, regional_endpoint};
use crate::policy::{AttachedPolicy, Attachment, AuditMode, Policy, PrincipalPattern};

use super::identity_map::is_account;
use super::loader::Loader;
use super::policy::options;

impl Loader<'_> {
    pub(super) fn endpoint(
        &mut self,
        index: usize,
        endpoint: &config::Endpoint,
        identity: &Arc<IdentityPolicies>,
        principals: &IdentityMap,
        persistent: &mut PersistentState,
    ) -> Option<Arc<Endpoint>> {
        let region = &endpoint.region;
        let names = partition_of(region).zip(regional_endpoint(region));
        if names.is_none() {
            self.problem(
                format_args!("endpoint[{index}].region"),
                format_args!("`{region}` is no AWS region such as `us-east-1`"),
            );
        }
        let policy = match &endpoint.policy {
            EndpointPolicy::File(file) => {
                let path = format!("endpoint[{index}].policy");
                self.policy(&path, file, &endpoint.id, Some(endpoint))
            }
            EndpointPolicy::FullAccess => Some((
                "default-full-access".into(),
                Policy::full_access(&options(Attachment::Endpoint)),
            )),
        };
        let candidate = endpoint.candidate.as_ref().and_then(|file| {
            let path = format!("endpoint[{index}].candidate");
            let to = format!("{} (candidate)", endpoint.id);
            self.policy(&path, file, &to, Some(endpoint))
        });
        let path = format!("endpoint[{index}].principal");
        let stated = endpoint.principal.as_ref();
        let principal = stated.and_then(|arn| self.principal_of(&path, arn, principals));
        let re_sign = self.re_sign(index, endpoint, persistent);
        let (partition, service_name) = names?;
        let owner = self.owner(index, endpoint, partition);
        let (policy_name, policy) = policy?;
        let mut endpoint = Endpoint {
            index: self.counters_of(index, &endpoint.id),
            id: endpoint.id.as_str().into(),
            vpc: endpoint.vpc.clone(),
            region: region.clone(),
            partition,
            service_name,
            networks: endpoint.networks.clone(),
            policy,
            policy_name,
            enforcement: match endpoint.mode {
                Mode::Enforce => Enforcement::Enforce,
                Mode::Audit => Enforcement::Audit(AuditMode::from_configuration()),
            },
            candidate,
            identity_policies: Arc::clone(identity),
            rate_rules: Arc::clone(&persistent.rates),
            token_rules: TokenRules::default(),
            principal,
            owner,
            re_sign,
        };
        endpoint.token_rules = endpoint.compile_token_rules();
        Some(Arc::new(endpoint))
    }

    /// The index of an endpoint's counters. Endpoints that a reload adds share the last index.
    fn counters_of(&self, index: usize, id: &str) -> usize {
        let Some(PreviousLoad { endpoints, .. }) = self.previous else {
            return index;
        };
        let known = endpoints.iter().position(|known| known == id);
        known.unwrap_or(endpoints.len())
    }

    /// Compiles a policy once for each principal that it is attached to.
    pub(super) fn identity_policy(
        &mut self,
        index: usize,
        identity: &config::IdentityPolicy,
        into: &mut IdentityPolicies,
    ) {
        let path = format!("identity-policy[{index}].file");
        for (n, principal) in identity.principals.iter().enumerate() {
            let named = format_args!("identity-policy[{index}].principals[{n}]");
            let Some(to) = self.accept(named, PrincipalPattern::parse(principal)) else {
                continue;
            };
            let Some((name, policy)) = self.policy(&path, &identity.file, principal, None) else {
                return;
            };
            into.names.push(name);
            into.policies.push(AttachedPolicy { to, policy });
        }
    }

    /// The account and the organization of the VPC endpoint's owner.
    fn owner(
        &mut self,
        index: usize,
        endpoint: &config::Endpoint,
        partition: &str,
    ) -> EndpointOwner {
        if let Some(account) = endpoint.account.as_ref().filter(|it| !is_account(it)) {
            let message = format_args!("`{account}` is not twelve digits");
            self.problem(format_args!("endpoint[{index}].vpce-account"), message);
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
}
