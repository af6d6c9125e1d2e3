//! Every metric in one table, from which counters, registration and the metrics page are generated.

use std::collections::BTreeMap;
use std::fmt::{self, Error};
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::kinesis::ACTION_NAMES;

use super::counters::{Counter, Family, Histogram, UpDownCounter};
use super::label_counters::{StatementCounts, StreamLabels};
use super::labels::{DropReason, LimitHit, RequestOutcome, TlsFailure};
use super::prometheus::{LabelSet, Metric, encode_count};
use super::traces::{SpanCounts, SpanLoss};
use super::writer::DecisionLog;

/// A label of the table's metrics.
#[derive(Clone, Copy)]
enum Label {
    Endpoint,
    Operation,
    Decision,
    Layer,
    Stream,
    DropReason,
    LimitHit,
    TlsFailure,
    UpstreamFailure,
}

/// Declares the metrics of an event loop. A line is a metric's name without the prefix
/// `kinesis_gate_`, its kind, its labels and its help text.
macro_rules! metrics {
    ($($name:ident: $kind:ty = [$($label:ident),*] $help:literal;)+) => {
        /// The counters of one event loop. Each has the name of its metric.
        #[derive(Debug)]
        pub struct Counters {
            $(#[doc = $help] pub $name: $kind,)+
            /// Requests in flight: those whose responses have not ended.
            pub(super) requests_in_flight: UpDownCounter,
            /// How often each statement decided.
            pub(super) statements: StatementCounts,
            upstream_failure_kinds: &'static [&'static str],
        }

        impl Counters {
            /// Zeroed counters, for these label values.
            pub fn new(values: &LabelValues) -> Counters {
                Counters {
                    $($name: <$kind>::with_labels(&[$(values.of(Label::$label)),*]),)+
                    requests_in_flight: UpDownCounter::default(),
                    statements: StatementCounts::default(),
                    upstream_failure_kinds: values.upstream_failures,
                }
            }
        }

        impl Metrics {
            fn encode_loops(&self, page: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
                $(
                    let loops: Vec<&$kind> = self.loops.iter().map(|it| &it.$name).collect();
                    let labels = [$(self.labels.of(Label::$label)),*];
                    let (kind, unit) = (<$kind>::TYPE, <$kind>::UNIT);
                    let name = stringify!($name);
                    let mut metric = page.encode_descriptor(name, $help, unit.as_ref(), kind)?;
                    <$kind>::encode(&loops, &labels, &mut metric)?;
                )+
                Ok(())
            }
        }
    };
}

metrics! {
    requests: Family<3> = [Endpoint, Operation, Decision]
        "Requests by endpoint, operation and decision";
    decisions: Family<2> = [Layer, Decision] "Decisions by the layer whose policy made them";
    stream_requests: Family<2> = [Stream, Decision]
        "Decided requests by stream, for the first streams that were allowed";
    connections: Counter = [] "Client connections accepted";
    connections_open: UpDownCounter = [] "Client connections open";
    connections_refused: Counter = []
        "Client connections closed at once because the limit was open";
    connections_dropped: Family<1> = [DropReason] "Client connections dropped before TLS, by kind";
    audited_denials: Family<1> = [Endpoint]
        "Denied requests that were forwarded: their endpoint is in audit mode";
    candidate_newly_denied: Family<1> = [Endpoint]
        "Allowed requests that a candidate policy would deny";
    candidate_newly_allowed: Family<1> = [Endpoint]
        "Denied requests that a candidate policy would allow";
    requests_limited: Family<1> = [LimitHit] "Requests that came up against a limit, by limit";
    health_checks: Counter = [] "Connections that load balancers opened for themselves";
    tunnels: Counter = [] "Tunnels opened";
    tunnel_sent_bytes: Counter = [] "Bytes from clients through tunnels";
    tunnel_received_bytes: Counter = [] "Bytes to clients through tunnels";
    tls_failures: Family<1> = [TlsFailure]
        "TLS handshakes with clients that came to nothing, by kind";
    upstream_failures: Family<1> = [UpstreamFailure]
        "Allowed requests that got no answer, by kind";
    request_bytes: Counter = [] "Bytes of request bodies";
    response_bytes: Counter = [] "Bytes of answers' bodies";
    tokens_bound: Counter = [] "Opaque tokens bound to a stream";
    tokens_evicted: Counter = []
        "Tokens forgotten before their time: `tokens.capacity` is too small";
    tokens_unread: Counter = []
        "Answers that could not be read, so that a token in them was not bound";
    tokens_unknown: Counter = []
        "Requests answered as if their token had expired: it was not known";
    token_store_failures: Counter = []
        "Calls to the shared token store that failed or took too long";
    request: Histogram = [] "From a request's head to the end of its answer";
    upstream: Histogram = [] "From forwarding to the head of the answer";
    decision: Histogram = [] "Reading who and what, and deciding";
}

/// The values of the labels without a fixed set of values.
#[derive(Clone)]
pub struct LabelValues {
    /// The endpoints' ids, in the order of their indexes.
    pub endpoints: Vec<String>,
    /// The streams with series of their own.
    pub streams: Arc<StreamLabels>,
    /// The kinds of upstream failures.
    pub upstream_failures: &'static [&'static str],
}

/// The metrics of the whole process.
#[derive(Clone)]
pub struct Metrics {
    /// The counters of every event loop.
    pub loops: Vec<Arc<Counters>>,
    /// The label values of the loops' counters.
    pub labels: LabelValues,
    /// The decision log.
    pub log: DecisionLog,
    /// The counters of the traces.
    pub spans: Arc<SpanCounts>,
    /// The gauges. Gauges of one name are adjacent.
    pub gauges: Vec<Gauge>,
    /// Reads the number of throttled requests of each rate limit rule in force.
    pub rates: Arc<dyn Fn() -> Vec<(Arc<str>, u64)> + Send + Sync>,
}

/// A number that is measured when the metrics page is rendered.
#[derive(Clone)]
pub struct Gauge {
    /// The name, without the prefix `kinesis_gate_`.
    pub name: &'static str,
    /// The help text.
    pub help: &'static str,
    /// A label and its value.
    pub label: Option<(&'static str, String)>,
    /// Measures the value.
    pub value: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Metrics {
    /// The metrics page, in the OpenMetrics text format.
    ///
    /// # Errors
    /// None in practice: writing to a string does not fail.
    pub fn page(&self) -> Result<String, Error> {
        let mut registry = Registry::with_prefix("kinesis_gate");
        registry.register_collector(Box::new(self.clone()));
        let mut page = String::new();
        text::encode(&mut page, &registry)?;
        Ok(page)
    }

    /// How often each statement decided, by the policy's name and then the statement's.
    pub fn statement_counts(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        let mut all: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for counters in &self.loops {
            for (policy, statements) in counters.statements.snapshot() {
                let sums = all.entry(policy.to_string()).or_default();
                for (statement, count) in statements {
                    *sums.entry(statement.into_string()).or_default() += count;
                }
            }
        }
        all
    }

    /// Encodes the counters of the process, which no event loop owns.
    fn encode_process(&self, page: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let spans_dropped = SpanLoss::NAMES.map(Arc::from);
        let spans_dropped = spans_dropped.into_iter().zip(self.spans.dropped());
        let one = |count| vec![(Arc::from(""), count)];
        for (name, help, label, counts) in [
            (
                "rate_limited",
                "Requests that a rule about requests a second had no room for, by rule",
                "rule",
                (self.rates)(),
            ),
            (
                "log_lines_dropped",
                "Log lines dropped because their reader is slow",
                "",
                one(self.log.dropped_lines()),
            ),
            (
                "log_lines_failed",
                "Log lines lost because writing them failed",
                "",
                one(self.log.lost_lines()),
            ),
            (
                "spans_sent",
                "Spans that the collector has taken",
                "",
                one(self.spans.sent()),
            ),
            (
                "spans_dropped",
                "Spans that were dropped, by kind",
                "kind",
                spans_dropped.collect(),
            ),
        ] {
            let mut metric = page.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (value, count) in counts {
                match label {
                    "" => encode_count(&mut metric, count)?,
                    label => encode_count(&mut metric.encode_family(&[(label, &*value)])?, count)?,
                }
            }
        }
        Ok(())
    }

    fn encode_gauges(&self, page: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        for family in self.gauges.chunk_by(|one, next| one.name == next.name) {
            let Some(Gauge { name, help, .. }) = family.first() else {
                continue;
            };
            let mut metric = page.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for gauge in family {
                let value = (gauge.value)();
                match &gauge.label {
                    Some((label, text)) => metric
                        .encode_family(&[(*label, text.as_str())])?
                        .encode_gauge(&value)?,
                    None => metric.encode_gauge(&value)?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Collector for Metrics {
    fn encode(&self, mut page: DescriptorEncoder<'_>) -> Result<(), Error> {
        self.encode_loops(&mut page)?;
        self.encode_process(&mut page)?;
        self.encode_gauges(&mut page)
    }
}

impl LabelValues {
    /// A label's name and its values, in the order of their indexes.
    fn of(&self, label: Label) -> LabelSet {
        let owned = |values: &[&str]| values.iter().copied().map(str::to_owned).collect();
        match label {
            Label::Endpoint => ("endpoint", self.endpoints.clone()),
            Label::Operation => ("operation", owned(&[ACTION_NAMES, &["other"]].concat())),
            Label::Decision => ("decision", owned(RequestOutcome::NAMES)),
            Label::Layer => ("layer", owned(&["endpoint", "identity"])),
            Label::Stream => ("stream", self.streams.values()),
            Label::DropReason => ("kind", owned(DropReason::NAMES)),
            Label::LimitHit => ("limit", owned(LimitHit::NAMES)),
            Label::TlsFailure => ("kind", owned(TlsFailure::NAMES)),
            Label::UpstreamFailure => ("kind", owned(self.upstream_failures)),
        }
    }
}

impl Counters {
    /// Requests by the endpoint's index, the operation's index (`None`: not in the operation table)
    /// and outcome.
    pub(super) fn requests(
        &self,
        endpoint: usize,
        operation: Option<u16>,
        outcome: RequestOutcome,
    ) -> &Counter {
        let operation = operation.map_or(ACTION_NAMES.len(), usize::from);
        self.requests.at([endpoint, operation, outcome as usize])
    }

    /// Upstream failures by kind.
    pub(super) fn upstream_failures(&self, kind: &str) -> &Counter {
        let mut kinds = self.upstream_failure_kinds.iter();
        let place = kinds.position(|known| *known == kind);
        self.upstream_failures.at([place.unwrap_or(usize::MAX)])
    }
}
