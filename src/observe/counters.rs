//! Counters of one event loop: written by it alone, read by the metrics page.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::kinesis::ACTION_NAMES;
use crate::upstream::Failure;

use super::RequestOutcome;
use super::label_counters::StatementCounts;

/// A number that one thread writes and others read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// Counters by a fixed set of labels.
#[derive(Debug)]
pub struct Family(Box<[Counter]>, Counter);

/// How long something took, in buckets that a graph can show.
#[derive(Debug)]
pub struct Histogram {
    buckets: Family,
    micros: Counter,
}

/// Why a TLS handshake came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFailure {
    /// It took longer than its deadline.
    Timeout,
    /// The client asked for a name that this listener does not serve.
    Name,
    /// The client refused our certificate, or spoke no TLS.
    Protocol,
    /// The connection broke.
    Broken,
}

/// Why a client connection was dropped before TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// A PROXY header came from an address that is not listed.
    ProxySource,
    /// No PROXY header came where one is required.
    ProxyMissing,
    /// A PROXY header cannot be read, or in two ways.
    ProxyMalformed,
    /// A PROXY header took longer than the handshake may.
    ProxyTimeout,
    /// The load balancer names an endpoint that is not served here.
    EndpointUnknown,
    /// The client is in no network of the endpoints served here.
    Network,
    /// Nothing tells which of several endpoints it is.
    EndpointUnclear,
    /// The name asked for is of no endpoint that the connection could be of, and no tunnel's.
    Name,
    /// It came to a listener that intercepts, but was meant for nothing else, or for an address
    /// that Kinesis cannot have.
    NotIntercepted,
    /// The gate itself opened it.
    Loop,
    /// A tunnel's host was not reached.
    Tunnel,
    /// As many of its client's as may be are open.
    Client,
    /// As many TLS handshakes as may be were under way for as long as its own may take.
    Handshakes,
}

/// The limit that a request came up against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitHit {
    /// `body-bytes`.
    BodyBytes,
    /// `body-timeout` or `body-rate`.
    BodyTime,
    /// `buffered-bytes`.
    BufferedBytes,
    /// `requests`.
    Requests,
    /// A rule of `[[rate]]`.
    Rate,
}

/// All counters of one event loop.
#[derive(Debug)]
pub struct Counters {
    /// Client connections accepted.
    pub connections: Counter,
    /// Client connections open.
    pub connections_open: Counter,
    /// Connections closed at once because `limits.connections` were open.
    pub connections_refused: Counter,
    /// By [`DropReason`].
    pub connections_dropped: Family,
    /// By [`LimitHit`].
    pub limited: Family,
    /// Requests that were begun and whose answers have not ended.
    pub requests_in_flight: Counter,
    /// Connections that load balancers opened for themselves.
    pub health_checks: Counter,
    /// By [`TlsFailure`].
    pub tls_failures: Family,
    /// Tunnels opened.
    pub tunnels: Counter,
    /// Bytes from clients through tunnels.
    pub tunnel_sent_bytes: Counter,
    /// Bytes to clients through tunnels.
    pub tunnel_received_bytes: Counter,
    /// By the order of [`Failure::KINDS`].
    pub upstream_failures: Family,
    /// Bytes of request bodies.
    pub request_bytes: Counter,
    /// Bytes of answers' bodies.
    pub response_bytes: Counter,
    /// From the request's head to the end of its answer.
    pub total: Histogram,
    /// From forwarding to the head of the answer.
    pub upstream: Histogram,
    /// Reading the caller and the resources, and deciding.
    pub decide: Histogram,
    /// Opaque tokens bound to a stream.
    pub tokens_bound: Counter,
    /// Bindings lost before their time: the store is full.
    pub tokens_evicted: Counter,
    /// Answers that could not be read, so that a token in them was not bound.
    pub tokens_unread: Counter,
    /// Requests whose token was not known and was answered as an expired one.
    pub tokens_unknown: Counter,
    /// The shared store did not answer, or not in time.
    pub token_store_failures: Counter,
    /// Log lines that a slow reader made us drop.
    pub log_dropped: Counter,
    /// Denied requests that were forwarded, by endpoint.
    pub(super) audited: Family,
    /// Allowed requests that policies which are tried would deny, by endpoint.
    pub(super) newly_denied: Family,
    /// Denied requests that they would allow, by endpoint.
    pub(super) newly_allowed: Family,
    requests: Family,
    by_layer: Family,
    by_stream: Family,
    pub(super) statements: StatementCounts,
}

/// Upper bounds of the histograms' buckets, in microseconds; one more bucket takes the rest.
pub(super) const BOUNDS: [u64; 16] = [
    1, 2, 5, 10, 50, 100, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000,
    5_000_000,
];

/// Operations, and one label for what is none of them.
const OPERATIONS: usize = ACTION_NAMES.len() + 1;

impl Counters {
    /// Layers whose policies decide.
    pub(super) const LAYERS: [&'static str; 2] = ["endpoint", "identity"];

    /// Counters for so many endpoints and places of streams, all zero.
    pub fn new(endpoints: usize, streams: usize) -> Counters {
        Counters {
            connections: Counter::default(),
            connections_open: Counter::default(),
            connections_refused: Counter::default(),
            connections_dropped: Family::new(DropReason::NAMES.len()),
            limited: Family::new(LimitHit::NAMES.len()),
            requests_in_flight: Counter::default(),
            health_checks: Counter::default(),
            tls_failures: Family::new(TlsFailure::NAMES.len()),
            tunnels: Counter::default(),
            tunnel_sent_bytes: Counter::default(),
            tunnel_received_bytes: Counter::default(),
            upstream_failures: Family::new(Failure::KINDS.len()),
            request_bytes: Counter::default(),
            response_bytes: Counter::default(),
            total: Histogram::new(),
            upstream: Histogram::new(),
            decide: Histogram::new(),
            tokens_bound: Counter::default(),
            tokens_evicted: Counter::default(),
            tokens_unread: Counter::default(),
            tokens_unknown: Counter::default(),
            token_store_failures: Counter::default(),
            log_dropped: Counter::default(),
            audited: Family::new(endpoints),
            newly_denied: Family::new(endpoints),
            newly_allowed: Family::new(endpoints),
            requests: Family::new(endpoints * OPERATIONS * RequestOutcome::NAMES.len()),
            by_layer: Family::new(Counters::LAYERS.len() * RequestOutcome::NAMES.len()),
            by_stream: Family::new(streams * RequestOutcome::NAMES.len()),
            statements: StatementCounts::default(),
        }
    }

    /// Decisions by the place of the layer that made them and outcome.
    pub(super) fn by_layer(&self, layer: usize, outcome: RequestOutcome) -> &Counter {
        self.by_layer
            .at(layer * RequestOutcome::NAMES.len() + outcome as usize)
    }

    /// Decided requests by the place of their stream and outcome.
    pub(super) fn by_stream(&self, stream: usize, outcome: RequestOutcome) -> &Counter {
        self.by_stream
            .at(stream * RequestOutcome::NAMES.len() + outcome as usize)
    }

    /// An allowed request got no answer, by [`Failure::kind`].
    pub(super) fn upstream_failed(&self, kind: &str) {
        let place = Failure::KINDS
            .iter()
            .position(|known| *known == kind)
            .unwrap_or(usize::MAX);
        self.upstream_failures.at(place).add(1);
    }

    /// Requests by endpoint, operation (`None`: not one of the table's) and outcome.
    pub fn requests(
        &self,
        endpoint: usize,
        operation: Option<u16>,
        outcome: RequestOutcome,
    ) -> &Counter {
        let operation = operation.map_or(OPERATIONS - 1, usize::from);
        self.requests.at(
            (endpoint * OPERATIONS + operation) * RequestOutcome::NAMES.len() + outcome as usize,
        )
    }
}

impl Counter {
    /// Adds. INVARIANT: called by one thread only, so that a load and a store do; an atomic
    /// addition would lock the line, about 5 ns each.
    pub fn add(&self, n: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(n),
            Ordering::Relaxed,
        );
    }

    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Takes away, as [`Counter::add`].
    pub fn sub(&self, n: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).saturating_sub(n),
            Ordering::Relaxed,
        );
    }

    /// The number, as some thread last saw it.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Family {
    fn new(len: usize) -> Family {
        Family(
            (0..len).map(|_| Counter::default()).collect(),
            Counter::default(),
        )
    }

    /// The counter at a label's place; one of no label takes what has no place.
    pub fn at(&self, place: usize) -> &Counter {
        self.0.get(place).unwrap_or(&self.1)
    }
}

impl Histogram {
    fn new() -> Histogram {
        Histogram {
            buckets: Family::new(BOUNDS.len() + 1),
            micros: Counter::default(),
        }
    }

    /// Adds one duration.
    pub fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.buckets
            .at(BOUNDS.partition_point(|bound| *bound < micros))
            .add(1);
        self.micros.add(micros);
    }

    /// How many fell into the bucket at `place`.
    pub(super) fn bucket(&self, place: usize) -> u64 {
        self.buckets.at(place).value()
    }

    /// All durations together, in microseconds.
    pub(super) fn micros(&self) -> u64 {
        self.micros.value()
    }
}

impl LimitHit {
    /// Labels, in the order of the variants.
    pub(super) const NAMES: [&'static str; 5] = [
        "body-bytes",
        "body-time",
        "buffered-bytes",
        "requests",
        "rate",
    ];
}

impl TlsFailure {
    /// Labels, in the order of the variants.
    pub(super) const NAMES: [&'static str; 4] = ["timeout", "name", "protocol", "broken"];
}

impl DropReason {
    /// Labels, in the order of the variants.
    pub(super) const NAMES: [&'static str; 13] = [
        "proxy-source",
        "proxy-missing",
        "proxy-malformed",
        "proxy-timeout",
        "endpoint-unknown",
        "network",
        "endpoint-unclear",
        "name",
        "not-intercepted",
        "loop",
        "tunnel",
        "client",
        "handshakes",
    ];

    /// The label.
    pub(super) fn name(self) -> &'static str {
        DropReason::NAMES
            .get(self as usize)
            .copied()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BOUNDS, Histogram};

    #[test]
    fn a_duration_falls_into_the_bucket_that_ends_at_or_above_it() {
        let histogram = Histogram::new();
        for micros in [0, 1, 2, 3, 1_000_000, 60_000_000] {
            histogram.record(Duration::from_micros(micros));
        }
        assert_eq!(histogram.bucket(0), 2);
        assert_eq!(histogram.bucket(1), 1);
        assert_eq!(histogram.bucket(2), 1);
        assert_eq!(histogram.bucket(14), 1);
        assert_eq!(histogram.bucket(BOUNDS.len()), 1);
        assert_eq!(histogram.micros(), 61_000_006);
    }
}
