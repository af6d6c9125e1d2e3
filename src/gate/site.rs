//! What a listener stands for: endpoints, their policies, and the names they answer to.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;

use crate::config::{HostNames, Mode, Tunnel};
use crate::kinesis::{Host, Operation, operations};
use crate::policy::{AttachedPolicy, Policy};

use super::authenticate::ReSignConfig;
use super::client_certificate::subject_alt_names;
use super::principals::{CertificateIdentity, IdentityMap, MappedPrincipal, Organization};
use super::rates::RateRules;

/// What one listener stands for. Read-only, shared by every event loop.
pub struct ListenerEndpoints {
    /// The endpoints whose clients come in here; [`ListenerEndpoints::choose`] tells which.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// What is known of callers.
    pub identity_map: Arc<IdentityMap>,
    /// Names of this listener that are no Kinesis endpoint names.
    pub names: HostNames,
    /// Whether connections come here that were meant for another address: their clients ask for
    /// Kinesis endpoints by name, and by nothing else.
    pub is_intercepting: bool,
    /// Hosts that clients may reach through this listener without being decrypted.
    pub tunnels: Vec<Tunnel>,
    /// Which client certificates are taken, where clients show them.
    pub client_verifier: Option<Arc<dyn ClientCertVerifier>>,
}

/// What a connection shows before its first request.
#[derive(Debug, Clone, Copy)]
pub struct EndpointQuery<'a> {
    /// The client's address.
    pub peer: IpAddr,
    /// The endpoint's id, from the load balancer.
    pub vpce_id: Option<&'a str>,
    /// The name that the client asked for, in lower case.
    pub server_name: Option<&'a str>,
}

/// Why a connection is of no endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelectError {
    /// The load balancer names an endpoint that is not served here.
    UnknownEndpoint,
    /// The client is in no network of the endpoints served here.
    OutsideNetworks,
    /// The name asked for is of no endpoint that the rest leaves.
    UnknownName,
    /// Nothing tells which of several endpoints it is.
    Ambiguous,
}

/// One endpoint, compiled.
pub struct Endpoint {
    /// Its place in the configuration.
    pub index: usize,
    /// `aws:SourceVpce`.
    pub id: Arc<str>,
    /// `aws:SourceVpc`.
    pub vpc: Option<String>,
    /// The region it leads to.
    pub region: String,
    /// That region's partition.
    pub partition: &'static str,
    /// The name of that region's Kinesis endpoint.
    pub service_name: String,
    /// Where its clients are: others are refused. Empty, they may be anywhere.
    pub networks: Vec<IpNet>,
    /// The endpoint policy.
    pub policy: Policy,
    /// Its file, or `default-full-access`.
    pub policy_name: Arc<str>,
    /// What becomes of what is denied.
    pub mode: Mode,
    /// A policy that is tried beside it, and its file.
    pub candidate: Option<(Arc<str>, Policy)>,
    /// Policies of principals.
    pub identity_policies: Arc<IdentityPolicies>,
    /// How many requests a second go on; the same for all endpoints.
    pub rate_rules: Arc<RateRules>,
    /// Which opaque tokens these policies and rates make it necessary to know.
    pub token_rules: TokenRules,
    /// Who calls through it, where it serves one workload.
    pub principal: Option<Arc<MappedPrincipal>>,
    /// Whose endpoint it is.
    pub owner: EndpointOwner,
    /// Set: clients are authenticated here, and requests are signed anew.
    pub re_sign: Option<ReSignConfig>,
}

/// Whose a VPC endpoint is, as far as it is stated.
#[derive(Default)]
pub struct EndpointOwner {
    /// `aws:VpceAccount`.
    pub account: Option<String>,
    /// `aws:VpceOrgID` and `aws:VpceOrgPaths`.
    pub organization: Organization,
    /// `aws:SourceVpcArn`.
    pub vpc_arn: Option<String>,
}

/// IdentityPolicies policies, each with the file it came from.
#[derive(Default)]
pub struct IdentityPolicies {
    /// The policies and whom they are attached to; those that are only tried come last.
    pub policies: Vec<AttachedPolicy>,
    /// How many of them hold.
    pub enforced_count: usize,
    /// Their files, in the same order.
    pub names: Vec<Arc<str>>,
}

/// Which tokens have to be known: those of operations for which the policies or rates tell streams
/// apart.
/// Where they do not, an answer is passed on unread and nothing is remembered.
#[derive(Debug, Default)]
pub struct TokenRules(Box<[Option<TokenRule>]>);

/// A token that an answer hands out.
#[derive(Debug, Clone, Copy)]
pub(super) struct TokenRule {
    /// The operation that takes it.
    pub(super) taker: &'static Operation,
    /// The member of the answer that holds it.
    pub(super) member: &'static str,
    /// Whether the policies that hold, or rates, need to know it, and not only policies that are tried.
    needed: bool,
    /// Whether rates need to know it, also where policies allow it whatever its stream.
    counted: bool,
}

/// Where a request goes.
#[derive(Clone, Copy)]
pub(super) struct Route<'a> {
    /// The Kinesis endpoint to connect to and verify.
    pub(super) server_name: &'a str,
    /// The account in the endpoint's name.
    pub(super) account: Option<&'a str>,
}

impl TokenRules {
    /// The rules under an endpoint's policy, the policies of principals and the rates.
    pub fn of(endpoint: &Endpoint) -> TokenRules {
        let handed = |operation: &'static Operation| {
            let (taker, member) = operation.issued_token()?;
            let (needed, tried) = endpoint.tells_streams_apart(taker);
            let counted = endpoint.rate_rules.tell_streams_apart(taker);
            (needed || tried || counted).then_some(TokenRule {
                taker,
                member,
                needed: needed || counted,
                counted,
            })
        };
        TokenRules(operations().iter().map(handed).collect())
    }

    /// The token that answers to an operation hand out, if it has to be known.
    pub(super) fn handed_out_by(&self, operation: &Operation) -> Option<TokenRule> {
        *self.0.get(usize::from(operation.number))?
    }

    /// Whether the token in a request for an operation has to be known; of one that is allowed
    /// whatever its stream, because its stream is counted.
    pub(super) fn matter_to(&self, operation: &Operation, is_allowed: bool) -> bool {
        // An operation that takes tokens hands out the next one.
        let handed = operation
            .input_token
            .and_then(|_| self.handed_out_by(operation));
        handed.is_some_and(|handed| match is_allowed {
            true => handed.counted,
            false => handed.needed,
        })
    }
}

impl ListenerEndpoints {
    /// The one endpoint that a connection came through: the load balancer's word, the client's
    /// network and the name asked for each leave some out.
    ///
    /// # Errors
    /// When none is left, or more than one: there is no default.
    pub fn select_endpoint(
        &self,
        arrival: &EndpointQuery<'_>,
    ) -> Result<&Arc<Endpoint>, SelectError> {
        let stated =
            |endpoint: &&Arc<Endpoint>| arrival.vpce_id.is_none_or(|id| *endpoint.id == *id);
        let near = |endpoint: &&Arc<Endpoint>| endpoint.admits(arrival.peer);
        let named = |endpoint: &&Arc<Endpoint>| match arrival.server_name {
            Some(name) => self.is_own(name) || endpoint.route(name).is_some(),
            None => !self.is_intercepting,
        };
        let candidates = || self.endpoints.iter().filter(stated);
        let mut left = candidates().filter(near).filter(named);
        match (left.next(), left.next()) {
            (Some(endpoint), None) => Ok(endpoint),
            (Some(_), Some(_)) => Err(SelectError::Ambiguous),
            (None, _) if candidates().next().is_none() => Err(SelectError::UnknownEndpoint),
            (None, _) if !candidates().any(|endpoint| near(&endpoint)) => {
                Err(SelectError::OutsideNetworks)
            }
            (None, _) => Err(SelectError::UnknownName),
        }
    }

    /// Whose the first of the certificates is that a client showed.
    pub fn identify_certificate(
        &self,
        shown: &[CertificateDer<'_>],
    ) -> Option<CertificateIdentity> {
        let leaf = shown.first()?;
        Some(self.identity_map.identify(&subject_alt_names(leaf)))
    }

    /// Whether an endpoint with this id is served here.
    pub fn has_endpoint(&self, id: &str) -> bool {
        self.endpoints.iter().any(|endpoint| *endpoint.id == *id)
    }

    /// Whether a client may ask for `name`, in lower case.
    pub fn serves(&self, name: &str) -> bool {
        self.is_own(name) || self.endpoints.iter().any(|e| e.route(name).is_some())
    }

    /// The tunnel that `name`, in lower case, asks for.
    pub fn tunnel(&self, name: &str) -> Option<&Tunnel> {
        self.tunnels.iter().find(|tunnel| tunnel.name == name)
    }

    /// Whether `name` is an endpoint override: a name of this listener and of no Kinesis endpoint.
    pub(super) fn is_own(&self, name: &str) -> bool {
        !self.is_intercepting
            && (name == "localhost" || is_address(name) || self.names.contains(name))
    }
}

impl Endpoint {
    /// Whether a client at this address may be one of this endpoint.
    fn admits(&self, peer: IpAddr) -> bool {
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&peer))
    }

    /// The way to this region's endpoint, under whichever name.
    pub(super) fn service(&self) -> Route<'_> {
        Route {
            server_name: &self.service_name,
            account: None,
        }
    }

    /// The way that a Kinesis endpoint's name, without its port and in lower case, leads. `None`
    /// for every name that is no Kinesis endpoint of this region, or another VPC endpoint's: the
    /// gate is nobody's open relay.
    pub(super) fn route<'a>(&'a self, name: &'a str) -> Option<Route<'a>> {
        let host = Host::parse(name)?;
        if host.region != self.region {
            return None;
        }
        match host.vpce {
            // The name of the endpoint that we stand for resolves to ourselves.
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

fn is_address(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
}
