//! What this gate is on the network: meeting itself there is a loop.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpStream;

/// The gate's own addresses, and its connections that are being opened. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Own {
    /// Where its listeners are bound.
    pub listeners: Vec<SocketAddr>,
    /// Whether each connection that is being opened has come in again.
    opening: Arc<Mutex<HashMap<Ends, bool>>>,
}

/// A connection's two ends, the opener's first.
type Ends = (SocketAddr, SocketAddr);

/// A connection that counts as being opened until this is dropped.
#[derive(Debug)]
pub struct Opening {
    own: Own,
    ends: Ends,
}

impl Own {
    /// Whether a connection to `address` would come in at one of our listeners. A listener on every
    /// address is met through any of this machine's.
    pub(super) fn listens_on(&self, address: SocketAddr) -> bool {
        let address = canonical(address);
        let met = |own: &SocketAddr| {
            own.port() == address.port()
                && (own.ip().to_canonical() == address.ip()
                    || own.ip().is_unspecified() && is_local(address.ip()))
        };
        self.listeners.iter().any(met)
    }

    /// Whether a connection that came in, once meant for `to`, is one that we opened; whoever opens
    /// it is told.
    pub(super) fn meets(&self, from: SocketAddr, to: SocketAddr) -> bool {
        match self.opening().get_mut(&(canonical(from), canonical(to))) {
            Some(met) => {
                *met = true;
                true
            }
            None => false,
        }
    }

    /// INVARIANT: called before a byte is sent, so that whoever reads a byte finds the entry.
    pub(super) fn open(&self, tcp: &TcpStream) -> io::Result<Opening> {
        let ends = (canonical(tcp.local_addr()?), canonical(tcp.peer_addr()?));
        self.opening().insert(ends, false);
        Ok(Opening {
            own: self.clone(),
            ends,
        })
    }

    fn opening(&self) -> MutexGuard<'_, HashMap<Ends, bool>> {
        // A map of addresses is whole whatever happened to the thread that held it.
        self.opening.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opening {
    /// Where it goes, if it came in again at one of our listeners.
    pub(super) fn met_itself(&self) -> Option<SocketAddr> {
        let met = self.own.opening().get(&self.ends).copied();
        met.unwrap_or(false).then_some(self.ends.1)
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.own.opening().remove(&self.ends);
    }
}

/// Whether an address is one of this machine's: only those can be bound, unless the system is told
/// to allow any (`ip_nonlocal_bind`), which an address that nobody has shows.
fn is_local(ip: IpAddr) -> bool {
    let binds = |ip: IpAddr| UdpSocket::bind((ip, 0)).is_ok();
    ip.is_loopback() || binds(ip) && !binds(Ipv4Addr::new(192, 0, 2, 1).into())
}

/// An IPv4 client of an IPv6 socket has its IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
