//! `[[listener]]`: certificates, client certificates with CRLs, PROXY protocol, interception, tunnels.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use super::parse::{FromTable, FromToml, Table, TomlValue};
use super::values::{HostNames, connect_address, is_host_name};

/// `[[listener]]`: a socket that clients connect to.
#[derive(Debug, Clone)]
pub struct Listener {
    /// The address to listen on; port 0 for any free port.
    pub address: SocketAddr,
    /// The ids of the endpoints of this listener; at least one. The PROXY protocol header, the host
    /// name of the request or the client's network selects one of several.
    pub endpoints: Vec<String>,
    /// The source of the listener's certificates.
    pub tls: ListenerTls,
    /// Client certificates; if absent, the listener requests none.
    pub client_auth: Option<ClientAuth>,
    /// Further names by which clients may call this listener as an endpoint override, beside
    /// `localhost` and addresses.
    pub names: HostNames,
    /// Load balancers that send the PROXY protocol.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// How intercepted connections reach the listener, if they do.
    pub intercept: Option<Intercept>,
    /// Hosts that clients may reach through this listener without decryption.
    pub tunnels: Vec<Tunnel>,
}

/// `[listener.tls]`: the source of the listener's certificates.
#[derive(Debug, Clone)]
pub enum ListenerTls {
    /// A certificate chain and its key, PEM.
    Files {
        /// The chain, leaf first.
        certificate: PathBuf,
        /// The leaf's private key.
        key: PathBuf,
    },
    /// A CA that issues a leaf certificate for each SNI name that is a Kinesis endpoint name of the
    /// endpoint's region, or one of the listener's own names.
    Authority {
        /// The CA's certificate, PEM.
        certificate: PathBuf,
        /// The CA's private key, PEM.
        key: PathBuf,
    },
}

/// `[listener.tls]`: which client certificates are accepted.
#[derive(Debug, Clone)]
pub struct ClientAuth {
    /// The CAs that issue them, PEM.
    pub authorities: PathBuf,
    /// CRLs, the lists of revoked certificates, PEM.
    pub crls: Vec<PathBuf>,
    /// Whether a client must present a certificate.
    pub is_required: bool,
}

/// `listener.proxy-protocol`: load balancers that send the client's address before the first byte of
/// a connection (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>, versions 1 and 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyProtocol {
    /// The networks of the load balancers. A header from any other address is refused.
    pub from: Vec<IpNet>,
    /// Whether a connection without a header is refused.
    pub is_required: bool,
}

/// `listener.intercept`: how connections to Kinesis's own addresses reach the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intercept {
    /// netfilter's `redirect`: the kernel knows the original destination (`SO_ORIGINAL_DST`).
    Redirect,
    /// netfilter's `tproxy`: the connection's local address is the original destination.
    Tproxy,
}

/// One of `listener.tunnels`: a host whose TLS passes through undecrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    /// The SNI name, in lower case.
    pub name: String,
    /// The `host:port` to connect to; if absent, the name itself, port 443.
    pub connect: Option<String>,
}

impl FromTable for Listener {
    fn from_table(table: &mut Table<'_>) -> Option<Listener> {
        let address = table.required("address");
        let endpoint: Option<String> = table.optional("endpoint");
        let endpoints: Option<Vec<String>> = table.optional("endpoints");
        let tls = table.required("tls");
        let names = table.optional("names").unwrap_or_default();
        let proxy_protocol = table.optional("proxy-protocol");
        let intercepts = [
            ("redirect", Intercept::Redirect),
            ("tproxy", Intercept::Tproxy),
        ];
        let intercept = table.choice("intercept", &intercepts);
        let tunnels = table.optional("tunnels").unwrap_or_default();
        table.sound()?;
        let endpoints = match (endpoint, endpoints) {
            (Some(endpoint), None) => Some(vec![endpoint]),
            (None, Some(endpoints)) if !endpoints.is_empty() => Some(endpoints),
            (Some(_), Some(_)) => table.refuse("both `endpoint` and `endpoints`: keep one"),
            _ => table.refuse("no `endpoint`: name one by its id, or several with `endpoints`"),
        };
        let (tls, client_auth) = tls?;
        Some(Listener {
            address: address?,
            endpoints: endpoints?,
            tls,
            client_auth,
            names: HostNames::new(names),
            proxy_protocol,
            intercept,
            tunnels,
        })
    }
}

impl FromTable for (ListenerTls, Option<ClientAuth>) {
    fn from_table(table: &mut Table<'_>) -> Option<Self> {
        let certificate = table.optional("certificate");
        let key = table.optional("key");
        let ca_certificate = table.optional("ca-certificate");
        let ca_key = table.optional("ca-key");
        let client_auth = client_auth(table);
        let tls = match (certificate, key, ca_certificate, ca_key) {
            (Some(certificate), Some(key), None, None) => ListenerTls::Files { certificate, key },
            (None, None, Some(certificate), Some(key)) => {
                ListenerTls::Authority { certificate, key }
            }
            _ => {
                return table.refuse(
                    "name either `certificate` and `key`, or `ca-certificate` and `ca-key`",
                );
            }
        };
        Some((tls, client_auth))
    }
}

fn client_auth(table: &mut Table<'_>) -> Option<ClientAuth> {
    let authorities = table.optional("client-ca");
    let crls = table.optional("client-crl");
    let is_required = table.optional::<String>("client-certificates");
    let Some(authorities) = authorities else {
        table.refuse_if(
            crls.is_some() || is_required.is_some(),
            "`client-crl` and `client-certificates` need `client-ca`",
        );
        return None;
    };
    Some(ClientAuth {
        authorities,
        crls: crls.unwrap_or_default(),
        is_required: match is_required.as_deref() {
            None | Some("required") => true,
            Some("optional") => false,
            Some(_) => {
                return table
                    .refuse("`client-certificates` is neither \"required\" nor \"optional\"");
            }
        },
    })
}

impl FromTable for ProxyProtocol {
    fn from_table(table: &mut Table<'_>) -> Option<ProxyProtocol> {
        let from: Vec<IpNet> = table.optional("from").unwrap_or_default();
        let is_required = table.optional("required").unwrap_or(true);
        table.sound()?;
        table.refuse_if(
            from.is_empty(),
            "no `from`: name the networks of the load balancers, such as [\"10.0.0.0/24\"]",
        );
        Some(ProxyProtocol { from, is_required })
    }
}

/// A name, or a table of a name and an address to connect to.
impl FromToml for Tunnel {
    fn from_toml(mut value: TomlValue<'_>) -> Option<Tunnel> {
        if value.is_string() {
            let name = value.string("a string")?;
            return Tunnel::new(name, None, |message| value.refuse(message));
        }
        value.table(|table| {
            let name = table.required("name");
            let connect = connect_address(table);
            Tunnel::new(name?, connect, |message| table.refuse(message))
        })
    }
}

impl Tunnel {
    fn new(
        name: String,
        connect: Option<String>,
        refuse: impl FnOnce(String) -> Option<Tunnel>,
    ) -> Option<Tunnel> {
        if !is_host_name(&name) {
            return refuse(format!(
                "`{name}` is not a host name such as \"sts.us-east-1.amazonaws.com\""
            ));
        }
        let name = name.to_ascii_lowercase();
        Some(Tunnel { name, connect })
    }
}
