//! What happened: one record for each request, counters, and the decision log.
//!
//! Every event loop has an [`Observer`] of its own; nothing hot is shared. A record is closed when
//! it is dropped, so that a request that is cancelled is recorded too, and it is formatted after
//! the answer has left.

mod counters;
mod exposition;
mod log;
mod metrics;
pub mod readable;
mod recent;
mod record;
mod sink;
mod tally;
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

pub use counters::{Counters, Dropped, Limited, TlsFailure};
pub use log::{Format, LogBuffer};
pub use metrics::{Gauge, Metrics};
pub use recent::{Follower, News, Recent, Which};
pub use record::{Caller, Outcome, Record, Ruling};
pub use sink::Sink;
pub use tally::Streams;
pub use traces::{SpanBuffer, SpanCounts, TraceSettings, Traces};
pub use writer::{DecisionLog, LogWriter};

use log::Event;

/// Where time comes from. `app` hands it out; tests hand out their own.
pub type Clock = fn() -> SystemTime;

/// What one event loop sees.
pub struct Observer {
    counters: Arc<Counters>,
    log: RefCell<LogBuffer>,
    streams: RefCell<tally::Known>,
    /// None where nothing is traced.
    spans: Option<RefCell<SpanBuffer>>,
    clock: Clock,
}

/// A tunnel that has ended.
#[derive(Debug)]
pub struct Tunnel<'a> {
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
        streams: Arc<Streams>,
        log: LogBuffer,
        spans: Option<SpanBuffer>,
        clock: Clock,
    ) -> Observer {
        Observer {
            counters,
            streams: RefCell::new(tally::Known::new(streams)),
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
    pub fn connection_opened(self: &Rc<Observer>) -> OpenConnection {
        self.counters.connections.add(1);
        self.counters.connections_open.add(1);
        OpenConnection(Rc::clone(self))
    }

    /// A TLS handshake came to nothing.
    pub fn tls_failed(&self, why: TlsFailure) {
        self.counters.tls_failures.at(why as usize).add(1);
    }

    /// A client connection was closed at once: too many were open.
    pub fn connection_refused(&self) {
        self.counters.connections_refused.add(1);
    }

    /// A request came up against a limit.
    pub fn limited(&self, limit: Limited) {
        self.counters.limited.at(limit as usize).add(1);
    }

    /// Requests of this event loop that were begun and whose answers have not ended.
    pub fn requests_in_flight(&self) -> u64 {
        self.counters.requests_in_flight.value()
    }

    /// A token was bound to its stream.
    pub fn token_bound(&self) {
        self.counters.tokens_bound.add(1);
    }

    /// A binding was lost before its time.
    pub fn token_evicted(&self) {
        self.counters.tokens_evicted.add(1);
    }

    /// An answer could not be read, so that a token in it was not bound.
    pub fn token_unread(&self) {
        self.counters.tokens_unread.add(1);
    }

    /// A token was not known where it had to be.
    pub fn token_unknown(&self) {
        self.counters.tokens_unknown.add(1);
    }

    /// The store that replicas share did not answer.
    pub fn token_store_failed(&self) {
        self.counters.token_store_failures.add(1);
    }

    /// A client connection was dropped before TLS; `reason` is for people.
    pub fn connection_dropped(&self, why: Dropped, peer: IpAddr, reason: impl Display) {
        self.counters.connections_dropped.at(why as usize).add(1);
        let reason = reason.to_string();
        self.log(&Event::Dropped { why, peer, reason });
    }

    /// A load balancer opened a connection for itself: to see whether the gate is there.
    pub fn health_checked(&self) {
        self.counters.health_checks.add(1);
    }

    /// A tunnel to a host was opened.
    pub fn tunnel_opened(&self) {
        self.counters.tunnels.add(1);
    }

    /// So many bytes passed through a tunnel since it was last told.
    pub fn tunnelled(&self, sent: u64, received: u64) {
        self.counters.tunnel_sent.add(sent);
        self.counters.tunnel_received.add(received);
    }

    /// A tunnel has ended.
    pub fn tunnel_closed(&self, tunnel: &Tunnel<'_>) {
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
