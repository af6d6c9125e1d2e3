//! Wiring only: configuration -> loaded -> bound -> running -> drained.

mod control;
mod identity;
mod load;
mod reload;
mod run;
mod token_store;
mod watch;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::runtime::Builder;
use tokio::task::LocalSet;

use crate::admin::Access;
use crate::config::{self, Config, Limits, LogTo, Problem, Problems};
use crate::listener::{self, ListenerState};
use crate::observe::{Clock, LogFormat, Sink, TraceSettings};
use crate::tokens::TokenStore;
use crate::upstream;

use control::Inventory;
use identity::Kept;

pub use load::{compile, knows};
pub use run::Running;

/// A configuration with everything that it names opened, compiled and found good.
pub struct Loaded {
    file: PathBuf,
    config: Config,
    workers: usize,
    limits: Limits,
    log: config::Log,
    metrics: config::Metrics,
    upstream: upstream::Settings,
    admin: Option<SocketAddr>,
    access: Access,
    inventory: Inventory,
    endpoints: Vec<String>,
    doors: Vec<At>,
    /// The names that connections go to unless clients ask for others.
    services: Vec<String>,
    tokens: Arc<TokenStore>,
    traces: Option<TraceSettings>,
    kept: Kept,
    notices: Vec<Problem>,
    clock: Clock,
}

/// A listener that is loaded but not bound.
struct At {
    address: SocketAddr,
    door: Arc<ListenerState>,
}

/// Everything bound: the addresses are known, nothing is served yet.
pub struct Bound {
    loaded: Loaded,
    /// For each listener, a socket for each event loop, all on one address.
    sockets: Vec<Vec<TcpListener>>,
    admin: Option<TcpListener>,
    addresses: Vec<SocketAddr>,
    /// Where the decision log goes, if not where the process says.
    log: Option<Sink>,
}

/// The process's clock. The one place that reads it.
pub fn clock() -> SystemTime {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one clock, handed to whoever needs the time"
    )]
    SystemTime::now()
}

/// Reads a configuration file and opens everything it names.
///
/// # Errors
/// Every problem of the file and of the files it names, at once.
pub fn load(file: &Path, clock: Clock) -> Result<Loaded, Problems> {
    load_for(file, clock, None)
}

/// The same, for a process that already serves.
fn load_for(file: &Path, clock: Clock, before: Option<&load::Before>) -> Result<Loaded, Problems> {
    let text = read(file)?;
    match Config::parse(&text, file) {
        Ok(config) => load::open(&config, file, clock, before).map(|mut loaded| {
            let notices = Problems(std::mem::take(&mut loaded.notices));
            loaded.notices = config::locate(notices, &text, file).0;
            loaded
        }),
        Err(problems) => Err(load::with_documents(problems, &text, file)),
    }
    .map_err(|problems| config::locate(problems, &text, file))
}

fn read(file: &Path) -> Result<String, Problems> {
    std::fs::read_to_string(file).map_err(|error| {
        let message = format_args!("cannot be read: {error}");
        Problems(vec![Problem::of_file(file, message)])
    })
}

impl Loaded {
    /// What an operator should know before traffic comes: statements that depend on what this gate
    /// cannot know.
    pub fn notices(&self) -> &[Problem] {
        &self.notices
    }

    /// Files that may be open at once: a connection from each client, one to the upstream for it,
    /// and some of the gate's own.
    pub fn open_files(&self) -> u64 {
        const OWN: u64 = 128;
        (self.limits.connections as u64)
            .saturating_mul(2)
            .saturating_add(OWN)
    }

    /// Binds every address.
    ///
    /// # Errors
    /// Every address that cannot be bound.
    pub fn bind(self) -> Result<Bound, Problems> {
        self.bind_with(Vec::new())
    }

    /// The same, but for addresses at which sockets listen already that this process was handed:
    /// the event loops share them, and they stay when it ends.
    ///
    /// # Errors
    /// Every address that cannot be bound, and every socket that no listener is for.
    pub fn bind_with(mut self, mut handed: Vec<TcpListener>) -> Result<Bound, Problems> {
        let mut problems = Vec::new();
        let mut failed = |address: SocketAddr, error: std::io::Error| {
            let message = format_args!("cannot listen: {error}");
            problems.push(Problem::of_file(Path::new(&address.to_string()), message));
        };
        let workers = self.worker_count();
        let mut sockets = Vec::new();
        let mut addresses = Vec::new();
        for at in &self.doors {
            let bound = match take(&mut handed, at.address) {
                Some(socket) => share(socket, at.address, workers),
                None => bind_each(at, workers),
            };
            match bound {
                Ok((address, shared)) => {
                    addresses.push(address);
                    sockets.push(shared);
                }
                Err(error) => failed(at.address, error),
            }
        }
        let admin = self.admin.and_then(|address| {
            let bound = match take(&mut handed, address) {
                Some(socket) => socket.set_nonblocking(true).map(|()| socket),
                None => crate::admin::bind(address),
            };
            bound.map_err(|error| failed(address, error)).ok()
        });
        problems.extend(handed.iter().map(|socket| {
            let address = socket.local_addr().map(|address| address.to_string());
            let message = "was handed over as a socket, and no listener has this address";
            Problem::of_file(Path::new(&address.unwrap_or_default()), message)
        }));
        let log = match &self.log.to {
            LogTo::Stdout => None,
            LogTo::File(file) => Sink::file(file)
                .map_err(|error| {
                    let message = format_args!("the decision log cannot be opened: {error}");
                    problems.push(Problem::of_file(file, message));
                })
                .ok(),
        };
        self.upstream.own.listeners.clone_from(&addresses);
        if problems.is_empty() {
            problems.extend(self.find_loop());
        }
        if problems.is_empty() {
            Ok(Bound {
                loaded: self,
                sockets,
                admin,
                addresses,
                log,
            })
        } else {
            Err(Problems(problems))
        }
    }

    /// A way to the upstream that leads back here, before a client meets it. Names that are not
    /// resolved now are left for later: the network may come up after the gate.
    fn find_loop(&self) -> Option<Problem> {
        // On a thread of its own: whoever binds may run an event loop.
        let look = || self.look_for_loop();
        std::thread::scope(|scope| scope.spawn(look).join().ok().flatten())
    }

    fn look_for_loop(&self) -> Option<Problem> {
        let upstream = upstream::Upstream::new(&self.upstream).ok()?;
        let runtime = Builder::new_current_thread().enable_all().build().ok()?;
        let looking = async {
            for name in &self.services {
                if let Err(failure @ upstream::Failure::Loop(_)) = upstream.addresses(name).await {
                    return Some(Problem::of_file(Path::new("upstream"), failure));
                }
            }
            None
        };
        let looking = async { tokio::time::timeout(LOOKING, looking).await.ok().flatten() };
        LocalSet::new().block_on(&runtime, looking)
    }

    fn worker_count(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        }
    }
}

impl Bound {
    /// The address of each listener, in the configuration's order.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The address of the admin port.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
            .as_ref()
            .and_then(|socket| socket.local_addr().ok())
    }

    /// Lines for the operator: which address serves which endpoint.
    pub fn announcements(&self) -> Vec<String> {
        let doors = self
            .addresses
            .iter()
            .zip(&self.loaded.doors)
            .map(|(address, at)| {
                let endpoints = at.door.endpoints.endpoints.iter();
                let ids: Vec<&str> = endpoints.map(|endpoint| &*endpoint.id).collect();
                format!("listening on {address} for {}", ids.join(", "))
            });
        let admin = self
            .admin_address()
            .map(|address| format!("admin on {address}"));
        doors.chain(admin).collect()
    }

    /// Starts the event loops, one thread each. The decision log goes to `out` where the
    /// configuration names no file.
    ///
    /// # Errors
    /// When a thread or an event loop cannot be started.
    pub fn start(mut self, out: Sink, format: LogFormat) -> std::io::Result<Running> {
        let sink = self.log.take().unwrap_or(out);
        run::start(self, sink, format)
    }
}

/// The socket that listens at an address already.
fn take(handed: &mut Vec<TcpListener>, address: SocketAddr) -> Option<TcpListener> {
    let at = |socket: &TcpListener| socket.local_addr().is_ok_and(|it| it == address);
    let place = handed.iter().position(at)?;
    Some(handed.swap_remove(place))
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

/// How long the start may wait for names to be resolved.
const LOOKING: Duration = Duration::from_secs(2);

fn bind_each(at: &At, workers: usize) -> std::io::Result<(SocketAddr, Vec<TcpListener>)> {
    let intercept = at.door.intercept;
    let first = listener::bind(at.address, intercept)?;
    // Port 0 has become a real one: the other loops share it.
    let bound = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(listener::bind(bound, intercept)?);
    }
    Ok((bound, sockets))
}
