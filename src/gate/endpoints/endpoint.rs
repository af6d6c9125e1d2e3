//! One VPC endpoint, compiled: its policies, rules and routes.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::kinesis::Host;
use crate::policy::{AuditMode, Policy};

use super::identity_map::{MappedPrincipal, Organization};
use super::identity_policies::IdentityPolicies;
use super::rate_rules::RateRules;
use super::re_sign::ReSignConfig;
use super::token_rules::TokenRules;

/// One VPC endpoint, compiled.
pub struct Endpoint {
    /// The index of its metrics: its index in the configuration that the process started with.
    pub index: usize,
    /// `aws:SourceVpce`.
    pub id: Arc<str>,
    /// `aws:SourceVpc`.
    pub vpc: Option<String>,
    /// The region that the endpoint serves.
    pub region: String,
    /// The partition of that region.
    pub partition: &'static str,
    /// The name of that region's Kinesis endpoint.
    pub service_name: String,
    /// The networks of its clients. Clients of other networks are refused. Empty for any network.
    pub networks: Vec<IpNet>,
    /// The endpoint policy.
    pub policy: Policy,
    /// The file of the policy, or `default-full-access`.
    pub policy_name: Arc<str>,
    /// How the gate handles a denied request.
    pub enforcement: Enforcement,
    /// The candidate policy, evaluated beside the endpoint policy, and its file.
    pub candidate: Option<(Arc<str>, Policy)>,
    /// The policies of principals.
    pub identity_policies: Arc<IdentityPolicies>,
    /// The rate limits, shared by all endpoints.
    pub rate_rules: Arc<RateRules>,
    /// The opaque tokens whose streams these policies and rate limits depend on.
    pub token_rules: TokenRules,
    /// The caller, where the endpoint serves a single workload.
    pub principal: Option<Arc<MappedPrincipal>>,
    /// The owner of the VPC endpoint.
    pub owner: EndpointOwner,
    /// Set where the gate authenticates clients and re-signs requests.
    pub re_sign: Option<ReSignConfig>,
}

/// How the gate handles a denied request.
#[derive(Debug)]
pub enum Enforcement {
    /// The gate refuses the request.
    Enforce,
    /// The gate records the request and forwards it.
    Audit(AuditMode),
}

/// The owner of a VPC endpoint, as far as the configuration states it.
#[derive(Default)]
pub struct EndpointOwner {
    /// `aws:VpceAccount`.
    pub account: Option<String>,
    /// `aws:VpceOrgID` and `aws:VpceOrgPaths`.
    pub organization: Organization,
    /// `aws:SourceVpcArn`.
    pub vpc_arn: Option<String>,
}

/// The destination of a request.
#[derive(Clone, Copy)]
pub(in crate::gate) struct Route<'a> {
    /// The Kinesis endpoint to connect to and verify.
    pub(in crate::gate) server_name: &'a str,
    /// The account in the endpoint's name.
    pub(in crate::gate) account: Option<&'a str>,
}

impl Endpoint {
    /// Whether the endpoint is in audit mode.
    pub(in crate::gate) fn is_audited(&self) -> bool {
        matches!(self.enforcement, Enforcement::Audit(_))
    }

    /// Whether a client at this address may use the endpoint.
    pub(super) fn admits(&self, peer: IpAddr) -> bool {
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&peer))
    }

    /// The route to this region's Kinesis endpoint.
    pub(in crate::gate) fn service(&self) -> Route<'_> {
        Route {
            server_name: &self.service_name,
            account: None,
        }
    }

    /// The route of a Kinesis endpoint name, without port and in lower case. `None` if the name is
    /// not a Kinesis endpoint of this region, or belongs to another VPC endpoint: the gate is not
    /// an open relay.
    pub(in crate::gate) fn route<'a>(&'a self, name: &'a str) -> Option<Route<'a>> {
        let host = Host::parse(name)?;
        if host.region != self.region {
            return None;
        }
        match host.vpce {
            // The name of this VPC endpoint resolves to the gate itself.
            Some(id) if id == &*self.id => Some(Route {
                account: host.account,
                ..self.service()
            }),
            Some(_) => None,
            None => Some(Route {
                server_name: name,
                account: host.account,
            }),
        }
    }
}
