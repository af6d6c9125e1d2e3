//! The observer of one event loop: its counters, and its buffers of log lines and of spans.

use std::cell::RefCell;
use std::fmt::Display;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;

use super::entry::LogEntry;
use super::label_counters::{StreamLabelCache, StreamLabels};
use super::labels::{DropReason, LimitHit, RequestOutcome, TlsFailure};
use super::log::{ClosedTunnel, LogBuffer};
use super::metrics::Counters;
use super::traces::{SpanBuffer, Trace};

/// The source of the time: `app` passes the system's clock, tests pass their own.
pub type Clock = fn() -> SystemTime;

/// Counts, logs and traces the events of one event loop.
pub struct Observer {
    /// The counters of this event loop.
    pub counters: Arc<Counters>,
    log: RefCell<LogBuffer>,
    streams: RefCell<StreamLabelCache>,
    /// `None` if nothing is traced.
    spans: Option<RefCell<SpanBuffer>>,
    clock: Clock,
}

/// Counts a connection as open until it is dropped.
pub struct OpenConnection(Rc<Observer>);

impl Observer {
    /// An observer that counts in `counters`, labels by `streams`, and writes `log` and `spans`.
    pub fn new(
        counters: Arc<Counters>,
        streams: Arc<StreamLabels>,
        log: LogBuffer,
        spans: Option<SpanBuffer>,
        clock: Clock,
    ) -> Observer {
        Observer {
            counters,
            streams: RefCell::new(StreamLabelCache::new(streams)),
            log: RefCell::new(log),
            spans: spans.map(RefCell::new),
            clock,
        }
    }

    /// The time, from the process's clock.
    pub fn now(&self) -> SystemTime {
        (self.clock)()
    }

    /// Counts an accepted client connection.
    pub fn open_connection(self: &Rc<Observer>) -> OpenConnection {
        self.counters.connections.increment();
        self.counters.connections_open.increment();
        OpenConnection(Rc::clone(self))
    }

    /// Whether a client connection is open on this event loop.
    pub fn has_open_connections(&self) -> bool {
        self.counters.connections_open.value() > 0
    }

    /// The number of requests in flight on this event loop.
    pub fn requests_in_flight(&self) -> u64 {
        self.counters.requests_in_flight.value()
    }

    /// Counts a failed TLS handshake.
    pub fn count_tls_failure(&self, failure: TlsFailure) {
        let failures = &self.counters.tls_failures;
        failures.at([failure as usize]).increment();
    }

    /// Counts a request that exceeded a limit.
    pub fn count_limit_hit(&self, limit: LimitHit) {
        let limited = &self.counters.requests_limited;
        limited.at([limit as usize]).increment();
    }

    /// Counts and logs a client connection that was dropped before TLS; `details` is for people.
    pub fn record_dropped_connection(
        &self,
        reason: DropReason,
        peer: IpAddr,
        details: impl Display,
    ) {
        let dropped = &self.counters.connections_dropped;
        dropped.at([reason as usize]).increment();
        let (now, details) = (self.now(), details.to_string());
        let mut log = self.log.borrow_mut();
        log.write_dropped_connection(now, reason, peer, &details);
    }

    /// Logs a tunnel that has closed.
    pub fn record_closed_tunnel(&self, tunnel: &ClosedTunnel<'_>) {
        self.log.borrow_mut().write_tunnel(self.now(), tunnel);
    }

    /// Writes the log line of a request.
    pub(super) fn write_entry(&self, entry: &LogEntry) {
        self.log.borrow_mut().write_entry(entry);
    }

    /// Counts a decided request by its stream.
    pub(super) fn count_stream(&self, entry: &LogEntry) {
        let Some(resource) = &entry.resource else {
            return;
        };
        let is_allowed = entry.outcome == RequestOutcome::Allow;
        if let Some(stream) = self.streams.borrow_mut().place(resource, is_allowed) {
            let requests = &self.counters.stream_requests;
            requests.at([stream, entry.outcome as usize]).increment();
        }
    }

    /// Starts the trace of a request, if it is sampled.
    pub(super) fn start_trace(&self, headers: &HeaderMap) -> Option<Box<Trace>> {
        self.spans.as_ref()?.borrow().start_trace(headers)
    }

    /// Ends a trace. Its spans take their facts from `entry`.
    pub(super) fn end_trace(&self, trace: Box<Trace>, entry: &mut LogEntry) {
        if let Some(spans) = &self.spans {
            spans.borrow_mut().end_trace(trace, entry);
        }
    }

    /// Passes the buffered log lines and spans to their writers.
    pub fn flush(&self) {
        self.log.borrow_mut().flush();
        if let Some(spans) = &self.spans {
            spans.borrow_mut().flush();
        }
    }
}

/// Records requests that a drain's deadline ends with their event loop, after its last flush.
impl Drop for Observer {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.counters.connections_open.decrement();
    }
}
