//! The arithmetic of a rate limit: the generic cell rate algorithm (GCRA), by virtual scheduling
//! (ITU-T I.371, annex A).
//!
//! The state of a key is one moment: the theoretical arrival time (TAT) of its next request. Each
//! request moves the TAT forward by an interval, and conforms while the TAT is at most a burst of
//! intervals ahead.

/// A rate and a burst. Moments and durations are in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gcra {
    /// The interval between two requests, in the long run.
    emission_interval: u64,
    /// How far ahead of the present the TAT may be.
    burst_duration: u64,
}

const NANOS_PER_SECOND: f64 = 1e9;

impl Gcra {
    /// A rate of `per_second` in the long run, and a burst of `burst` at once. Each is at least the
    /// smallest value above zero.
    pub fn new(per_second: f64, burst: u32) -> Gcra {
        // Rounded up: never more than configured. The cast saturates, also for NaN.
        let emission_interval = ((NANOS_PER_SECOND / per_second).ceil() as u64).max(1);
        Gcra {
            emission_interval,
            burst_duration: emission_interval.saturating_mul(u64::from(burst.max(1))),
        }
    }

    /// The TAT after one more request at `now`; `None` if the request does not conform.
    pub fn try_acquire(&self, tat: u64, now: u64) -> Option<u64> {
        let next = tat.max(now).checked_add(self.emission_interval)?;
        (next <= now.saturating_add(self.burst_duration)).then_some(next)
    }

    /// The TAT after a refund of one request.
    pub fn refund(&self, tat: u64) -> u64 {
        tat.saturating_sub(self.emission_interval)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, prop, proptest};

    use super::Gcra;

    #[test]
    fn a_burst_at_once_and_then_one_each_interval() {
        let gcra = Gcra::new(4.0, 3);
        let mut tat = 0;
        let mut try_acquire = |now| {
            let next = gcra.try_acquire(tat, now);
            tat = next.unwrap_or(tat);
            next.is_some()
        };
        let quarter = 250_000_000;
        assert_eq!(
            [1, 1, 1, 1].map(&mut try_acquire),
            [true, true, true, false]
        );
        assert_eq!([quarter, quarter + 1].map(&mut try_acquire), [false, true]);
        // A long idle time gives no more than a burst.
        let later = 100 * quarter;
        assert_eq!([later; 4].map(&mut try_acquire), [true, true, true, false]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_window_holds_more_than_a_burst_and_the_rate_in_it(
            per_second in prop::sample::select(vec![0.001, 0.5, 1.0, 3.0, 7.3, 1000.0, 1e6]),
            burst in 1u32..20,
            start in 0u64..1 << 60,
            steps in prop::collection::vec((0u64..4, 0u64..1_000_000), 1..200),
        ) {
            let gcra = Gcra::new(per_second, burst);
            let (mut now, mut tat) = (start, 0);
            let mut admissions = Vec::new();
            for (intervals, millionths) in steps {
                // Often nothing, a part of an interval, or some of them.
                let part = u128::from(gcra.emission_interval) * u128::from(millionths) / 1_000_000;
                now += gcra.emission_interval * (intervals / 2) + u64::try_from(part).unwrap();
                if let Some(next) = gcra.try_acquire(tat, now) {
                    assert!(next > now && next > tat);
                    tat = next;
                    admissions.push(now);
                }
            }
            for (n, first) in admissions.iter().enumerate() {
                for (more, last) in admissions[n..].iter().enumerate() {
                    let seconds = (last - first) as f64 / 1e9;
                    let limit = f64::from(burst) + per_second * seconds;
                    assert!((more + 1) as f64 <= limit * (1.0 + 1e-9), "{more} in {seconds} s");
                }
            }
        }

        #[test]
        fn it_is_total(per_second in any::<f64>(), burst in any::<u32>(), tat in any::<u64>(), now in any::<u64>()) {
            let gcra = Gcra::new(per_second, burst);
            if let Some(next) = gcra.try_acquire(tat, now) {
                assert!(next > tat && next > now);
            }
            assert!(gcra.refund(tat) <= tat);
        }
    }
}
