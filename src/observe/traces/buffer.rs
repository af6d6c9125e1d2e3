//! The sampled requests of one event loop: the sampling decision, and the facts for the exporter.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::mpsc::Sender;

use super::super::entry::LogEntry;
use super::context;
use super::counts::{SpanCounts, SpanLoss};

/// The sampled requests of one event loop that have not been sent to the exporter.
pub struct SpanBuffer {
    queue: Sender<Vec<TracedRequest>>,
    sampler: Sampler,
    counts: Arc<SpanCounts>,
    requests: Vec<TracedRequest>,
}

/// Decides which requests are sampled.
#[derive(Clone, Copy)]
pub(super) struct Sampler {
    /// A request is sampled if its random number, of 2⁶⁴, is below this.
    threshold: u64,
    follow_callers: bool,
}

/// The trace of a sampled request in progress.
pub(in crate::observe) struct Trace {
    pub(super) id: u128,
    /// The caller's span.
    pub(super) parent: Option<u64>,
    /// The server name that the client called, and the upstream's.
    pub(super) names: Option<(Box<str>, Box<str>)>,
    /// The time from the request's arrival until it was forwarded.
    pub(super) forwarding_delay: Option<Duration>,
}

/// A sampled request that has ended.
pub(super) struct TracedRequest {
    pub(super) trace: Box<Trace>,
    pub(super) entry: LogEntry,
}

/// The most requests that the buffer passes on at once: waking the thread costs more than a span.
const BLOCK_REQUESTS: usize = 64;
/// The limit of a text in a span, in bytes: clients write some of these texts.
const MAX_TEXT_BYTES: usize = 1024;

impl Sampler {
    /// A sampler of the share `sample` of requests, from 0 to 1.
    pub(super) fn new(sample: f64, follow_callers: bool) -> Sampler {
        // 2⁶⁴ as a float; the cast makes it the largest number.
        let threshold = (sample * u64::MAX as f64) as u64;
        Sampler {
            threshold,
            follow_callers,
        }
    }

    /// Whether a request is sampled. Without `follow_callers`, a caller has no influence. The
    /// trace's id is no source of randomness either, since the caller chose it.
    fn samples(self, by_caller: Option<bool>) -> bool {
        let by_caller = by_caller.filter(|_| self.follow_callers);
        by_caller
            .unwrap_or_else(|| fastrand::u64(..) < self.threshold || self.threshold == u64::MAX)
    }
}

impl SpanBuffer {
    pub(super) fn new(
        queue: Sender<Vec<TracedRequest>>,
        sampler: Sampler,
        counts: Arc<SpanCounts>,
    ) -> SpanBuffer {
        SpanBuffer {
            queue,
            sampler,
            counts,
            requests: Vec::new(),
        }
    }

    /// Starts the trace of a request, if it is sampled.
    pub(in crate::observe) fn start_trace(&self, headers: &HeaderMap) -> Option<Box<Trace>> {
        let parent = context::parent(headers);
        if !self.sampler.samples(parent.and_then(|it| it.sampled)) {
            return None;
        }
        Some(Box::new(Trace {
            id: parent.map_or_else(|| fastrand::u128(1..), |parent| parent.trace),
            parent: parent.and_then(|parent| parent.span),
            names: None,
            forwarding_delay: None,
        }))
    }

    /// Ends a trace with the request's log entry, which no one reads afterwards.
    pub(in crate::observe) fn end_trace(&mut self, trace: Box<Trace>, entry: &mut LogEntry) {
        self.requests.push(TracedRequest::new(trace, entry));
        if self.requests.len() >= BLOCK_REQUESTS {
            self.flush();
        }
    }

    /// Passes the buffered requests to the exporter.
    pub(in crate::observe) fn flush(&mut self) {
        if self.requests.is_empty() {
            return;
        }
        let requests = std::mem::take(&mut self.requests);
        if let Err(lost) = self.queue.try_send(requests) {
            let lost = lost.into_inner();
            let spans = lost.iter().map(TracedRequest::span_count).sum();
            self.counts.add_dropped(SpanLoss::Queue, spans);
        }
    }
}

impl Trace {
    /// Sets the server name that the client called, and the upstream's.
    pub(in crate::observe) fn set_server_names(&mut self, called: &str, upstream: &str) {
        self.names = Some((called.into(), upstream.into()));
    }

    /// Sets the time from the request's arrival until it was forwarded.
    pub(in crate::observe) fn set_forwarding_delay(&mut self, delay: Duration) {
        self.forwarding_delay = Some(delay);
    }
}

impl TracedRequest {
    /// Takes the facts for spans out of the entry, and cuts long texts.
    fn new(trace: Box<Trace>, entry: &mut LogEntry) -> TracedRequest {
        let empty = LogEntry::new(
            entry.arrival_time,
            Arc::clone(&entry.endpoint_id),
            entry.peer,
        );
        let entry = std::mem::replace(entry, empty);
        let action = entry.action.map(|action| match action {
            Cow::Owned(action) => Cow::Owned(truncated(action)),
            action => action,
        });
        let entry = LogEntry {
            action,
            resource: entry.resource.map(truncated),
            resources: Vec::new(),
            reason: entry.reason.map(truncated),
            request_id: entry.request_id.map(truncated),
            ..entry
        };
        TracedRequest { trace, entry }
    }

    /// The number of spans of the request.
    pub(super) fn span_count(&self) -> u64 {
        1 + u64::from(self.trace.forwarding_delay.is_some())
    }
}

fn truncated(mut text: String) -> String {
    if text.len() > MAX_TEXT_BYTES {
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        text.shrink_to_fit();
    }
    text
}
