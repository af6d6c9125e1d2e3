//! Counters and histograms of one event loop: only that loop writes them, and the metrics page
//! reads them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that one thread increases and other threads read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// A number that one thread increases and decreases, and other threads read.
#[derive(Debug, Default)]
pub struct UpDownCounter(Counter);

/// Counters by the values of `N` labels.
#[derive(Debug)]
pub struct Family<const N: usize> {
    counters: Box<[Counter]>,
    /// The number of values of each label.
    sizes: [usize; N],
    /// Counts increments with an unknown label value.
    unknown: Counter,
}

/// Durations, counted in buckets.
#[derive(Debug)]
pub struct Histogram {
    buckets: Family<1>,
    micros: Counter,
}

/// Upper bounds of a histogram's buckets, in microseconds; one more bucket takes the rest.
pub(super) const BOUNDS: [u64; 16] = [
    1, 2, 5, 10, 50, 100, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000,
    5_000_000,
];

impl Counter {
    /// Adds `n`. INVARIANT: one thread alone calls this, so that a load and a store suffice; an
    /// atomic addition would lock the line, about 5 ns each.
    pub fn add(&self, n: u64) {
        let sum = self.value().wrapping_add(n);
        self.0.store(sum, Ordering::Relaxed);
    }

    /// Adds one, as [`Counter::add`].
    pub fn increment(&self) {
        self.add(1);
    }

    /// The number, as this thread last saw it.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl UpDownCounter {
    /// Adds one, as [`Counter::add`].
    pub fn increment(&self) {
        self.0.increment();
    }

    /// Subtracts one, as [`Counter::add`].
    pub fn decrement(&self) {
        let left = self.value().saturating_sub(1);
        self.0.0.store(left, Ordering::Relaxed);
    }

    /// The number, as this thread last saw it.
    pub fn value(&self) -> u64 {
        self.0.value()
    }
}

impl<const N: usize> Family<N> {
    /// Counters of zero, for labels with so many values each.
    pub(super) fn new(sizes: [usize; N]) -> Family<N> {
        let counters = (0..sizes.iter().product()).map(|_| Counter::default());
        Family {
            counters: counters.collect(),
            sizes,
            unknown: Counter::default(),
        }
    }

    /// The counter of one combination of label values, each by its index among the label's values.
    pub fn at(&self, places: [usize; N]) -> &Counter {
        let labels = places.iter().zip(&self.sizes);
        let place = labels.fold(0, |before, (place, size)| before * size + place);
        self.counters.get(place).unwrap_or(&self.unknown)
    }

    /// The counters of all combinations. The last label varies fastest.
    pub(super) fn counters(&self) -> &[Counter] {
        &self.counters
    }
}

impl Histogram {
    /// A histogram without durations.
    pub(super) fn new() -> Histogram {
        Histogram {
            buckets: Family::new([BOUNDS.len() + 1]),
            micros: Counter::default(),
        }
    }

    /// Adds one duration.
    pub fn record(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        self.buckets.at([bucket]).increment();
        self.micros.add(micros);
    }

    /// The number of durations in the bucket with the index `place`.
    pub(super) fn bucket(&self, place: usize) -> u64 {
        self.buckets.at([place]).value()
    }

    /// The sum of all durations, in microseconds.
    pub(super) fn micros(&self) -> u64 {
        self.micros.value()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BOUNDS, Family, Histogram};

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

    #[test]
    fn each_combination_of_values_has_a_counter() {
        let family = Family::new([2, 3]);
        family.at([1, 2]).add(7);
        family.at([0, 2]).increment();
        family.at([usize::MAX / 4, 0]).add(9);
        let values: Vec<u64> = family.counters().iter().map(|it| it.value()).collect();
        assert_eq!(values, [0, 0, 1, 0, 0, 7]);
    }
}
