//! So many a second, and so many at once: the generic cell rate algorithm.
//!
//! All that is remembered of a key is the moment at which it owes nothing any more. One that it does
//! puts that moment off by an interval, and there is room as long as it lies no further ahead than a
//! burst's worth of intervals (ITU-T I.371, annex A: virtual scheduling).

/// How often something may be done. Moments and spans are in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Between two, in the long run.
    interval: u64,
    /// How far ahead the moment may lie at which nothing is owed.
    depth: u64,
}

const SECOND: f64 = 1e9;

impl Allowance {
    /// So many a second in the long run, and `burst` at once. What is not above zero counts as the
    /// least there can be.
    pub fn new(per_second: f64, burst: u32) -> Allowance {
        // Up to the next nanosecond: never more than was asked for. A cast of what is no number, or
        // too large a one, ends at the bounds.
        let interval = ((SECOND / per_second).ceil() as u64).max(1);
        Allowance {
            interval,
            depth: interval.saturating_mul(u64::from(burst.max(1))),
        }
    }

    /// When nothing will be owed after one more at `now`, where now nothing is owed from `until` on;
    /// `None` if there is no room for it.
    pub fn after_one_more(&self, until: u64, now: u64) -> Option<u64> {
        let after = until.max(now).checked_add(self.interval)?;
        (after <= now.saturating_add(self.depth)).then_some(after)
    }

    /// When nothing will be owed if one is taken back.
    pub fn after_one_less(&self, until: u64) -> u64 {
        until.saturating_sub(self.interval)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, prop, proptest};

    use super::Allowance;

    #[test]
    fn a_burst_at_once_and_then_one_each_interval() {
        let allowance = Allowance::new(4.0, 3);
        let mut until = 0;
        let mut take = |now| match allowance.after_one_more(until, now) {
            Some(after) => {
                until = after;
                true
            }
            None => false,
        };
        let quarter = 250_000_000;
        assert_eq!([1, 1, 1, 1].map(&mut take), [true, true, true, false]);
        assert_eq!([quarter, quarter + 1].map(&mut take), [false, true]);
        // A long rest gives no more than a burst.
        let later = 100 * quarter;
        assert_eq!([later; 4].map(&mut take), [true, true, true, false]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_window_holds_more_than_a_burst_and_the_rate_in_it(
            per_second in prop::sample::select(vec![0.001, 0.5, 1.0, 3.0, 7.3, 1000.0, 1e6]),
            burst in 1u32..20,
            begin in 0u64..1 << 60,
            steps in prop::collection::vec((0u64..4, 0u64..1_000_000), 1..200),
        ) {
            let allowance = Allowance::new(per_second, burst);
            let (mut now, mut until) = (begin, 0);
            let mut taken = Vec::new();
            for (intervals, part) in steps {
                // Often nothing, a part of an interval, or some of them.
                let part = u128::from(allowance.interval) * u128::from(part) / 1_000_000;
                now += allowance.interval * (intervals / 2) + u64::try_from(part).unwrap();
                if let Some(after) = allowance.after_one_more(until, now) {
                    assert!(after > now && after > until);
                    until = after;
                    taken.push(now);
                }
            }
            for (n, first) in taken.iter().enumerate() {
                for (more, last) in taken[n..].iter().enumerate() {
                    let seconds = (last - first) as f64 / 1e9;
                    let most = f64::from(burst) + per_second * seconds;
                    assert!((more + 1) as f64 <= most * (1.0 + 1e-9), "{more} in {seconds} s");
                }
            }
        }

        #[test]
        fn it_is_total(per_second in any::<f64>(), burst in any::<u32>(), until in any::<u64>(), now in any::<u64>()) {
            let allowance = Allowance::new(per_second, burst);
            if let Some(after) = allowance.after_one_more(until, now) {
                assert!(after > until && after > now);
            }
            assert!(allowance.after_one_less(until) <= until);
        }
    }
}
