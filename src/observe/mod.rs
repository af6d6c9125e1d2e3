//! Observability: metrics, the decision log and traces; one record for each request feeds all three.
//!
//! Every event loop has its own [`Observer`]; the hot path shares nothing. A record closes on drop,
//! so that a cancelled request is recorded too. Its log line is formatted after the response has
//! been sent.

mod counters;
mod entry;
pub mod human_format;
mod label_counters;
mod labels;
mod log;
mod log_line;
mod metrics;
mod observer;
mod prometheus;
mod recent;
mod record;
mod sink;
#[cfg_attr(
    not(feature = "traces"),
    expect(dead_code, reason = "without the feature, no span is made")
)]
mod traces;
mod writer;

pub use entry::{DecisionSource, LogEntry, LoggedPrincipal};
pub use label_counters::StreamLabels;
pub use labels::{DropReason, LimitHit, RequestOutcome, TlsFailure};
pub use log::{ClosedTunnel, LogBuffer, LogFormat};
pub use log_line::{LineCandidate, LinePrincipal, LogLine, Text};
pub use metrics::{Counters, Gauge, LabelValues, Metrics};
pub use observer::{Clock, Observer, OpenConnection};
pub use recent::{Follower, RecentLines, RingKind, Update};
pub use record::Record;
pub use sink::Sink;
pub use traces::{SpanBuffer, SpanCounts, TraceSettings, Traces};
pub use writer::{DecisionLog, LogWriter};
