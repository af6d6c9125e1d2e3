//! Running: starts the event loops, one for each core, and drains them (graceful shutdown).

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::{Notify, Semaphore, oneshot};

use crate::admin::Admin;
use crate::config::Problems;
use crate::credentials::CredentialRefresher;
use crate::gate::SnapshotCell;
use crate::listener::{ConnectionLimits, Listener};
use crate::observe::{
    Counters, DecisionLog, LabelValues, LogFormat, LogWriter, Metrics, Sink, SpanCounts,
    StreamLabels, Traces,
};
use crate::shutdown::{self, Trigger};
use crate::upstream;

use super::admin_control::AdminControl;
use super::bound_gate::BoundGate;
use super::event_loop::{self, WorkerConfig};
use super::file_watcher::FileWatcher;
use super::gauges;
use super::loaded_gate::LoadedListener;
use super::reload::{ActiveListener, Reloader};

/// A gate that is serving.
pub struct RunningGate {
    trigger: Trigger,
    event_loops: Vec<Thread>,
    admin: Option<(oneshot::Sender<()>, Thread)>,
    reloader: Arc<Reloader>,
    file_watcher: Option<FileWatcher>,
    log: LogWriter,
    traces: Option<Traces>,
    drain_request: Arc<Notify>,
}

type Thread = JoinHandle<io::Result<()>>;

impl BoundGate {
    /// Starts the event loops, one thread each. The decision log goes to `out` unless the
    /// configuration names a file.
    ///
    /// # Errors
    /// If a thread or an event loop cannot be started.
    pub fn start(self, out: Sink, format: LogFormat) -> io::Result<RunningGate> {
        let BoundGate {
            mut loaded,
            sockets,
            admin,
            addresses,
            log,
        } = self;
        let credentials = loaded.persistent.clone();
        let refreshers = match credentials.is_empty() {
            true => Vec::new(),
            false => vec![CredentialRefresher::start(
                credentials.stores(),
                credentials.sources,
                loaded.clock,
            )?],
        };
        let workers = sockets.first().map_or(1, Vec::len);
        let (trigger, drain) = shutdown::channel();
        let log = LogWriter::start(log.unwrap_or(out), format, &loaded.config.log)?;
        let spans = Arc::new(SpanCounts::default());
        let traces = loaded.traces.take();
        let traces = traces.map(|settings| Traces::start(settings, &spans));
        let traces = traces.transpose()?;
        let mut limits = loaded.config.limits.clone();
        let permits = Arc::new(ConnectionLimits::new(&limits));
        limits.requests = (limits.requests / workers).max(1);
        let streams = Arc::new(StreamLabels::new(loaded.config.metrics.streams));
        // Endpoints that a reload adds share the last counters.
        let mut endpoints = loaded.endpoint_ids();
        endpoints.push("other".to_owned());
        let labels = LabelValues {
            endpoints,
            streams: Arc::clone(&streams),
            upstream_failures: &upstream::UpstreamError::KINDS,
        };
        let counters: Vec<Arc<Counters>> = (0..workers)
            .map(|_| Arc::new(Counters::new(&labels)))
            .collect();
        // Each loop has a share of the buffer budget, so that loops need not agree on every
        // request. A share is never less than one body: the largest body must pass.
        let share = (limits.buffered_bytes / workers).max(limits.body_bytes);
        let budgets: Vec<_> = (0..workers)
            .map(|_| Arc::new(Semaphore::new(share)))
            .collect();

        let listening = |(listener, bound): (&LoadedListener, &SocketAddr)| ActiveListener {
            configured: listener.address,
            bound: *bound,
            intercept: listener.state.intercept,
            state: Arc::new(SnapshotCell::new(Arc::clone(&listener.state))),
        };
        let listening = loaded.listeners.iter().zip(&addresses).map(listening);
        let listening: Vec<ActiveListener> = listening.collect();
        let mut sockets: Vec<_> = sockets.into_iter().map(Vec::into_iter).collect();
        let mut event_loops = Vec::with_capacity(workers);
        for (n, (counters, budget)) in counters.iter().zip(&budgets).enumerate() {
            let listeners = sockets.iter_mut().zip(&listening);
            let config = WorkerConfig {
                listeners: listeners
                    .filter_map(|(sockets, listening)| {
                        let state = Arc::clone(&listening.state);
                        Some(Listener::new(sockets.next()?, state))
                    })
                    .collect(),
                upstream: loaded.upstream.clone(),
                limits: limits.clone(),
                on_reload: loaded.config.reload.on_reload,
                budget: Arc::clone(budget),
                counters: Arc::clone(counters),
                streams: Arc::clone(&streams),
                log: log.buffer(),
                spans: traces.as_ref().map(Traces::buffer),
                clock: loaded.clock,
                drain: drain.clone(),
                permits: Arc::clone(&permits),
                tokens: Arc::clone(&loaded.tokens),
            };
            event_loops.push(spawn(&format!("loop-{n}"), || event_loop::run(config))?);
        }
        let inventory = std::mem::take(&mut loaded.inventory);
        let status = inventory.status(&addresses, (loaded.clock)());
        let reloader = Reloader::new(&loaded, listening, log.log().clone(), refreshers, status);
        let reloader = Arc::new(reloader);
        let file_watcher = match loaded.config.reload.watch {
            true => Some(FileWatcher::start(Arc::clone(&reloader))?),
            false => None,
        };
        let drain_request = Arc::new(Notify::new());
        let admin = match admin {
            Some(socket) => {
                let mut gauges = Vec::from(gauges::buffer_budget(budgets, share));
                gauges.extend(gauges::reloads(&reloader));
                gauges.extend(gauges::certificate_expiries(&reloader));
                gauges.extend(gauges::tokens(&loaded.tokens, loaded.clock));
                let rates = Arc::clone(&reloader);
                let admin = Admin {
                    metrics: Metrics {
                        loops: counters,
                        labels,
                        log: log.log().clone(),
                        spans,
                        gauges,
                        rates: Arc::new(move || rates.rate_limited()),
                    },
                    drain,
                    control: Arc::new(AdminControl {
                        reloader: Arc::clone(&reloader),
                        drain: Arc::clone(&drain_request),
                    }),
                    access: loaded.access,
                };
                let (stop, stopped) = oneshot::channel();
                Some((stop, spawn("admin", || run_admin(admin, socket, stopped))?))
            }
            None => None,
        };
        Ok(RunningGate {
            trigger,
            event_loops,
            admin,
            reloader,
            file_watcher,
            log,
            traces,
            drain_request,
        })
    }
}

impl RunningGate {
    /// Waits for a drain request at the admin port.
    pub async fn drain_requested(&self) {
        self.drain_request.notified().await;
    }

    /// The decision log.
    pub fn log(&self) -> &DecisionLog {
        self.log.log()
    }

    /// Loads the configuration again and puts it in force. Also reopens the decision log's file,
    /// and reports the result on standard error.
    ///
    /// # Errors
    /// All problems; the previous configuration stays in force.
    pub fn reload(&self) -> Result<(), Problems> {
        self.reloader.reload()
    }

    /// Stops accepting connections, lets accepted requests finish within the drain timeout, and
    /// ends. Until the end, the admin port answers that the gate is not ready.
    ///
    /// # Errors
    /// The first event loop's failure, if one failed.
    pub fn drain(self) -> io::Result<()> {
        drop(self.file_watcher);
        self.trigger.begin();
        let mut result = Ok(());
        for thread in self.event_loops {
            result = result.and(join(thread));
        }
        if let Some((stop, thread)) = self.admin {
            drop(stop);
            result = result.and(join(thread));
        }
        drop(self.reloader);
        if let Some(traces) = self.traces {
            traces.finish();
        }
        self.log.finish();
        result
    }
}

fn spawn(name: &str, run: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<Thread> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

fn join(thread: Thread) -> io::Result<()> {
    thread
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("an event loop ended abnormally")))
}

fn run_admin(admin: Admin, socket: TcpListener, stopped: oneshot::Receiver<()>) -> io::Result<()> {
    event_loop::runtime()?.block_on(async move {
        tokio::select! {
            result = admin.run(socket) => result,
            _ = stopped => Ok(()),
        }
    })
}
