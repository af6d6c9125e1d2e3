//! `[upstream]`: the destination of allowed requests.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::parse::{FromTable, Table};
use super::values::{address_with_port, connect_address};

/// `[upstream]`: the destination of allowed requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upstream {
    /// The `host:port` of every upstream connection; if absent, connections go to the Kinesis
    /// endpoint that the client named, resolved by DNS, port 443.
    pub connect: Option<String>,
    /// Addresses of Kinesis, used in round robin in place of DNS; port 443 by default.
    pub addresses: Vec<SocketAddr>,
    /// DNS servers to query instead of the system's resolver and hosts file; port 53 by default.
    pub dns: Vec<SocketAddr>,
    /// The SNI name to send, and to verify in the upstream's certificate; if absent, the name of
    /// the Kinesis endpoint.
    pub server_name: Option<String>,
    /// Trusted roots instead of the system's, PEM.
    pub ca_file: Option<PathBuf>,
}

impl FromTable for Upstream {
    fn from_table(table: &mut Table<'_>) -> Option<Upstream> {
        let mut addresses = |key, port| {
            table.optional_with(key, |list| list.array(|it| address_with_port(it, port)))
        };
        let (addresses, dns) = (addresses("addresses", 443), addresses("dns", 53));
        let is_empty = |list: &Option<Vec<_>>| list.as_ref().is_some_and(Vec::is_empty);
        table.refuse_if(
            is_empty(&addresses) || is_empty(&dns),
            "an empty list leads nowhere: leave `addresses` or `dns` out",
        );
        let upstream = Upstream {
            connect: connect_address(table),
            addresses: addresses.unwrap_or_default(),
            dns: dns.unwrap_or_default(),
            server_name: table.optional("server-name"),
            ca_file: table.optional("ca-file"),
        };
        table.refuse_if(
            upstream.connect.is_some() && !upstream.addresses.is_empty(),
            "both `connect` and `addresses`: keep one",
        );
        Some(upstream)
    }
}
