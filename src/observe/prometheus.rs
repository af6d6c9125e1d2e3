//! The Prometheus text format: how each kind of metric is written, summed over the event loops.

use std::fmt::Error;

use prometheus_client::encoding::{MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::counters::{BOUNDS, Counter, Family, Histogram, UpDownCounter};

/// A label's name and its values.
pub(super) type LabelSet = (&'static str, Vec<String>);

/// A kind of metric that every event loop counts separately.
pub(super) trait Metric: Sized {
    /// The type on the metrics page.
    const TYPE: MetricType;
    /// The unit at the end of the name.
    const UNIT: Option<Unit> = None;

    /// A zeroed metric, for these labels.
    fn with_labels(labels: &[LabelSet]) -> Self;

    /// Writes the sum of the loops' metrics.
    fn encode(
        loops: &[&Self],
        labels: &[LabelSet],
        metric: &mut MetricEncoder<'_>,
    ) -> Result<(), Error>;
}

impl Metric for Counter {
    const TYPE: MetricType = MetricType::Counter;

    fn with_labels(_: &[LabelSet]) -> Counter {
        Counter::default()
    }

    fn encode(
        loops: &[&Counter],
        _: &[LabelSet],
        metric: &mut MetricEncoder<'_>,
    ) -> Result<(), Error> {
        encode_count(metric, loops.iter().map(|it| it.value()).sum())
    }
}

impl Metric for UpDownCounter {
    const TYPE: MetricType = MetricType::Gauge;

    fn with_labels(_: &[LabelSet]) -> UpDownCounter {
        UpDownCounter::default()
    }

    fn encode(
        loops: &[&UpDownCounter],
        _: &[LabelSet],
        metric: &mut MetricEncoder<'_>,
    ) -> Result<(), Error> {
        let sum: u64 = loops.iter().map(|it| it.value()).sum();
        metric.encode_gauge(&i64::try_from(sum).unwrap_or(i64::MAX))
    }
}

impl<const N: usize> Metric for Family<N> {
    const TYPE: MetricType = MetricType::Counter;

    fn with_labels(labels: &[LabelSet]) -> Family<N> {
        let mut sizes = labels.iter().map(|(_, values)| values.len());
        Family::new([(); N].map(|()| sizes.next().unwrap_or_default()))
    }

    fn encode(
        loops: &[&Family<N>],
        labels: &[LabelSet],
        metric: &mut MetricEncoder<'_>,
    ) -> Result<(), Error> {
        let combinations = loops.first().map_or(0, |family| family.counters().len());
        for place in 0..combinations {
            let counters = loops.iter().filter_map(|it| it.counters().get(place));
            let count = counters.map(Counter::value).sum();
            // Most combinations of several labels never occur.
            if count == 0 && N > 1 {
                continue;
            }
            let mut rest = place;
            let mut set: Vec<(&str, &str)> = Vec::with_capacity(N);
            for (label, values) in labels.iter().rev() {
                let value = values.get(rest % values.len());
                set.push((label, value.map_or("", String::as_str)));
                rest /= values.len();
            }
            set.reverse();
            encode_count(&mut metric.encode_family(&set)?, count)?;
        }
        Ok(())
    }
}

impl Metric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
    const UNIT: Option<Unit> = Some(Unit::Seconds);

    fn with_labels(_: &[LabelSet]) -> Histogram {
        Histogram::new()
    }

    fn encode(
        loops: &[&Histogram],
        _: &[LabelSet],
        metric: &mut MetricEncoder<'_>,
    ) -> Result<(), Error> {
        let bounds = BOUNDS.iter().map(|micros| *micros as f64 / 1e6);
        let buckets = bounds.chain([f64::INFINITY]).enumerate();
        let buckets = buckets.map(|(place, bound)| {
            let counts = loops.iter().map(|it| it.bucket(place));
            (bound, counts.sum())
        });
        let buckets: Vec<(f64, u64)> = buckets.collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let micros: u64 = loops.iter().map(|it| it.micros()).sum();
        metric.encode_histogram::<NoLabelSet>(micros as f64 / 1e6, count, &buckets, None)
    }
}

/// Writes one value of a counter.
pub(super) fn encode_count(metric: &mut MetricEncoder<'_>, count: u64) -> Result<(), Error> {
    metric.encode_counter::<NoLabelSet, _, u64>(&count, None)
}
