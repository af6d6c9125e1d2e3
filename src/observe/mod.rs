//! What happened: one record for each request, counters, and the decision log.
//!
//! Every event loop has an [`Observer`] of its own; nothing hot is shared. A record is closed when
//! it is dropped, so that a request that is cancelled is recorded too, and it is formatted after
//! the answer has left.

mod counters;
mod exposition;
pub mod human_format;
mod label_counters;
mod log;
mod metrics;
mod recent;
mod record;
mod sink;
#[cfg_attr(
    not(feature = "traces"),
    expect(dead_code, reason = "without the feature, nobody is handed anything")
)]
mod traces;
mod writer;

use std::cell::RefCell;
use std::fmt::Display;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use counters::{Counters, DropReason, LimitHit, TlsFailure};
pub use label_counters::StreamLabels;
pub use log::{LogBuffer, LogFormat};
pub use metrics::{Gauge, Metrics};
pub use recent::{Follower, News, Recent, RingKind};
pub use record::{DecisionSource, LoggedPrincipal, Record, RequestOutcome};
pub use sink::Sink;
pub use traces::{SpanBuffer, SpanCounts, TraceSettings, Traces};
pub use writer::{DecisionLog, LogWriter};

use log::Event;

/// Where time comes from. `app` hands it out; tests hand out their own.
pub type Clock = fn() -> SystemTime;

/// What one event loop sees.
pub struct Observer {
    /// The counters of this event loop.
    pub counters: Arc<Counters>,
    log: RefCell<LogBuffer>,
    streams: RefCell<label_counters::StreamLabelCache>,
    /// None where nothing is traced.
    spans: Option<RefCell<SpanBuffer>>,
    clock: Clock,
}

/// A tunnel that has ended.
#[derive(Debug)]
pub struct ClosedTunnel<'a> {
    /// The client's address.
    pub peer: IpAddr,
    /// The host's name.
    pub name: &'a str,
    /// Bytes from the client.
    pub sent: u64,
    /// Bytes to the client.
    pub received: u64,
    /// How long it lasted.
    pub lasted: Duration,
    /// How it ended, for people.
    pub end: &'static str,
}

/// Counts a connection as open until it is dropped.
pub struct OpenConnection(Rc<Observer>);

impl Observer {
    /// An observer that adds to `counters`, by the names of `streams`, and writes through `log`;
    /// what is traced is closed in `spans`.
    pub fn new(
        counters: Arc<Counters>,
        streams: Arc<StreamLabels>,
        log: LogBuffer,
        spans: Option<SpanBuffer>,
        clock: Clock,
    ) -> Observer {
        Observer {
            counters,
            streams: RefCell::new(label_counters::StreamLabelCache::new(streams)),
            log: RefCell::new(log),
            spans: spans.map(RefCell::new),
            clock,
        }
    }

    /// The time, from the process's clock.
    pub fn now(&self) -> SystemTime {
        (self.clock)()
    }

    /// A client connection was accepted.
    pub fn open_connection(self: &Rc<Observer>) -> OpenConnection {
        self.counters.connections.add(1);
        self.counters.connections_open.add(1);
        OpenConnection(Rc::clone(self))
    }

    /// A TLS handshake came to nothing.
    pub fn count_tls_failure(&self, why: TlsFailure) {
        self.counters.tls_failures.at(why as usize).add(1);
    }

    /// A request came up against a limit.
    pub fn count_limit_hit(&self, limit: LimitHit) {
        self.counters.limited.at(limit as usize).add(1);
    }

    /// Requests of this event loop that were begun and whose answers have not ended.
    pub fn requests_in_flight(&self) -> u64 {
        self.counters.requests_in_flight.value()
    }

    /// A client connection was dropped before TLS; `reason` is for people.
    pub fn record_dropped_connection(&self, why: DropReason, peer: IpAddr, reason: impl Display) {
        self.counters.connections_dropped.at(why as usize).add(1);
        let reason = reason.to_string();
        self.log(&Event::Dropped { why, peer, reason });
    }

    /// A tunnel has ended.
    pub fn record_closed_tunnel(&self, tunnel: &ClosedTunnel<'_>) {
        self.log(&Event::Tunnel(tunnel));
    }

    fn log(&self, event: &Event<'_>) {
        let now = self.now();
        self.log.borrow_mut().note(event, now, &self.counters);
    }

    /// Whether a client connection is open on this event loop.
    pub fn has_open_connections(&self) -> bool {
        self.counters.connections_open.value() > 0
    }

    /// Hands what the log and the traces hold to their writers.
    pub fn flush(&self) {
        self.log.borrow_mut().flush(&self.counters);
        if let Some(spans) = &self.spans {
            spans.borrow_mut().flush();
        }
    }
}

/// The requests that a drain's deadline cuts off are recorded as their event loop goes, after its last
/// flush.
impl Drop for Observer {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.counters.connections_open.sub(1);
    }
}
