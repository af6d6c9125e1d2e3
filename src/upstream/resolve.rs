//! From a host's name to its addresses.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use super::Failure;

/// Finds addresses for one event loop.
pub(super) struct Resolver {
    /// Asks servers that the configuration names, and keeps answers as long as they say; without
    /// one, the system's resolver is asked each time.
    servers: Option<TokioResolver>,
    turn: Cell<usize>,
}

/// Names whose addresses are kept at once. Account ids make their number unbounded otherwise.
const KEPT: u64 = 1024;
/// How long one server may take for an answer.
const ANSWER: Duration = Duration::from_secs(2);
/// How long a name without addresses is believed to have none, whatever the zone says: a client
/// that retries must not be kept out for an hour.
const ABSENT: Duration = Duration::from_secs(5);

impl Resolver {
    /// Asks `servers`, or the system where there are none.
    ///
    /// # Errors
    /// When the servers cannot be used.
    pub(super) fn new(servers: &[SocketAddr]) -> io::Result<Resolver> {
        let asked = (!servers.is_empty()).then(|| asking(servers)).transpose();
        Ok(Resolver {
            servers: asked?,
            turn: Cell::new(0),
        })
    }

    /// Every address of `host`, in the order in which to try them.
    pub(super) async fn addresses(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let failed = |error| Failure::Resolve(format!("{host}:{port}"), error);
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let Some(servers) = &self.servers else {
            let found = tokio::net::lookup_host((host, port)).await;
            return Ok(found.map_err(failed)?.collect());
        };
        // The dot of the root keeps search domains out.
        let found = servers.lookup_ip(format!("{host}.")).await;
        let found = found.map_err(|error| failed(io::Error::other(error)))?;
        let found = found.iter().map(|ip| SocketAddr::new(ip, port)).collect();
        Ok(self.in_turn(found))
    }

    /// The same addresses, beginning with another one each time: an answer that is kept would
    /// otherwise send every connection to its first.
    pub(super) fn in_turn(&self, mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        if let Some(first) = turn.checked_rem(addresses.len()) {
            addresses.rotate_left(first);
        }
        addresses
    }
}

fn asking(servers: &[SocketAddr]) -> io::Result<TokioResolver> {
    let servers = servers.iter().map(|server| {
        let at = |mut connection: ConnectionConfig| {
            connection.port = server.port();
            connection
        };
        // An answer too long for UDP is asked for over TCP.
        let ways = vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())];
        NameServerConfig::new(server.ip(), true, ways)
    });
    let config = ResolverConfig::from_name_servers(servers.collect());
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.timeout = ANSWER;
    options.cache_size = KEPT;
    options.negative_max_ttl = Some(ABSENT);
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    // The hosts file that brings clients here would bring the gate to itself.
    options.use_hosts_file = ResolveHosts::Never;
    options.case_randomization = true;
    builder.build().map_err(io::Error::other)
}
