//! What a listener stands for: an endpoint, its policies, and the names it answers to.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::config::Names;
use crate::kinesis::Host;
use crate::policy::{AttachedPolicy, Policy};

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
}

/// Identity policies, each with the file it came from.
#[derive(Default)]
pub struct Identity {
    /// The policies and whom they are attached to.
    pub policies: Vec<AttachedPolicy>,
    /// Their files, in the same order.
    pub names: Vec<Arc<str>>,
}

/// Principals by access key id.
#[derive(Default)]
pub struct Principals(pub HashMap<String, Principal>);

/// A principal that the configuration names.
pub struct Principal {
    /// `aws:PrincipalArn`.
    pub arn: Arc<str>,
    /// The account in it.
    pub account: Arc<str>,
}

/// Where a request goes.
#[derive(Clone, Copy)]
pub(super) struct Route<'a> {
    /// The Kinesis endpoint to connect to and verify.
    pub(super) server_name: &'a str,
    /// The account in the endpoint's name.
    pub(super) account: Option<&'a str>,
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
