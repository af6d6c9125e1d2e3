//! Counters of spans, for the metrics page.

use std::sync::atomic::{AtomicU64, Ordering};

/// The number of spans sent and dropped, in the whole process.
#[derive(Debug, Default)]
pub struct SpanCounts {
    sent: AtomicU64,
    dropped: [AtomicU64; SpanLoss::NAMES.len()],
}

/// The reason that a span was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::observe) enum SpanLoss {
    /// The queue was full: the exporter was too slow.
    Queue,
    /// The collector was unreachable, or too slow.
    Away,
    /// The collector refused the span.
    Refused,
}

impl SpanLoss {
    /// The label's values, in the order of the variants.
    pub(in crate::observe) const NAMES: [&'static str; 3] = ["queue", "away", "refused"];
}

impl SpanCounts {
    /// Spans that the collector accepted.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Dropped spans, in the order of [`SpanLoss::NAMES`].
    pub(in crate::observe) fn dropped(&self) -> [u64; SpanLoss::NAMES.len()] {
        self.dropped.each_ref().map(|it| it.load(Ordering::Relaxed))
    }

    pub(super) fn add_dropped(&self, loss: SpanLoss, spans: u64) {
        if let Some(counter) = self.dropped.get(loss as usize) {
            counter.fetch_add(spans, Ordering::Relaxed);
        }
    }

    pub(super) fn add_sent(&self, spans: u64) {
        self.sent.fetch_add(spans, Ordering::Relaxed);
    }
}
