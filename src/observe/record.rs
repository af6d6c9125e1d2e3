//! The record of a request in progress. It closes on drop, also when a client cancels the request,
//! which is then counted, logged and traced.

use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;
use tokio::time::Instant;

use super::entry::LogEntry;
use super::labels::{LimitHit, RequestOutcome};
use super::observer::Observer;
use super::traces::Trace;

/// The open record of a request: its log entry, which is written when the record drops.
pub struct Record {
    observer: Rc<Observer>,
    /// The endpoint's index in the configuration.
    endpoint: usize,
    start: Instant,
    /// The request's trace, if the request is sampled.
    trace: Option<Box<Trace>>,
    entry: LogEntry,
}

impl Record {
    /// Opens the record of a new request.
    pub fn open(
        observer: &Rc<Observer>,
        endpoint: usize,
        endpoint_id: &Arc<str>,
        peer: IpAddr,
    ) -> Record {
        observer.counters.requests_in_flight.increment();
        Record {
            observer: Rc::clone(observer),
            endpoint,
            start: Instant::now(),
            trace: None,
            entry: LogEntry::new(observer.now(), Arc::clone(endpoint_id), peer),
        }
    }

    /// Starts the request's trace, or continues its caller's, if the request is sampled.
    pub fn start_trace(&mut self, headers: &HeaderMap) {
        self.trace = self.observer.start_trace(headers);
    }

    /// Sets the server name in the client's request, and the upstream's server name.
    pub fn set_server_names(&mut self, called: &str, upstream: &str) {
        if let Some(trace) = &mut self.trace {
            trace.set_server_names(called, upstream);
        }
    }

    /// Ends the upstream's time, at the head of the response or at a failure. `forwarding` is the
    /// time at which the request was forwarded.
    pub fn set_upstream_time(&mut self, forwarding: Instant) {
        self.entry.upstream_time = Some(forwarding.elapsed());
        if let Some(trace) = &mut self.trace {
            trace.set_forwarding_delay(forwarding.saturating_duration_since(self.start));
        }
    }

    /// Counts that the request exceeded a limit.
    pub fn count_limit_hit(&self, limit: LimitHit) {
        self.observer.count_limit_hit(limit);
    }

    /// The time now.
    pub fn now(&self) -> SystemTime {
        self.observer.now()
    }

    fn count(&self) {
        let entry = &self.entry;
        let counters = &self.observer.counters;
        counters.requests_in_flight.decrement();
        counters
            .requests(self.endpoint, entry.operation, entry.outcome)
            .increment();
        if let Some(source) = &entry.decision_source {
            let layer = usize::from(source.layer != "endpoint");
            let outcome = entry.outcome as usize;
            counters.decisions.at([layer, outcome]).increment();
            if let Some(statement) = &source.statement {
                counters.statements.increment(&source.policy, statement);
            }
            let of_endpoint = match (entry.outcome, &entry.candidate) {
                (RequestOutcome::Allow, Some(_)) => Some(&counters.candidate_newly_denied),
                (_, Some((RequestOutcome::Allow, _))) => Some(&counters.candidate_newly_allowed),
                _ => None,
            };
            let audited = entry.is_audited_denial();
            let audited = audited.then_some(&counters.audited_denials);
            for family in of_endpoint.into_iter().chain(audited) {
                family.at([self.endpoint]).increment();
            }
            self.observer.count_stream(entry);
        }
        counters.request_bytes.add(entry.request_bytes);
        counters.response_bytes.add(entry.response_bytes);
        counters.request.record(entry.total_time);
        if let Some(duration) = entry.decision_time {
            counters.decision.record(duration);
        }
        if let Some(duration) = entry.upstream_time {
            counters.upstream.record(duration);
        }
        if let Some(kind) = entry.upstream_failure {
            counters.upstream_failures(kind).increment();
        }
    }
}

impl Deref for Record {
    type Target = LogEntry;

    fn deref(&self) -> &LogEntry {
        &self.entry
    }
}

impl DerefMut for Record {
    fn deref_mut(&mut self) -> &mut LogEntry {
        &mut self.entry
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.entry.total_time = self.start.elapsed();
        self.count();
        self.observer.write_entry(&self.entry);
        if let Some(trace) = self.trace.take() {
            self.observer.end_trace(trace, &mut self.entry);
        }
    }
}
