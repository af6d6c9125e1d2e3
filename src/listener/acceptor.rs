//! Listening sockets: bound with `SO_REUSEPORT`, one for each event loop, and their accept loop.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::config::Intercept;
use crate::gate::{SnapshotCell, Worker};
use crate::shutdown::Drain;

use super::connection::{self, Shared, http_limits};
use super::connection_limits::ConnectionLimits;
use super::state::ListenerState;

/// A bound socket and the state of its listener. Each event loop has its own socket on the address.
pub struct Listener {
    socket: std::net::TcpListener,
    state: Arc<SnapshotCell<ListenerState>>,
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Binds an address so that the sockets of several event loops share it.
///
/// # Errors
/// The system's error: the address is in use, is not one of this machine's, or needs a capability
/// (`CAP_NET_ADMIN` for [`Intercept::Tproxy`]).
pub fn bind(
    address: SocketAddr,
    intercept: Option<Intercept>,
) -> io::Result<std::net::TcpListener> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if intercept == Some(Intercept::Tproxy) {
        match address {
            SocketAddr::V4(_) => socket.set_ip_transparent_v4(true)?,
            SocketAddr::V6(_) => socket.set_ip_transparent_v6(true)?,
        }
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Listener {
    /// A listener on a socket that [`bind`] has bound.
    pub fn new(socket: std::net::TcpListener, state: Arc<SnapshotCell<ListenerState>>) -> Listener {
        Listener { socket, state }
    }

    /// Accepts connections until the drain begins.
    ///
    /// # Errors
    /// If the event loop cannot register the socket.
    pub async fn run(
        self,
        worker: Rc<Worker>,
        limits: Arc<ConnectionLimits>,
        mut drain: Drain,
    ) -> io::Result<()> {
        let backlog = self.socket.try_clone()?;
        let socket = TcpListener::from_std(self.socket)?;
        let shared = Rc::new(Shared {
            http_limits: http_limits(&worker.limits),
            state: self.state,
            worker,
            limits,
            drain: drain.clone(),
        });
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = drain.wait() => break,
            };
            match accepted {
                Ok((tcp, from)) => connection::spawn(tcp, from, &shared),
                Err(error) => pause_after(&error).await,
            }
        }
        // Closing the socket would reset the connections that have not been accepted yet.
        for _ in 0..BACKLOG {
            let Ok((tcp, from)) = backlog.accept() else {
                break;
            };
            tcp.set_nonblocking(true)?;
            connection::spawn(TcpStream::from_std(tcp)?, from, &shared);
        }
        Ok(())
    }
}

/// Pauses after an error for lack of descriptors or memory: accepting again at once would only burn
/// the core. An error of one connection needs no pause, because that connection is gone.
async fn pause_after(error: &io::Error) {
    let is_gone = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    );
    if !is_gone {
        sleep(Duration::from_millis(50)).await;
    }
}
