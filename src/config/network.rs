//! Where connections come from and where they go: listeners and the way out.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use toml_span::de_helpers::TableHelper;
use toml_span::value::ValueInner;
use toml_span::{DeserError, Deserialize, Value};

use super::read::{TlsTable, both, doubled};
use super::values::{Address, custom};
use super::{Endpoint, Listener, Names, Upstream};

/// `listener.proxy-protocol`: load balancers that say, before a connection's first byte, who their
/// client is (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>, versions 1 and 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyProtocol {
    /// Where the load balancers are; a header from anywhere else is refused.
    pub from: Vec<IpNet>,
    /// Whether a connection without a header is refused.
    pub required: bool,
}

/// `listener.intercept`: how connections that were meant for Kinesis's own addresses come here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intercept {
    /// netfilter's `redirect`: the first destination is asked of the kernel (`SO_ORIGINAL_DST`).
    Redirect,
    /// netfilter's `tproxy`: the connection's own address is the first destination.
    Tproxy,
}

/// One of `listener.tunnels`: a host whose TLS passes through undecrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    /// The name that clients ask for, in lower case.
    pub name: String,
    /// `host:port` to connect to; absent, the name itself, port 443.
    pub connect: Option<String>,
}

/// An address whose port may be left out.
struct AddressOr<const PORT: u16>(SocketAddr);

/// A network, `10.0.0.0/8`, or one address.
struct Network(IpNet);

impl Listener {
    /// What each value allows but all together do not, each with the path of the value to change.
    pub(super) fn contradictions(
        &self,
        place: usize,
        endpoints: &[Endpoint],
    ) -> Vec<(String, String)> {
        let address = self.address;
        let path = |key: &str| format!("listener[{place}].{key}");
        let mut found: Vec<(String, String)> = Vec::new();
        found.extend(doubled(self.endpoints.iter()).map(|(n, id)| {
            let message = format!("listener `{address}` names endpoint `{id}` twice");
            (path(&format!("endpoints[{n}]")), message)
        }));
        let names = self.tunnels.iter().map(|tunnel| &tunnel.name);
        found.extend(doubled(names).map(|(n, name)| {
            let message = format!("listener `{address}` names tunnel `{name}` twice");
            (path(&format!("tunnels[{n}]")), message)
        }));
        let mut here: Vec<&Endpoint> = Vec::new();
        for id in &self.endpoints {
            match endpoints.iter().find(|endpoint| endpoint.id == *id) {
                Some(endpoint) => here.push(endpoint),
                None => {
                    let message = format!(
                        "listener `{address}` is for endpoint `{id}`, which no `[[endpoint]]` has \
                         as its id"
                    );
                    found.push((path("endpoint"), message));
                }
            }
        }
        let mut rest = here.as_slice();
        while let Some((one, others)) = rest.split_first() {
            let overlaps = others
                .iter()
                .filter_map(|other| overlap(address, one, other));
            found.extend(overlaps.map(|message| (path("endpoints"), message)));
            rest = others;
        }
        if self.intercept.is_some() && !self.names.is_empty() {
            let message = format!(
                "listener `{address}` intercepts: its clients ask for Kinesis's own names, and \
                 `names` would never be met"
            );
            found.push((path("names"), message));
        }
        if self.intercept.is_some() && self.proxy_protocol.is_some() {
            let message = format!(
                "listener `{address}` both intercepts and expects load balancers: keep `intercept` \
                 or `proxy-protocol`"
            );
            found.push((path("intercept"), message));
        }
        found
    }
}

/// Why one client could be of both endpoints.
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
        let met = |known: &&IpNet| known.contains(network) || network.contains(*known);
        other.networks.iter().find(met).map(|met| (*network, *met))
    };
    let (first, second) = one.networks.iter().find_map(shared)?;
    Some(format!(
        "listener `{address}`: endpoints `{a}` and `{b}` overlap: a client in `{first}` and \
         `{second}` would be of both"
    ))
}

/// Networks under a key; none where it is absent.
pub(super) fn networks(table: &mut TableHelper<'_>, key: &'static str) -> Vec<IpNet> {
    let networks = table.optional::<Vec<Network>>(key).unwrap_or_default();
    networks.into_iter().map(|network| network.0).collect()
}

impl<'de> Deserialize<'de> for Upstream {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let addresses = table.optional::<Vec<AddressOr<443>>>("addresses");
        let dns = table.optional::<Vec<AddressOr<53>>>("dns");
        let upstream = Upstream {
            connect: table.optional("connect"),
            addresses: addresses
                .iter()
                .flatten()
                .map(|address| address.0)
                .collect(),
            dns: dns.iter().flatten().map(|address| address.0).collect(),
            server_name: table.optional("server-name"),
            ca_file: table.optional::<String>("ca-file").map(PathBuf::from),
        };
        let read = table.finalize(None);
        let empty = addresses.is_some_and(|list| list.is_empty())
            || dns.is_some_and(|list| list.is_empty());
        let good = match &upstream.connect {
            Some(connect) if !is_host_and_port(connect) => {
                Err(custom(value, &not_host_and_port(connect)))
            }
            Some(_) if !upstream.addresses.is_empty() => {
                Err(custom(value, "both `connect` and `addresses`: keep one"))
            }
            _ if empty => Err(custom(
                value,
                "an empty list leads nowhere: leave `addresses` or `dns` out",
            )),
            _ => Ok(upstream),
        };
        both(read, good)
    }
}

impl<'de> Deserialize<'de> for Listener {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let address = table.required::<Address>("address");
        let endpoint = table.optional::<String>("endpoint");
        let endpoints = table.optional::<Vec<String>>("endpoints");
        let tls = table.required::<TlsTable>("tls");
        let names = table.optional::<Vec<String>>("names").unwrap_or_default();
        let proxy_protocol = table.optional("proxy-protocol");
        let intercept = table.optional("intercept");
        let tunnels = table.optional("tunnels").unwrap_or_default();
        table.finalize(None)?;
        let endpoints = match (endpoint, endpoints) {
            (Some(endpoint), None) => vec![endpoint],
            (None, Some(endpoints)) if !endpoints.is_empty() => endpoints,
            (Some(_), Some(_)) => {
                return Err(custom(value, "both `endpoint` and `endpoints`: keep one"));
            }
            _ => {
                return Err(custom(
                    value,
                    "no `endpoint`: name one by its id, or several with `endpoints`",
                ));
            }
        };
        let TlsTable(tls, client_auth) = tls?;
        Ok(Listener {
            address: address?.0,
            endpoints,
            tls,
            client_auth,
            names: Names::new(names),
            proxy_protocol,
            intercept,
            tunnels,
        })
    }
}

impl<'de> Deserialize<'de> for ProxyProtocol {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let from = networks(&mut table, "from");
        let required = table.optional::<bool>("required").unwrap_or(true);
        table.finalize(None)?;
        if from.is_empty() {
            return Err(custom(
                value,
                "no `from`: name the networks of the load balancers, such as [\"10.0.0.0/24\"]",
            ));
        }
        Ok(ProxyProtocol { from, required })
    }
}

impl<'de> Deserialize<'de> for Intercept {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        match value.take_string(None)?.as_ref() {
            "redirect" => Ok(Intercept::Redirect),
            "tproxy" => Ok(Intercept::Tproxy),
            other => Err(custom(
                value,
                &format!("`{other}` is neither \"redirect\" nor \"tproxy\""),
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Tunnel {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let (name, connect) = match value.take() {
            ValueInner::String(name) => (name.into_owned(), None),
            inner => {
                value.set(inner);
                let mut table = TableHelper::new(value)?;
                let name = table.required::<String>("name");
                let connect = table.optional::<String>("connect");
                table.finalize(None)?;
                (name?, connect)
            }
        };
        if !is_host_name(&name) {
            return Err(custom(
                value,
                &format!("`{name}` is not a host name such as \"sts.us-east-1.amazonaws.com\""),
            ));
        }
        match connect {
            Some(connect) if !is_host_and_port(&connect) => {
                Err(custom(value, &not_host_and_port(&connect)))
            }
            connect => Ok(Tunnel {
                name: name.to_ascii_lowercase(),
                connect,
            }),
        }
    }
}

impl<'de, const PORT: u16> Deserialize<'de> for AddressOr<PORT> {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let text = value.take_string(Some("an address such as \"10.0.0.2\""))?;
        let bare = || {
            let ip = text.parse::<IpAddr>();
            ip.map(|ip| SocketAddr::new(ip, PORT))
        };
        match text.parse().or_else(|_| bare()) {
            Ok(address) if address.port() != 0 => Ok(AddressOr(address)),
            _ => Err(custom(
                value,
                &format!("`{text}` is not an address such as \"10.0.0.2\" or \"10.0.0.2:{PORT}\""),
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let text = value.take_string(Some("a network such as \"10.0.0.0/8\""))?;
        let network = text.parse::<IpNet>();
        let network = network.or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        match network {
            Ok(network) if network.trunc() == network => Ok(Network(network)),
            Ok(network) => Err(custom(
                value,
                &format!(
                    "`{text}` has bits beyond its prefix: write `{}`",
                    network.trunc()
                ),
            )),
            Err(_) => Err(custom(
                value,
                &format!("`{text}` is not a network such as \"10.0.0.0/8\" or \"fd00::/8\""),
            )),
        }
    }
}

/// `name:port`, `1.2.3.4:port` or `[v6]:port`.
fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && port.parse::<u16>().is_ok_and(|port| port != 0)
            && (!host.contains(':') || (host.starts_with('[') && host.ends_with(']')))
    })
}

fn not_host_and_port(text: &str) -> String {
    format!("`{text}` is not a host and port such as \"127.0.0.1:4567\"")
}

/// Labels as TLS sends them: letters, digits and hyphens, no dot at the end, no address.
fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(label) && text.parse::<IpAddr>().is_err()
}
