//! The DNS resolver: resolves a host's name to addresses.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use super::error::UpstreamError;

/// Resolves names for one event loop.
pub(super) struct Resolver {
    /// Queries the servers of the configuration, and caches answers for their TTL. If `None`, every
    /// lookup goes to the system's resolver.
    servers: Option<TokioResolver>,
    turn: Cell<usize>,
}

/// The most names in the cache. Account ids in names would make it unbounded.
const CACHE_SIZE: u64 = 1024;
/// Timeout of a query to one server.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest negative caching of a name without addresses, below the zone's own TTL: a client that
/// retries must not be refused for an hour.
const NEGATIVE_TTL: Duration = Duration::from_secs(5);

impl Resolver {
    /// A resolver that queries `servers`, or the system's if there are none.
    ///
    /// # Errors
    /// If the servers cannot be used.
    pub(super) fn new(servers: &[SocketAddr]) -> io::Result<Resolver> {
        let servers = (!servers.is_empty()).then(|| build_resolver(servers));
        Ok(Resolver {
            servers: servers.transpose()?,
            turn: Cell::new(0),
        })
    }

    /// All addresses of `host`, in the order in which to try them.
    pub(super) async fn addresses(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, UpstreamError> {
        let failed = |error| UpstreamError::Resolve(format!("{host}:{port}"), error);
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let Some(servers) = &self.servers else {
            let found = tokio::net::lookup_host((host, port)).await;
            return Ok(found.map_err(failed)?.collect());
        };
        // The trailing dot disables search domains.
        let found = servers.lookup_ip(format!("{host}.")).await;
        let found = found.map_err(|error| failed(io::Error::other(error)))?;
        let found = found.iter().map(|ip| SocketAddr::new(ip, port)).collect();
        Ok(self.round_robin(found))
    }

    /// Rotates the addresses, so that a cached answer does not send every connection to the first.
    pub(super) fn round_robin(&self, mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        if let Some(first) = turn.checked_rem(addresses.len()) {
            addresses.rotate_left(first);
        }
        addresses
    }
}

fn build_resolver(servers: &[SocketAddr]) -> io::Result<TokioResolver> {
    let servers = servers.iter().map(|server| {
        let at = |mut connection: ConnectionConfig| {
            connection.port = server.port();
            connection
        };
        // A query whose answer is too long for UDP is repeated over TCP.
        let protocols = vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())];
        NameServerConfig::new(server.ip(), true, protocols)
    });
    let config = ResolverConfig::from_name_servers(servers.collect());
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.timeout = QUERY_TIMEOUT;
    options.cache_size = CACHE_SIZE;
    options.negative_max_ttl = Some(NEGATIVE_TTL);
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    // The hosts file that leads clients to the gate would lead the gate to itself.
    options.use_hosts_file = ResolveHosts::Never;
    options.case_randomization = true;
    builder.build().map_err(io::Error::other)
}
