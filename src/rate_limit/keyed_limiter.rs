//! A rate limit by key: the TAT of each key in a fixed number of cells, shared by every event loop.
//!
//! The cells are a set-associative cache. A key without a cell evicts the key of its set with the
//! earliest TAT, *and inherits that TAT*. Mostly that TAT is in the past, and no key loses
//! anything. With more active keys than cells, the least active share cells in this way, and a busy
//! key keeps its own. INVARIANT: no key exceeds its limit. A TAT only moves forward, so a key that
//! comes back finds none in its set that is earlier than the one it lost.
//!
//! A known key costs a hash, a lookup and one exchange of a word: no lock, no allocation. Only an
//! eviction locks, together with evictions that share its lock. (The crate `governor` has the same
//! arithmetic, but its map grows with the number of keys, which clients choose.)

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::Gcra;

/// One rate limit for each key.
#[derive(Debug)]
pub struct KeyedLimiter {
    gcra: Gcra,
    cells: Box<[Cell]>,
    /// Held during an eviction, so that a key evicts one other.
    eviction_locks: [Mutex<()>; LOCK_COUNT],
    /// Random, so that no client can construct keys that collide with another's.
    hasher: RandomState,
    epoch: Instant,
    limited: AtomicU64,
}

/// INVARIANT: `key` changes only while `tat` is [`EVICTING`], and then `tat` becomes a value that
/// it never was. A thread that read `tat`, then `key`, and exchanges that `tat` for another, did so
/// under that key. One exception: a new key evicted the key and refunded a request in that moment;
/// then one more request passes, once.
#[derive(Debug, Default)]
struct Cell {
    /// The theoretical arrival time, in nanoseconds since the limiter's epoch.
    tat: AtomicU64,
    key: AtomicU64,
}

/// The TAT of a cell whose key is changing.
const EVICTING: u64 = u64::MAX;
/// Four cache lines.
const CELLS_PER_SET: usize = 16;
const LOCK_COUNT: usize = 16;

impl KeyedLimiter {
    /// A limiter with a cell for each of `keys` keys, at least one; 16 bytes each.
    pub fn new(gcra: Gcra, keys: usize) -> KeyedLimiter {
        KeyedLimiter {
            gcra,
            cells: (0..keys.max(1)).map(|_| Cell::default()).collect(),
            eviction_locks: Default::default(),
            hasher: RandomState::new(),
            epoch: Instant::now(),
            limited: AtomicU64::new(0),
        }
    }

    /// Whether [`KeyedLimiter::new`] would make the same limiter of these arguments.
    pub fn is_configured_as(&self, gcra: Gcra, keys: usize) -> bool {
        self.gcra == gcra && self.cells.len() == keys.max(1)
    }

    /// The key of a value. Two different values share a key with a probability of one in 2^64.
    pub fn key(&self, value: impl Hash) -> u64 {
        self.hasher.hash_one(value)
    }

    /// Counts one more request of a key, if the request is within the limit. Returns whether it is.
    pub fn try_acquire(&self, key: u64, now: Instant) -> bool {
        let now = self.nanos_since_epoch(now);
        let is_admitted = loop {
            let Some((cell, tat)) = self.find(key) else {
                match self.try_acquire_evicting(key, now) {
                    Some(is_admitted) => break is_admitted,
                    None => continue,
                }
            };
            match self.gcra.try_acquire(tat, now) {
                Some(next) if cell.exchange(tat, next) => break true,
                Some(_) => {}
                None => break false,
            }
        };
        if !is_admitted {
            self.limited.fetch_add(1, Ordering::Relaxed);
        }
        is_admitted
    }

    /// Takes back a request that was counted a moment ago. (A key that was evicted in that moment may
    /// find an earlier TAT.)
    pub fn refund(&self, key: u64) {
        while let Some((cell, tat)) = self.find(key) {
            if cell.exchange(tat, self.gcra.refund(tat)) {
                break;
            }
        }
    }

    /// How many requests were over the limit.
    pub fn limited_count(&self) -> u64 {
        self.limited.load(Ordering::Relaxed)
    }

    /// The cells that may hold a key.
    fn set(&self, key: u64) -> &[Cell] {
        let cells = self.cells.len();
        // Below the number of cells.
        let home = ((u128::from(key) * cells as u128) >> 64) as usize;
        let first = home - home % CELLS_PER_SET;
        let set = self.cells.get(first..(first + CELLS_PER_SET).min(cells));
        set.unwrap_or_default()
    }

    /// A key's cell and TAT.
    fn find(&self, key: u64) -> Option<(&Cell, u64)> {
        self.set(key).iter().find_map(|cell| {
            let tat = cell.load_tat();
            (cell.key.load(Ordering::Acquire) == key).then_some((cell, tat))
        })
    }

    /// Counts one more request of a key without a cell; `None` if the key has one now, or another
    /// thread was faster.
    #[cold]
    fn try_acquire_evicting(&self, key: u64, now: u64) -> Option<bool> {
        let lock = self.eviction_locks.get(key as usize % LOCK_COUNT)?;
        let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        if self.find(key).is_some() {
            return None;
        }
        let cells = self.set(key).iter().map(|cell| (cell.load_tat(), cell));
        let (tat, cell) = cells.min_by_key(|(tat, _)| *tat)?;
        let Some(next) = self.gcra.try_acquire(tat, now) else {
            return Some(false);
        };
        if !cell.exchange(tat, EVICTING) {
            return None;
        }
        cell.key.store(key, Ordering::Release);
        cell.tat.store(next, Ordering::Release);
        Some(true)
    }

    /// Half of the range lies 292 years ahead.
    fn nanos_since_epoch(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.epoch).as_nanos();
        u64::try_from(elapsed).unwrap_or(u64::MAX).min(u64::MAX / 2)
    }
}

impl Cell {
    /// The TAT; waits for two stores of another thread during an eviction.
    fn load_tat(&self) -> u64 {
        loop {
            match self.tat.load(Ordering::Acquire) {
                EVICTING => std::hint::spin_loop(),
                tat => return tat,
            }
        }
    }

    fn exchange(&self, tat: u64, next: u64) -> bool {
        let exchange = self
            .tat
            .compare_exchange(tat, next, Ordering::AcqRel, Ordering::Relaxed);
        exchange.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    use proptest::prelude::{ProptestConfig, prop, proptest};

    use super::{Gcra, KeyedLimiter};

    #[test]
    fn each_key_has_its_own_limit_and_a_refund_can_be_acquired_again() {
        let limiter = KeyedLimiter::new(Gcra::new(1.0, 2), 100);
        let now = Instant::now();
        let [a, b] = ["a", "b"].map(|name| limiter.key(name));
        let try_acquire = |key| limiter.try_acquire(key, now);
        assert_eq!([a, a, a, b].map(try_acquire), [true, true, false, true]);
        assert_eq!(limiter.limited_count(), 1);
        limiter.refund(a);
        assert_eq!([a, a].map(try_acquire), [true, false]);
        let later = now + Duration::from_secs(1);
        assert_eq!(
            [a, a].map(|key| limiter.try_acquire(key, later)),
            [true, false]
        );
        limiter.refund(limiter.key("nobody"));
    }

    #[test]
    fn an_evicting_key_inherits_the_tat_of_the_least_active() {
        let limiter = KeyedLimiter::new(Gcra::new(1.0, 4), 2);
        let now = Instant::now();
        let [busy, idle, new] = ["busy", "idle", "new"].map(|name| limiter.key(name));
        let count_admitted =
            |key, times: usize| (0..times).filter(|_| limiter.try_acquire(key, now)).count();
        assert_eq!(count_admitted(busy, 9), 4);
        assert_eq!(count_admitted(idle, 1), 1);
        // `new` evicts `idle`, and then `idle` evicts `new`.
        assert_eq!(count_admitted(new, 2), 2);
        assert_eq!(count_admitted(idle, 9), 1);
        assert_eq!(count_admitted(new, 9), 0);
        assert_eq!(count_admitted(busy, 9), 0, "it keeps its own");
        // Cells with a TAT in the past are as good as new.
        let later = now + Duration::from_secs(4);
        assert!((0..4).all(|_| limiter.try_acquire(new, later)));
    }

    #[test]
    fn event_loops_that_share_a_key_share_its_limit() {
        let limiter = KeyedLimiter::new(Gcra::new(0.001, 1000), 3);
        let (now, admitted_count) = (Instant::now(), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (limiter, admitted_count) = (&limiter, &admitted_count);
                scope.spawn(move || {
                    for n in 0..2000_u64 {
                        // The one key, and others that come and go beside it.
                        limiter.try_acquire(limiter.key((thread, n)), now);
                        if limiter.try_acquire(limiter.key("shared"), now) {
                            admitted_count.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert!(admitted_count.into_inner() <= 1000);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn no_key_ever_exceeds_its_limit(
            cells in 1usize..40,
            burst in 1u32..5,
            steps in prop::collection::vec((0u8..60, 0u64..300), 1..400),
        ) {
            let limiter = KeyedLimiter::new(Gcra::new(4.0, burst), cells);
            let mut now = Instant::now();
            let mut admissions: HashMap<u8, Vec<Instant>> = HashMap::new();
            for (name, millis) in steps {
                // Most come at once.
                now += Duration::from_millis(millis.saturating_sub(250));
                if limiter.try_acquire(limiter.key(name), now) {
                    admissions.entry(name).or_default().push(now);
                }
            }
            for times in admissions.values() {
                for (n, first) in times.iter().enumerate() {
                    for (more, last) in times[n..].iter().enumerate() {
                        let limit = f64::from(burst) + 4.0 * (*last - *first).as_secs_f64();
                        assert!((more + 1) as f64 <= limit + 1e-6);
                    }
                }
            }
        }
    }
}
