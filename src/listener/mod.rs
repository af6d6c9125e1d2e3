//! Sockets, permits and TLS: everything before HTTP.

mod leaf;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::caller::names_in;
use crate::gate::{Connection, Site, Worker};
use crate::observe::TlsFailure;
use crate::read_ahead::ReadAhead;
use crate::server::{self, Protocol as Http};
use crate::shutdown::Draining;

pub use leaf::{Authority, AuthorityError};
pub use tls::{Certificates, Clients, server_config};

/// A bound socket with what it serves. Every event loop has one of its own on the same address.
pub struct Listener {
    socket: std::net::TcpListener,
    /// What comes in here is decided by this.
    pub site: Arc<Site>,
    /// The certificates.
    pub tls: TlsAcceptor,
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Binds an address so that several sockets may share it, one for each event loop.
///
/// # Errors
/// What the system says: the address is in use, is not one of this machine's, needs a capability.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Listener {
    /// A listener on a socket that [`bind`] has bound.
    pub fn new(socket: std::net::TcpListener, site: Arc<Site>, tls: TlsAcceptor) -> Listener {
        Listener { socket, site, tls }
    }

    /// Accepts until the drain begins.
    ///
    /// # Errors
    /// When the socket cannot be handed to the event loop.
    pub async fn run(
        self,
        worker: Rc<Worker>,
        permits: Arc<Semaphore>,
        mut draining: Draining,
    ) -> io::Result<()> {
        let socket = TcpListener::from_std(self.socket)?;
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = draining.begun() => return Ok(()),
            };
            match accepted {
                Ok((tcp, peer)) => match Arc::clone(&permits).try_acquire_owned() {
                    Ok(permit) => {
                        let (worker, site) = (Rc::clone(&worker), Arc::clone(&self.site));
                        let (tls, draining) = (self.tls.clone(), draining.clone());
                        let connection = serve(tcp, peer, tls, site, worker, draining, permit);
                        tokio::task::spawn_local(connection);
                    }
                    Err(_) => worker.observer.connection_refused(),
                },
                Err(error) => pause_after(&error).await,
            }
        }
    }
}

/// One client connection, from its first byte to its last.
async fn serve(
    tcp: TcpStream,
    peer: SocketAddr,
    tls: TlsAcceptor,
    site: Arc<Site>,
    worker: Rc<Worker>,
    draining: Draining,
    _permit: OwnedSemaphorePermit,
) {
    let _open = worker.observer.connection_opened();
    // Answers are written whole; waiting to fill a segment would only delay them.
    let _ = tcp.set_nodelay(true);
    let deadline = worker.limits.handshake_timeout;
    let stream = match timeout(deadline, tls.accept(ReadAhead::new(tcp))).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return worker.observer.tls_failed(tls::failure(&error)),
        Err(_) => return worker.observer.tls_failed(TlsFailure::Timeout),
    };
    let session = stream.get_ref().1;
    let leaf = session.peer_certificates().and_then(|chain| chain.first());
    let certified = leaf.map(|leaf| site.principals.of_certificate(&names_in(leaf)));
    let connection = Connection {
        site,
        peer: peer.ip().to_canonical(),
        server_name: session.server_name().map(str::to_ascii_lowercase),
        certified,
    };
    let http = Http::of_alpn(session.alpn_protocol());
    server::serve(stream, http, connection, worker, draining).await;
}

/// Accepting fails for one connection (it is gone already: go on at once) or for want of
/// descriptors or memory (wait: accepting again at once would only burn the core).
async fn pause_after(error: &io::Error) {
    let gone = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    );
    if !gone {
        sleep(Duration::from_millis(50)).await;
    }
}
