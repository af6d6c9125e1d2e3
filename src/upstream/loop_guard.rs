//! Loop guard: detects connections from the gate to itself.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpStream;

/// The gate's own addresses, and its connections that are opening. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LoopGuard {
    /// The addresses of the gate's listeners.
    pub listeners: Vec<SocketAddr>,
    /// Whether each pending connection has arrived at a listener.
    pending: Arc<Mutex<HashMap<Ends, bool>>>,
}

/// The two ends of a connection, the opener's first.
type Ends = (SocketAddr, SocketAddr);

/// A connection that is being opened. The entry is removed on drop.
#[derive(Debug)]
pub struct PendingConnect {
    guard: LoopGuard,
    ends: Ends,
}

impl LoopGuard {
    /// Whether a connection to `address` would arrive at one of the gate's listeners. A listener on the
    /// unspecified address has every address of this machine.
    pub(super) fn listens_on(&self, address: SocketAddr) -> bool {
        let address = canonical(address);
        self.listeners.iter().any(|listener| {
            listener.port() == address.port()
                && (listener.ip().to_canonical() == address.ip()
                    || listener.ip().is_unspecified() && is_local(address.ip()))
        })
    }

    /// Whether the gate opened an accepted connection whose original destination is `to`. Marks the
    /// connection as a loop for the task that opens it.
    pub(super) fn detect_loop(&self, from: SocketAddr, to: SocketAddr) -> bool {
        match self.pending().get_mut(&(canonical(from), canonical(to))) {
            Some(is_loop) => {
                *is_loop = true;
                true
            }
            None => false,
        }
    }

    /// INVARIANT: called before a byte is sent, so that a listener that reads a byte finds the entry.
    pub(super) fn open(&self, tcp: &TcpStream) -> io::Result<PendingConnect> {
        let ends = (canonical(tcp.local_addr()?), canonical(tcp.peer_addr()?));
        self.pending().insert(ends, false);
        Ok(PendingConnect {
            guard: self.clone(),
            ends,
        })
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<Ends, bool>> {
        // A map of addresses is consistent even if a thread panicked while it held the lock.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PendingConnect {
    /// The destination, if the connection arrived at one of the gate's listeners.
    pub(super) fn loop_address(&self) -> Option<SocketAddr> {
        let is_loop = self.guard.pending().get(&self.ends).copied();
        is_loop.unwrap_or(false).then_some(self.ends.1)
    }
}

impl Drop for PendingConnect {
    fn drop(&mut self) {
        self.guard.pending().remove(&self.ends);
    }
}

/// Whether an address is one of this machine's: only those can be bound, unless the system allows
/// any (`ip_nonlocal_bind`). A bind to an address that no machine has detects that setting.
fn is_local(ip: IpAddr) -> bool {
    let binds = |ip: IpAddr| UdpSocket::bind((ip, 0)).is_ok();
    ip.is_loopback() || binds(ip) && !binds(Ipv4Addr::new(192, 0, 2, 1).into())
}

/// The IPv4 address of an IPv4 client of an IPv6 socket.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
