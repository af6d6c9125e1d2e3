//! Where an intercepted connection was going.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use socket2::SockRef;
use tokio::net::TcpStream;

use crate::config::Intercept;

/// Why a connection to a listener that intercepts is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unintercepted {
    /// It was meant for the listener itself.
    Direct,
    /// It was meant for an address that no Kinesis endpoint can have.
    Address(SocketAddr),
}

/// The address that the client connected to.
pub(super) fn destination(
    tcp: &TcpStream,
    peer: IpAddr,
    intercept: Intercept,
) -> Result<SocketAddr, Unintercepted> {
    let local = tcp.local_addr().map_err(|_| Unintercepted::Direct)?;
    let local = canonical(local);
    let meant = match intercept {
        Intercept::Tproxy => local,
        Intercept::Redirect => {
            let socket = SockRef::from(tcp);
            let original = match peer {
                IpAddr::V4(_) => socket.original_dst_v4(),
                IpAddr::V6(_) => socket.original_dst_v6(),
            };
            // Without an entry of netfilter's there was no redirect.
            let original = original.ok().and_then(|address| address.as_socket());
            original
                .map(canonical)
                .filter(|original| *original != local)
                .ok_or(Unintercepted::Direct)?
        }
    };
    if is_anybodys(meant.ip()) {
        Ok(meant)
    } else {
        Err(Unintercepted::Address(meant))
    }
}

/// An IPv4 address that an IPv6 socket shows is one of IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether a service could have the address: the machine itself, the link (with the instance
/// metadata service) and groups are none's.
fn is_anybodys(ip: IpAddr) -> bool {
    let link = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || link)
}

impl fmt::Display for Unintercepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unintercepted::Direct => {
                f.write_str("a connection that was not redirected, to a listener with `intercept`")
            }
            Unintercepted::Address(address) => {
                write!(f, "it was going to `{address}`, where no Kinesis can be")
            }
        }
    }
}
