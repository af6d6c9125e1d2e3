//! The original destination of an intercepted connection (`SO_ORIGINAL_DST`, TPROXY).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use socket2::SockRef;
use tokio::net::TcpStream;

use crate::config::Intercept;

/// The reason that an intercepting listener refuses a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OriginalDstError {
    /// The client connected to the listener itself.
    NotIntercepted,
    /// The client connected to an address that no Kinesis endpoint can have.
    NoService(SocketAddr),
}

/// The original destination: the address that the client connected to.
pub(super) fn original_dst(
    tcp: &TcpStream,
    client: IpAddr,
    intercept: Intercept,
) -> Result<SocketAddr, OriginalDstError> {
    let local = tcp.local_addr().map(canonical);
    let local = local.map_err(|_| OriginalDstError::NotIntercepted)?;
    let original = match intercept {
        Intercept::Tproxy => local,
        Intercept::Redirect => {
            let socket = SockRef::from(tcp);
            let original = match client {
                IpAddr::V4(_) => socket.original_dst_v4(),
                IpAddr::V6(_) => socket.original_dst_v6(),
            };
            // Without an entry in netfilter, the connection was not redirected.
            let original = original.ok().and_then(|address| address.as_socket());
            original
                .map(canonical)
                .filter(|original| *original != local)
                .ok_or(OriginalDstError::NotIntercepted)?
        }
    };
    if can_be_service(original.ip()) {
        Ok(original)
    } else {
        Err(OriginalDstError::NoService(original))
    }
}

/// Turns an IPv4-mapped address of an IPv6 socket into an IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether a service can have the address. The machine itself, its link (with the instance metadata
/// service) and multicast groups cannot be a service.
fn can_be_service(ip: IpAddr) -> bool {
    let is_link = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || is_link)
}

impl fmt::Display for OriginalDstError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OriginalDstError::NotIntercepted => {
                f.write_str("a connection that was not redirected, to a listener with `intercept`")
            }
            OriginalDstError::NoService(address) => {
                write!(f, "it was going to `{address}`, where no Kinesis can be")
            }
        }
    }
}
