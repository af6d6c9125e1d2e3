//! Binding: a socket for each listener and event loop, and one for the admin port.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::config::{LogTo, Problem, Problems};
use crate::observe::Sink;
use crate::{listener, upstream};

use super::loaded_gate::{LoadedGate, LoadedListener};

/// A gate with all addresses bound, which does not serve yet.
pub struct BoundGate {
    pub(super) loaded: LoadedGate,
    /// For each listener, one socket for each event loop, all on one address.
    pub(super) sockets: Vec<Vec<TcpListener>>,
    pub(super) admin: Option<TcpListener>,
    pub(super) addresses: Vec<SocketAddr>,
    /// The file of the decision log, if the configuration names one.
    pub(super) log: Option<Sink>,
}

/// The longest time that the start waits for names to be resolved.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(2);

impl LoadedGate {
    /// Binds every address.
    ///
    /// # Errors
    /// All addresses that cannot be bound.
    pub fn bind(self) -> Result<BoundGate, Problems> {
        self.bind_with(Vec::new())
    }

    /// Binds every address at which none of the `inherited` sockets listens. The event loops share
    /// an inherited socket, which stays open when the process ends.
    ///
    /// # Errors
    /// All addresses that cannot be bound, and all inherited sockets without a listener.
    pub fn bind_with(mut self, mut inherited: Vec<TcpListener>) -> Result<BoundGate, Problems> {
        let mut problems = Vec::new();
        let mut report = |address: SocketAddr, error: std::io::Error| {
            let message = format_args!("cannot listen: {error}");
            problems.push(Problem::of_file(Path::new(&address.to_string()), message));
        };
        let workers = self.worker_count();
        let mut sockets = Vec::new();
        let mut addresses = Vec::new();
        for listener in &self.listeners {
            let bound = match take(&mut inherited, listener.address) {
                Some(socket) => share(socket, listener.address, workers),
                None => bind_each(listener, workers),
            };
            match bound {
                Ok((address, shared)) => {
                    addresses.push(address);
                    sockets.push(shared);
                }
                Err(error) => report(listener.address, error),
            }
        }
        let admin = self.config.admin.address.and_then(|address| {
            let bound = match take(&mut inherited, address) {
                Some(socket) => socket.set_nonblocking(true).map(|()| socket),
                None => crate::admin::bind(address),
            };
            bound.map_err(|error| report(address, error)).ok()
        });
        problems.extend(inherited.iter().map(|socket| {
            let address = socket.local_addr().map(|address| address.to_string());
            let message = "was handed over as a socket, and no listener has this address";
            Problem::of_file(Path::new(&address.unwrap_or_default()), message)
        }));
        let log = match &self.config.log.to {
            LogTo::Stdout => None,
            LogTo::File(file) => Sink::file(file)
                .map_err(|error| {
                    let message = format_args!("the decision log cannot be opened: {error}");
                    problems.push(Problem::of_file(file, message));
                })
                .ok(),
        };
        self.upstream.loop_guard.listeners.clone_from(&addresses);
        if problems.is_empty() {
            problems.extend(self.find_loop());
        }
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        Ok(BoundGate {
            loaded: self,
            sockets,
            admin,
            addresses,
            log,
        })
    }

    /// Finds an upstream that leads back to the gate, before a client does. Names that do not
    /// resolve now are left for later: the network may come up after the gate.
    fn find_loop(&self) -> Option<Problem> {
        // On a thread of its own: the caller may run an event loop.
        let resolve = || self.resolve_services();
        std::thread::scope(|scope| scope.spawn(resolve).join().ok().flatten())
    }

    fn resolve_services(&self) -> Option<Problem> {
        let upstream = upstream::Upstream::new(&self.upstream).ok()?;
        let runtime = Builder::new_current_thread().enable_all().build().ok()?;
        let find = async {
            for name in &self.services {
                if let Err(failure @ upstream::UpstreamError::Loop(_)) =
                    upstream.addresses(name).await
                {
                    return Some(Problem::of_file(Path::new("upstream"), failure));
                }
            }
            None
        };
        let find = async { timeout(RESOLVE_TIMEOUT, find).await.ok().flatten() };
        LocalSet::new().block_on(&runtime, find)
    }
}

impl BoundGate {
    /// The address of each listener, in the configuration's order.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The address of the admin port.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref()?.local_addr().ok()
    }

    /// Lines for the operator, with the address and the endpoints of each listener.
    pub fn announcements(&self) -> Vec<String> {
        let listeners = self.addresses.iter().zip(&self.loaded.config.listeners);
        let listeners = listeners.map(|(address, listener)| {
            format!(
                "listening on {address} for {}",
                listener.endpoints.join(", ")
            )
        });
        let admin = self.admin_address();
        let admin = admin.map(|address| format!("admin on {address}"));
        listeners.chain(admin).collect()
    }
}

/// Removes the socket that listens at an address.
fn take(inherited: &mut Vec<TcpListener>, address: SocketAddr) -> Option<TcpListener> {
    let is_at = |socket: &TcpListener| socket.local_addr().is_ok_and(|it| it == address);
    let index = inherited.iter().position(is_at)?;
    Some(inherited.swap_remove(index))
}

/// One socket for all event loops.
fn share(
    socket: TcpListener,
    address: SocketAddr,
    workers: usize,
) -> std::io::Result<(SocketAddr, Vec<TcpListener>)> {
    socket.set_nonblocking(true)?;
    let mut sockets = Vec::with_capacity(workers);
    for _ in 1..workers {
        sockets.push(socket.try_clone()?);
    }
    sockets.push(socket);
    Ok((address, sockets))
}

/// A socket for each event loop.
fn bind_each(
    listener: &LoadedListener,
    workers: usize,
) -> std::io::Result<(SocketAddr, Vec<TcpListener>)> {
    let intercept = listener.state.intercept;
    let first = listener::bind(listener.address, intercept)?;
    // Port 0 has become a real port, which the other loops share.
    let bound = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(listener::bind(bound, intercept)?);
    }
    Ok((bound, sockets))
}
