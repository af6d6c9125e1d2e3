//! An event loop: one worker on a thread of its own, from its listeners to the end of its drain.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::Semaphore;
use tokio::time::{interval, sleep, timeout};

use crate::config::{Limits, OnReload};
use crate::gate::Worker;
use crate::listener::{ConnectionLimits, Listener};
use crate::observe::{Clock, Counters, LogBuffer, Observer, SpanBuffer, StreamLabels};
use crate::shutdown::Drain;
use crate::tokens::{TokenStore, TokenStoreHandle};
use crate::upstream::{self, Upstream};

/// The parameters of a worker.
pub(super) struct WorkerConfig {
    pub(super) listeners: Vec<Listener>,
    pub(super) upstream: upstream::Settings,
    pub(super) limits: Limits,
    pub(super) on_reload: OnReload,
    pub(super) budget: Arc<Semaphore>,
    pub(super) counters: Arc<Counters>,
    pub(super) streams: Arc<StreamLabels>,
    pub(super) log: LogBuffer,
    pub(super) spans: Option<SpanBuffer>,
    pub(super) clock: Clock,
    pub(super) drain: Drain,
    pub(super) permits: Arc<ConnectionLimits>,
    pub(super) tokens: Arc<TokenStore>,
}

/// How often a worker flushes its log lines and closes idle upstream connections.
const HOUSEKEEPING: Duration = Duration::from_millis(200);
/// How often a drain checks for open connections.
const DRAIN_STEP: Duration = Duration::from_millis(10);
/// glibc then keeps twice as much.
const MIN_FREED_BYTES: usize = 2 << 20;

/// Serves until the drain is finished, or its deadline has passed.
pub(super) fn run(config: WorkerConfig) -> io::Result<()> {
    keep_freed_memory();
    runtime()?.block_on(async move {
        let observer = Rc::new(Observer::new(
            config.counters,
            config.streams,
            config.log,
            config.spans,
            config.clock,
        ));
        let upstream = Upstream::new(&config.upstream).map_err(io::Error::other)?;
        let drain_timeout = config.limits.drain;
        let worker = Rc::new(Worker {
            observer: Rc::clone(&observer),
            upstream,
            limits: config.limits,
            on_reload: config.on_reload,
            budget: config.budget,
            tokens: TokenStoreHandle::new(&config.tokens),
        });
        let mut accepting = Vec::new();
        for listener in config.listeners {
            let permits = Arc::clone(&config.permits);
            let running = listener.run(Rc::clone(&worker), permits, config.drain.clone());
            accepting.push(tokio::task::spawn_local(running));
        }
        let mut drain = config.drain;
        let mut tick = interval(HOUSEKEEPING);
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    observer.flush();
                    worker.upstream.close_idle();
                }
                () = drain.wait() => break,
            }
        }
        let finished = async {
            for accepting in accepting {
                // At the end nothing can handle a failure.
                let _ = accepting.await;
            }
            // Nothing signals the end of a connection, and polling costs nothing at this point.
            while observer.has_open_connections() {
                sleep(DRAIN_STEP).await;
            }
        };
        let _ = timeout(drain_timeout, finished).await;
        Ok(())
    })
}

/// Creates a runtime for the current thread.
pub(super) fn runtime() -> io::Result<LocalRuntime> {
    Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
}

/// Makes the allocator keep freed memory for the next body. glibc returns memory to the system once
/// 128 KiB are free at the end of a heap, and faults it in again page by page, until a larger block
/// was freed: 7 % of the cost of a body of 1 MiB. Other allocators do not need this.
fn keep_freed_memory() {
    drop(std::hint::black_box(vec![0_u8; MIN_FREED_BYTES]));
}
