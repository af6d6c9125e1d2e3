//! What a listener stands for: an endpoint, its policies, and the names it answers to.

use std::net::IpAddr;
use std::sync::Arc;

use crate::config::Names;
use crate::kinesis::{Host, Operation, operations};
use crate::policy::{AttachedPolicy, Policy};

use super::authenticate::ReSign;
use super::principals::{Organization, Principal, Principals};

/// What one listener stands for. Read-only, shared by every event loop.
pub struct Site {
    /// The endpoint whose policy holds.
    pub endpoint: Arc<Endpoint>,
    /// What is known of callers.
    pub principals: Arc<Principals>,
    /// Names of this listener that are no Kinesis endpoint names.
    pub names: Names,
}

/// One endpoint, compiled.
pub struct Endpoint {
    /// Its place in the configuration.
    pub place: usize,
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
    /// The endpoint policy.
    pub policy: Policy,
    /// Its file, or `default-full-access`.
    pub policy_name: Arc<str>,
    /// Policies of principals.
    pub identity: Arc<Identity>,
    /// Which opaque tokens these policies make it necessary to know.
    pub tokens: TokenRules,
    /// Who calls through it, where it serves one workload.
    pub principal: Option<Arc<Principal>>,
    /// Whose endpoint it is.
    pub owner: Owner,
    /// Set: clients are authenticated here, and requests are signed anew.
    pub re_sign: Option<ReSign>,
}

/// Whose a VPC endpoint is, as far as it is stated.
#[derive(Default)]
pub struct Owner {
    /// `aws:VpceAccount`.
    pub account: Option<String>,
    /// `aws:VpceOrgID` and `aws:VpceOrgPaths`.
    pub organization: Organization,
    /// `aws:SourceVpcArn`.
    pub vpc_arn: Option<String>,
}

/// Identity policies, each with the file it came from.
#[derive(Default)]
pub struct Identity {
    /// The policies and whom they are attached to.
    pub policies: Vec<AttachedPolicy>,
    /// Their files, in the same order.
    pub names: Vec<Arc<str>>,
}

/// Which tokens have to be known: those of operations for which the policies tell streams apart.
/// Where they do not, an answer is passed on unread and nothing is remembered.
#[derive(Debug, Default)]
pub struct TokenRules(Box<[Option<Handed>]>);

/// A token that an answer hands out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Handed {
    /// The operation that takes it.
    pub(super) taker: &'static Operation,
    /// The member of the answer that holds it.
    pub(super) member: &'static str,
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
    /// The rules under an endpoint's policy and the policies of principals.
    pub fn of(endpoint: &Endpoint) -> TokenRules {
        let handed = |operation: &'static Operation| {
            let (taker, member) = operation.hands_out_for()?;
            endpoint
                .tells_streams_apart(taker)
                .then_some(Handed { taker, member })
        };
        TokenRules(operations().iter().map(handed).collect())
    }

    /// The token that answers to an operation hand out, if it has to be known.
    pub(super) fn handed_out_by(&self, operation: &Operation) -> Option<Handed> {
        *self.0.get(usize::from(operation.number))?
    }

    /// Whether the token in a request for an operation has to be known. An operation that takes
    /// tokens hands out the next one.
    pub(super) fn matter_to(&self, operation: &Operation) -> bool {
        operation.token.is_some() && self.handed_out_by(operation).is_some()
    }
}

impl Site {
    /// Whether a client may ask for `name`, in lower case.
    pub fn serves(&self, name: &str) -> bool {
        self.route(name).is_some()
    }

    /// Whether `name` is an endpoint override: a name of this listener and of no Kinesis endpoint.
    pub(super) fn is_own(&self, name: &str) -> bool {
        name == "localhost" || is_address(name) || self.names.contains(name)
    }

    /// The way that a name, without its port and in lower case, leads. `None` for every name that
    /// is neither a Kinesis endpoint of this region nor one of the listener's own: the gate is
    /// nobody's open relay.
    pub(super) fn route<'a>(&'a self, name: &'a str) -> Option<Route<'a>> {
        let own = Route {
            server_name: &self.endpoint.service_name,
            account: None,
        };
        if self.is_own(name) {
            return Some(own);
        }
        let host = Host::parse(name)?;
        if host.region != self.endpoint.region {
            return None;
        }
        match host.vpce {
            // The name of the endpoint that we stand for resolves to ourselves.
            Some(id) if id == &*self.endpoint.id => Some(Route {
                account: host.account,
                ..own
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
