//! Running and draining: one event loop for each core, each on a thread of its own.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::time::{interval, sleep, timeout};

use crate::admin::Admin;
use crate::config::{Limits, OnReload, Problems};
use crate::credentials::Keeper;
use crate::gate::{SnapshotCell, Worker};
use crate::listener::{ConnectionLimits, Listener};
use crate::observe::{
    Counters, DecisionLog, Gauge, LabelValues, LogBuffer, LogFormat, LogWriter, Metrics, Observer,
    Sink, SpanBuffer, SpanCounts, StreamLabels, Traces,
};
use crate::shutdown::{self, Drain, Trigger};
use crate::tokens::{TokenStore, TokenStoreHandle};
use crate::upstream::{self, Upstream};

use super::control::{self, Steering};
use super::reload::{Listening, Reloader};
use super::token_store;
use super::watch::Watch;
use super::{At, Bound};

/// A gate that serves.
pub struct Running {
    trigger: Trigger,
    loops: Vec<JoinHandle<io::Result<()>>>,
    admin: Option<(oneshot::Sender<()>, JoinHandle<io::Result<()>>)>,
    reloader: Arc<Reloader>,
    watch: Option<Watch>,
    log: LogWriter,
    traces: Option<Traces>,
    stop: Arc<Notify>,
}

/// What one event loop is started with.
struct Seed {
    listeners: Vec<Listener>,
    upstream: upstream::Settings,
    limits: Limits,
    on_reload: OnReload,
    budget: Arc<Semaphore>,
    counters: Arc<Counters>,
    streams: Arc<StreamLabels>,
    log: LogBuffer,
    spans: Option<SpanBuffer>,
    clock: crate::observe::Clock,
    draining: Drain,
    permits: Arc<ConnectionLimits>,
    tokens: Arc<TokenStore>,
}

/// How often a loop hands its log lines over and closes connections that were not used.
const HOUSEKEEPING: Duration = Duration::from_millis(200);
/// How often a drain looks whether it is over.
const DRAIN_STEP: Duration = Duration::from_millis(10);

pub(super) fn start(bound: Bound, sink: Sink, format: LogFormat) -> io::Result<Running> {
    let Bound {
        mut loaded,
        sockets,
        admin,
        addresses,
        ..
    } = bound;
    let kept = loaded.kept.clone();
    let keepers = match kept.is_empty() {
        true => Vec::new(),
        false => vec![Keeper::start(kept.stores(), kept.sources, loaded.clock)?],
    };
    let workers = sockets.first().map_or(1, Vec::len);
    let (trigger, draining) = shutdown::channel();
    let stop = Arc::new(Notify::new());
    let log = LogWriter::start(sink, format, &loaded.log)?;
    let spans = Arc::new(SpanCounts::default());
    let traces = loaded.traces.take();
    let traces = traces.map(|settings| Traces::start(settings, &spans));
    let traces = traces.transpose()?;
    let permits = Arc::new(ConnectionLimits::new(&loaded.limits));
    let mut limits = loaded.limits.clone();
    limits.requests = (limits.requests / workers).max(1);
    let streams = Arc::new(StreamLabels::new(loaded.metrics.streams));
    // Those that a reload adds share the last place.
    let mut endpoints = loaded.endpoints.clone();
    endpoints.push("other".to_owned());
    let labels = LabelValues {
        endpoints,
        streams: Arc::clone(&streams),
        upstream_failures: &upstream::Failure::KINDS,
    };
    let counters: Vec<Arc<Counters>> = (0..workers)
        .map(|_| Arc::new(Counters::new(&labels)))
        .collect();
    // A share each, so that loops need not agree on every request; never less than one body, or
    // the largest could not pass at all.
    let share = (loaded.limits.buffered_bytes / workers).max(loaded.limits.body_bytes);
    let budgets: Vec<_> = (0..workers)
        .map(|_| Arc::new(Semaphore::new(share)))
        .collect();

    let listening = |(at, bound): (&At, &SocketAddr)| Listening {
        configured: at.address,
        bound: *bound,
        intercept: at.door.intercept,
        door: Arc::new(SnapshotCell::new(Arc::clone(&at.door))),
    };
    let listening: Vec<_> = loaded.doors.iter().zip(&addresses).map(listening).collect();
    let mut sockets: Vec<_> = sockets.into_iter().map(Vec::into_iter).collect();
    let mut loops = Vec::with_capacity(workers);
    for (n, (counters, budget)) in counters.iter().zip(&budgets).enumerate() {
        let listeners = sockets
            .iter_mut()
            .zip(&listening)
            .filter_map(|(sockets, at)| Some(Listener::new(sockets.next()?, Arc::clone(&at.door))))
            .collect();
        let seed = Seed {
            listeners,
            upstream: loaded.upstream.clone(),
            limits: limits.clone(),
            on_reload: loaded.config.reload.on_reload,
            budget: Arc::clone(budget),
            counters: Arc::clone(counters),
            streams: Arc::clone(&streams),
            log: log.buffer(),
            spans: traces.as_ref().map(Traces::buffer),
            clock: loaded.clock,
            draining: draining.clone(),
            permits: Arc::clone(&permits),
            tokens: Arc::clone(&loaded.tokens),
        };
        let name = format!("loop-{n}");
        loops.push(
            thread::Builder::new()
                .name(name)
                .spawn(move || run_loop(seed))?,
        );
    }
    let inventory = std::mem::take(&mut loaded.inventory);
    let status = inventory.status(&addresses, (loaded.clock)());
    let reloader = Reloader::new(&loaded, listening, log.log().clone(), keepers, status);
    let reloader = Arc::new(reloader);
    let watch = match loaded.config.reload.watch {
        true => Some(Watch::start(Arc::clone(&reloader))?),
        false => None,
    };
    let admin = match admin {
        Some(socket) => {
            let steering = Steering {
                reloader: Arc::clone(&reloader),
                stop: Arc::clone(&stop),
            };
            let mut gauges = buffered(budgets, share);
            gauges.extend(control::reloads(&reloader));
            gauges.extend(control::expiries(&reloader));
            gauges.extend(token_store::gauges(&loaded.tokens, loaded.clock));
            let rates = Arc::clone(&reloader);
            let admin = Admin {
                metrics: Metrics {
                    loops: counters,
                    labels,
                    log: log.log().clone(),
                    spans,
                    gauges,
                    rates: Arc::new(move || rates.over_rates()),
                },
                draining,
                control: Arc::new(steering),
                access: loaded.access,
            };
            let (end, ended) = oneshot::channel();
            let thread = thread::Builder::new()
                .name("admin".to_owned())
                .spawn(move || run_admin(admin, socket, ended))?;
            Some((end, thread))
        }
        None => None,
    };
    Ok(Running {
        trigger,
        loops,
        admin,
        reloader,
        watch,
        log,
        traces,
        stop,
    })
}

impl Running {
    /// Waits until the admin port is asked to drain.
    pub async fn asked_to_drain(&self) {
        self.stop.notified().await;
    }

    /// The decision log.
    pub fn log(&self) -> &DecisionLog {
        self.log.log()
    }

    /// Reads the configuration and all that it names again, and lets it hold; opens the decision
    /// log's file anew. What happened is told on standard error as well.
    ///
    /// # Errors
    /// Every problem; what was in force stays so.
    pub fn reload(&self) -> Result<(), Problems> {
        self.reloader.reload()
    }

    /// Stops accepting, lets accepted requests finish within their deadline, and ends. The admin
    /// port answers until the end, and says that the gate is not ready.
    ///
    /// # Errors
    /// The first event loop's failure, if one failed.
    pub fn drain(self) -> io::Result<()> {
        drop(self.watch);
        self.trigger.begin();
        let mut result = Ok(());
        for thread in self.loops {
            result = result.and(joined(thread));
        }
        if let Some((stop, thread)) = self.admin {
            drop(stop);
            result = result.and(joined(thread));
        }
        drop(self.reloader);
        if let Some(traces) = self.traces {
            traces.finish();
        }
        self.log.finish();
        result
    }
}

/// What of the budget for bodies is in use, and what it is.
fn buffered(budgets: Vec<Arc<Semaphore>>, share: usize) -> Vec<Gauge> {
    let total = budgets.len().saturating_mul(share);
    let bytes = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
    let in_use = move || {
        let free = budgets.iter().map(|budget| budget.available_permits());
        bytes(total.saturating_sub(free.sum()))
    };
    let gauge = |name, help, value| Gauge {
        name,
        help,
        label: None,
        value,
    };
    vec![
        gauge(
            "buffered_bytes",
            "Bytes of request bodies held, or set aside for them",
            Arc::new(in_use),
        ),
        gauge(
            "buffered_bytes_budget",
            "Bytes of request bodies that may be held",
            Arc::new(move || bytes(total)),
        ),
    ]
}

fn joined(thread: JoinHandle<io::Result<()>>) -> io::Result<()> {
    thread
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("an event loop ended abnormally")))
}

fn runtime() -> io::Result<LocalRuntime> {
    Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
}

fn run_admin(
    admin: Admin,
    socket: std::net::TcpListener,
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    runtime()?.block_on(async move {
        tokio::select! {
            result = admin.run(socket) => result,
            _ = stopped => Ok(()),
        }
    })
}

/// Has the allocator keep what is freed for the next body. glibc hands memory back once 128 KiB
/// lie free at the end of a heap, and faults it in again page by page, until it has seen a larger
/// block freed: 7 % of the cost of a body of 1 MiB. Other allocators only see a block come and go.
fn keep_freed_memory() {
    drop(std::hint::black_box(vec![0_u8; KEPT]));
}

/// Twice as much may lie free.
const KEPT: usize = 2 << 20;

fn run_loop(seed: Seed) -> io::Result<()> {
    keep_freed_memory();
    runtime()?.block_on(async move {
        let observer = Rc::new(Observer::new(
            seed.counters,
            seed.streams,
            seed.log,
            seed.spans,
            seed.clock,
        ));
        let upstream = Upstream::new(&seed.upstream).map_err(io::Error::other)?;
        let drain = seed.limits.drain;
        let worker = Rc::new(Worker {
            observer: Rc::clone(&observer),
            upstream,
            limits: seed.limits,
            on_reload: seed.on_reload,
            budget: seed.budget,
            tokens: TokenStoreHandle::new(&seed.tokens),
        });
        let mut accepting = Vec::new();
        for listener in seed.listeners {
            let permits = Arc::clone(&seed.permits);
            let running = listener.run(Rc::clone(&worker), permits, seed.draining.clone());
            accepting.push(tokio::task::spawn_local(running));
        }
        let mut draining = seed.draining;
        let mut tick = interval(HOUSEKEEPING);
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    observer.flush();
                    worker.upstream.sweep();
                }
                () = draining.wait() => break,
            }
        }
        let finished = async {
            for accepting in accepting {
                // What it failed with cannot be mended at the end.
                let _ = accepting.await;
            }
            // Connections tell nobody when they end; a look now and then costs nothing at the end
            // of a process.
            while observer.has_open_connections() {
                sleep(DRAIN_STEP).await;
            }
        };
        let _ = timeout(drain, finished).await;
        Ok(())
    })
}
