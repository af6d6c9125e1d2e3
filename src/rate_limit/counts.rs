//! What was done, by key: cells in memory that is fixed, shared by every event loop.
//!
//! A key has its cell in one set of few. One that has none there takes over the cell of the set that
//! owes the least, *and what it owes*: mostly nothing, and then nobody loses anything by it. Where more
//! keys are active than there are cells, the least active share theirs in this way, and a busy one keeps
//! its own. INVARIANT: no key is ever let do more than its allowance. Until when a cell owes is only put
//! off, so a key that comes back finds none in its set that owes less than the one it lost.
//!
//! A known key costs a hash, a look and one exchange of a word: no lock, no allocation. Only a key
//! that takes over a cell locks, together with those that share its lock.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::Allowance;

/// What was done, by key.
#[derive(Debug)]
pub struct Counts {
    allowance: Allowance,
    cells: Box<[Cell]>,
    /// Held while a key takes over a cell, so that it takes over one.
    taking_over: [Mutex<()>; LOCKS],
    /// Random: nobody can make up keys that meet another's.
    hasher: RandomState,
    began: Instant,
    refused: AtomicU64,
}

/// INVARIANT: `key` changes only while `until` is [`CHANGING`], and then `until` becomes one that it
/// never was. Who read `until`, then `key`, and exchanges that `until` for another, did so under
/// that key; but where a new key took over the cell and gave one back in that moment: then one more
/// passes, once.
#[derive(Debug, Default)]
struct Cell {
    /// From when on nothing is owed, in nanoseconds since the counts began.
    until: AtomicU64,
    key: AtomicU64,
}

/// A cell whose key is being changed.
const CHANGING: u64 = u64::MAX;
/// Cells of a set: four cache lines.
const SET: usize = 16;
const LOCKS: usize = 16;

impl Counts {
    /// Counts for so many keys at once, at least one; 16 bytes each.
    pub fn new(allowance: Allowance, keys: usize) -> Counts {
        Counts {
            allowance,
            cells: (0..keys.max(1)).map(|_| Cell::default()).collect(),
            taking_over: Default::default(),
            hasher: RandomState::new(),
            began: Instant::now(),
            refused: AtomicU64::new(0),
        }
    }

    /// Whether these are counts by that allowance and of so many keys.
    pub fn are(&self, allowance: Allowance, keys: usize) -> bool {
        self.allowance == allowance && self.cells.len() == keys.max(1)
    }

    /// A key. Two that differ are the same with a chance of one in 2^64.
    pub fn key(&self, of: impl Hash) -> u64 {
        self.hasher.hash_one(of)
    }

    /// Counts one more of a key, if there is room for it.
    pub fn take(&self, key: u64, now: Instant) -> bool {
        let now = self.nanoseconds(now);
        let taken = loop {
            let Some((cell, until)) = self.find(key) else {
                match self.take_over(key, now) {
                    Some(taken) => break taken,
                    None => continue,
                }
            };
            match self.allowance.after_one_more(until, now) {
                Some(after) if cell.exchange(until, after) => break true,
                Some(_) => {}
                None => break false,
            }
        };
        if !taken {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// Takes back one of a key that was counted a moment ago. (A key that lost its cell in that moment
    /// may find one that owes one less.)
    pub fn give_back(&self, key: u64) {
        while let Some((cell, until)) = self.find(key) {
            if cell.exchange(until, self.allowance.after_one_less(until)) {
                break;
            }
        }
    }

    /// How often there was no room.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The set that a key has its cell in.
    fn set(&self, key: u64) -> &[Cell] {
        let cells = self.cells.len();
        // Below the number of cells.
        let home = ((u128::from(key) * cells as u128) >> 64) as usize;
        let first = home - home % SET;
        let set = self.cells.get(first..(first + SET).min(cells));
        set.unwrap_or_default()
    }

    /// A key's cell, and until when it owes.
    fn find(&self, key: u64) -> Option<(&Cell, u64)> {
        self.set(key).iter().find_map(|cell| {
            let until = cell.until();
            (cell.key.load(Ordering::Acquire) == key).then_some((cell, until))
        })
    }

    /// One more of a key that had no cell; `None` if it has one now, or another was faster.
    #[cold]
    fn take_over(&self, key: u64, now: u64) -> Option<bool> {
        let lock = self.taking_over.get(key as usize % LOCKS)?;
        let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
        if self.find(key).is_some() {
            return None;
        }
        let cells = self.set(key).iter().map(|cell| (cell.until(), cell));
        let (until, cell) = cells.min_by_key(|(until, _)| *until)?;
        let Some(after) = self.allowance.after_one_more(until, now) else {
            return Some(false);
        };
        if !cell.exchange(until, CHANGING) {
            return None;
        }
        cell.key.store(key, Ordering::Release);
        cell.until.store(after, Ordering::Release);
        Some(true)
    }

    /// Half of what there is room for lies 292 years ahead.
    fn nanoseconds(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.began).as_nanos();
        u64::try_from(since).unwrap_or(u64::MAX).min(u64::MAX / 2)
    }
}

impl Cell {
    /// Until when it owes; waits for two stores of another thread where its key is being changed.
    fn until(&self) -> u64 {
        loop {
            match self.until.load(Ordering::Acquire) {
                CHANGING => std::hint::spin_loop(),
                until => return until,
            }
        }
    }

    fn exchange(&self, until: u64, after: u64) -> bool {
        let exchanged =
            self.until
                .compare_exchange(until, after, Ordering::AcqRel, Ordering::Relaxed);
        exchanged.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    use proptest::prelude::{ProptestConfig, prop, proptest};

    use super::{Allowance, Counts};

    #[test]
    fn keys_are_counted_apart_and_what_is_given_back_is_there_again() {
        let counts = Counts::new(Allowance::new(1.0, 2), 100);
        let now = Instant::now();
        let [a, b] = ["a", "b"].map(|name| counts.key(name));
        assert_eq!(
            [a, a, a, b].map(|key| counts.take(key, now)),
            [true, true, false, true]
        );
        assert_eq!(counts.refused(), 1);
        counts.give_back(a);
        assert_eq!([a, a].map(|key| counts.take(key, now)), [true, false]);
        let later = now + Duration::from_secs(1);
        assert_eq!([a, a].map(|key| counts.take(key, later)), [true, false]);
        counts.give_back(counts.key("nobody"));
    }

    #[test]
    fn a_key_that_finds_no_room_goes_on_with_what_the_least_active_owes() {
        let counts = Counts::new(Allowance::new(1.0, 4), 2);
        let now = Instant::now();
        let [busy, idle, new] = ["busy", "idle", "new"].map(|name| counts.key(name));
        let take = |key, times: usize| (0..times).filter(|_| counts.take(key, now)).count();
        assert_eq!(take(busy, 9), 4);
        assert_eq!(take(idle, 1), 1);
        // `new` has the cell that `idle` had, and `idle` takes it over again.
        assert_eq!(take(new, 2), 2);
        assert_eq!(take(idle, 9), 1);
        assert_eq!(take(new, 9), 0);
        assert_eq!(take(busy, 9), 0, "it keeps its own");
        // Cells that owe nothing are as good as new.
        let later = now + Duration::from_secs(4);
        assert!((0..4).all(|_| counts.take(new, later)));
    }

    #[test]
    fn loops_that_share_a_key_share_its_allowance() {
        let counts = Counts::new(Allowance::new(0.001, 1000), 3);
        let (now, taken) = (Instant::now(), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (counts, taken) = (&counts, &taken);
                scope.spawn(move || {
                    for n in 0..2000_u64 {
                        // The one key, and others that come and go beside it.
                        counts.take(counts.key((thread, n)), now);
                        let shared = counts.key("shared");
                        if counts.take(shared, now) {
                            taken.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert!(taken.into_inner() <= 1000);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn no_key_ever_does_more_than_its_allowance(
            cells in 1usize..40,
            burst in 1u32..5,
            steps in prop::collection::vec((0u8..60, 0u64..300), 1..400),
        ) {
            let counts = Counts::new(Allowance::new(4.0, burst), cells);
            let mut now = Instant::now();
            let mut taken: HashMap<u8, Vec<Instant>> = HashMap::new();
            for (name, millis) in steps {
                // Most come at once.
                now += Duration::from_millis(millis.saturating_sub(250));
                if counts.take(counts.key(name), now) {
                    taken.entry(name).or_default().push(now);
                }
            }
            for times in taken.values() {
                for (n, first) in times.iter().enumerate() {
                    for (more, last) in times[n..].iter().enumerate() {
                        let room = f64::from(burst) + 4.0 * (*last - *first).as_secs_f64();
                        assert!((more + 1) as f64 <= room + 1e-6);
                    }
                }
            }
        }
    }
}
