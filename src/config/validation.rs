//! Validation: contradictions between values of a configuration that are valid one by one.

use std::fmt::Display;
use std::net::SocketAddr;

use ipnet::IpNet;

use super::parse::Table;
use super::{Authenticate, Config, Endpoint, Listener, Mode};

impl Config {
    /// Reports each contradiction, at the value to change.
    pub(super) fn validate(&self, table: &Table<'_>) {
        if self.endpoints.is_empty() {
            table.report("endpoint", "no `[[endpoint]]`: name at least one");
        }
        if self.listeners.is_empty() {
            table.report("listener", "no `[[listener]]`: name at least one");
        }
        for (n, id) in duplicates(self.endpoints.iter().map(|endpoint| &endpoint.id)) {
            let message = format_args!("two endpoints have the id `{id}`");
            table.report(format_args!("endpoint[{n}].id"), message);
        }
        for (n, name) in duplicates(self.rate_limits.iter().map(|limit| &limit.name)) {
            let message = format_args!("two rates have the name `{name}`");
            table.report(format_args!("rate[{n}].name"), message);
        }
        for (path, message) in self.identities.overlaps() {
            table.report(path, message);
        }
        for (n, endpoint) in self.endpoints.iter().enumerate() {
            if endpoint.mode == Mode::Audit && endpoint.re_sign.is_some() {
                let message = "an endpoint that re-signs would lend its role to everybody: try a \
                               policy as its `candidate`";
                table.report(format_args!("endpoint[{n}].mode"), message);
            }
        }
        let addresses = self.listeners.iter().map(|listener| listener.address);
        for (n, address) in duplicates(addresses).filter(|(_, address)| address.port() != 0) {
            let message = format_args!("two listeners have the address `{address}`");
            table.report(format_args!("listener[{n}].address"), message);
        }
        for (n, listener) in self.listeners.iter().enumerate() {
            let report = |key: &dyn Display, message: String| {
                table.report(format_args!("listener[{n}].{key}"), message);
            };
            listener.validate(&self.endpoints, report);
            if let Some(message) = self.unauthenticated(listener) {
                report(&listener.endpoint_key(), message);
            }
        }
    }

    /// The reason that clients of a listener cannot authenticate as its endpoint requires.
    fn unauthenticated(&self, listener: &Listener) -> Option<String> {
        let is_here = |endpoint: &&Endpoint| listener.endpoints.contains(&endpoint.id);
        self.endpoints.iter().filter(is_here).find_map(|endpoint| {
            let missing = match endpoint.re_sign.as_ref()?.authenticate {
                Authenticate::Loopback if !listener.address.ip().is_loopback() => {
                    "not on a loopback address, where everyone would be its principal"
                }
                Authenticate::Loopback
                    if listener.proxy_protocol.is_some() || listener.intercept.is_some() =>
                {
                    "one that clients elsewhere are led to, who would all be its principal"
                }
                Authenticate::Loopback if endpoint.principal.is_none() => {
                    "for an endpoint without `principal`, which says who calls on loopback"
                }
                Authenticate::Mtls
                    if !listener
                        .client_auth
                        .as_ref()
                        .is_some_and(|it| it.is_required) =>
                {
                    "without `tls.client-ca` or with optional client certificates"
                }
                Authenticate::Sigv4(_) | Authenticate::Loopback | Authenticate::Mtls => {
                    return None;
                }
            };
            Some(format!(
                "listener `{}` is {missing}, but endpoint `{}` authenticates its clients by it",
                listener.address, endpoint.id
            ))
        })
    }
}

impl Listener {
    /// The key that names the listener's endpoints.
    fn endpoint_key(&self) -> &'static str {
        match self.endpoints.len() {
            1 => "endpoint",
            _ => "endpoints",
        }
    }

    /// Reports each contradiction, with the key to change.
    fn validate(&self, endpoints: &[Endpoint], report: impl Fn(&dyn Display, String)) {
        let address = self.address;
        for (n, id) in duplicates(self.endpoints.iter()) {
            let message = format!("listener `{address}` names endpoint `{id}` twice");
            report(&format_args!("endpoints[{n}]"), message);
        }
        for (n, name) in duplicates(self.tunnels.iter().map(|tunnel| &tunnel.name)) {
            let message = format!("listener `{address}` names tunnel `{name}` twice");
            report(&format_args!("tunnels[{n}]"), message);
        }
        let mut here: Vec<&Endpoint> = Vec::new();
        for id in &self.endpoints {
            match endpoints.iter().find(|endpoint| endpoint.id == *id) {
                Some(endpoint) => here.push(endpoint),
                None => report(
                    &self.endpoint_key(),
                    format!(
                        "listener `{address}` is for endpoint `{id}`, which no `[[endpoint]]` has \
                         as its id"
                    ),
                ),
            }
        }
        for (n, one) in here.iter().enumerate() {
            for message in here
                .iter()
                .skip(n + 1)
                .filter_map(|it| overlap(address, one, it))
            {
                report(&"endpoints", message);
            }
        }
        if self.intercept.is_some() && !self.names.is_empty() {
            report(
                &"names",
                format!(
                    "listener `{address}` intercepts: its clients ask for Kinesis's own names, and \
                     `names` would never be met"
                ),
            );
        }
        if self.intercept.is_some() && self.proxy_protocol.is_some() {
            report(
                &"intercept",
                format!(
                    "listener `{address}` both intercepts and expects load balancers: keep \
                     `intercept` or `proxy-protocol`"
                ),
            );
        }
    }
}

/// The reason that a client could belong to both endpoints.
fn overlap(address: SocketAddr, one: &Endpoint, other: &Endpoint) -> Option<String> {
    let (a, b) = (&one.id, &other.id);
    if one.networks.is_empty() != other.networks.is_empty() {
        let bare = if one.networks.is_empty() { a } else { b };
        return Some(format!(
            "listener `{address}`: endpoints `{a}` and `{b}` overlap: `{bare}` has no `networks`, \
             so clients of the other are its clients too; give it its own"
        ));
    }
    let shared = |network: &IpNet| {
        let overlaps = |it: &&IpNet| it.contains(network) || network.contains(*it);
        other
            .networks
            .iter()
            .find(overlaps)
            .map(|it| (*network, *it))
    };
    let (first, second) = one.networks.iter().find_map(shared)?;
    Some(format!(
        "listener `{address}`: endpoints `{a}` and `{b}` overlap: a client in `{first}` and \
         `{second}` would be of both"
    ))
}

/// The repeated values, each with its index.
fn duplicates<T: PartialEq + Copy>(
    values: impl Iterator<Item = T>,
) -> impl Iterator<Item = (usize, T)> {
    let mut seen = Vec::new();
    values.enumerate().filter(move |(_, value)| {
        let is_known = seen.contains(value);
        seen.push(*value);
        is_known
    })
}
