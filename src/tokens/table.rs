//! Hashes and what they are bound to, in memory that is fixed: a ring in the order of binding, and an
//! index into it.
//!
//! All bindings live equally long, so the oldest is the next to expire: a full ring overwrites it.
//! 24 bytes for the entry and 8 for two slots of the index: 32 bytes a token.

use super::key::Digest;

/// Bindings of tokens to streams' numbers. Times are in seconds since 1970.
#[derive(Debug)]
pub(super) struct Table {
    /// Grows to `capacity`; then `oldest` is overwritten and moves on.
    entries: Vec<Entry>,
    capacity: usize,
    oldest: usize,
    /// Places of entries, counted from 1, by linear probing; 0 is free. Half of it stays free.
    index: Box<[u32]>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    digest: Digest,
    stream: u32,
    expires: u32,
}

/// Whether room had to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inserted {
    /// Nothing that was still alive was lost.
    Kept,
    /// The oldest binding was lost before its time.
    Evicted,
}

/// Slots of the index for each entry.
const SLOTS: usize = 2;

impl Table {
    /// A table of at least one entry and at most 2^31. Memory is taken as it is used.
    pub(super) fn new(capacity: usize) -> Table {
        let capacity = capacity.clamp(1, 1 << 31);
        Table {
            entries: Vec::with_capacity(capacity),
            capacity,
            oldest: 0,
            index: vec![0; capacity * SLOTS].into_boxed_slice(),
        }
    }

    /// What the token is bound to, if it is alive.
    pub(super) fn get(&self, digest: Digest, now: u32) -> Option<u32> {
        let (_, place) = self.find(digest)?;
        let entry = self.entries.get(place)?;
        (entry.expires > now).then_some(entry.stream)
    }

    /// Binds a token. One that is there already is given the new stream and time.
    pub(super) fn insert(
        &mut self,
        digest: Digest,
        stream: u32,
        expires: u32,
        now: u32,
    ) -> Inserted {
        let entry = Entry {
            digest,
            stream,
            expires,
        };
        if let Some((_, place)) = self.find(digest) {
            self.put(place, entry);
            return Inserted::Kept;
        }
        if self.entries.len() < self.capacity {
            let place = self.entries.len();
            self.entries.push(entry);
            self.link(digest, place);
            return Inserted::Kept;
        }
        let place = self.oldest;
        self.oldest = (place + 1) % self.capacity;
        let lost = self.entries.get(place).copied();
        if let Some(lost) = lost {
            self.unlink(lost.digest);
        }
        self.put(place, entry);
        self.link(digest, place);
        match lost {
            Some(lost) if lost.expires > now => Inserted::Evicted,
            _ => Inserted::Kept,
        }
    }

    /// How many bindings it has room for.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many of the bindings from the place `from` on, [`Table::COUNTED`] at most, are alive;
    /// `None` behind the last.
    pub(super) fn alive(&self, from: usize, now: u32) -> Option<usize> {
        let entries = self.entries.get(from..).filter(|rest| !rest.is_empty())?;
        let counted = entries.iter().take(Table::COUNTED);
        Some(counted.filter(|entry| entry.expires > now).count())
    }

    /// Looked at in one go: some microseconds.
    pub(super) const COUNTED: usize = 4096;

    fn put(&mut self, place: usize, entry: Entry) {
        if let Some(slot) = self.entries.get_mut(place) {
            *slot = entry;
        }
    }

    /// The slot of the index and the place of the entry.
    fn find(&self, digest: Digest) -> Option<(usize, usize)> {
        let mut slot = self.home(digest);
        // INVARIANT: half of the slots are free, so that a free one ends every search.
        while let Some(place) = self.place(slot) {
            if self.entries.get(place)?.digest == digest {
                return Some((slot, place));
            }
            slot = self.after(slot);
        }
        None
    }

    fn link(&mut self, digest: Digest, place: usize) {
        let mut slot = self.home(digest);
        while self.place(slot).is_some() {
            slot = self.after(slot);
        }
        self.set(slot, u32::try_from(place + 1).unwrap_or(0));
    }

    /// Frees the slot of a digest and moves up those that had to go past it.
    fn unlink(&mut self, digest: Digest) {
        let Some((mut hole, _)) = self.find(digest) else {
            return;
        };
        let mut slot = self.after(hole);
        while let Some(place) = self.place(slot) {
            let moved = self.entries.get(place).map(|entry| self.home(entry.digest));
            if moved.is_some_and(|home| self.distance(home, slot) >= self.distance(hole, slot)) {
                let filled = self.index.get(slot).copied().unwrap_or(0);
                self.set(hole, filled);
                hole = slot;
            }
            slot = self.after(slot);
        }
        self.set(hole, 0);
    }

    fn place(&self, slot: usize) -> Option<usize> {
        match self.index.get(slot).copied() {
            None | Some(0) => None,
            Some(place) => Some(place as usize - 1),
        }
    }

    fn set(&mut self, slot: usize, value: u32) {
        if let Some(target) = self.index.get_mut(slot) {
            *target = value;
        }
    }

    /// The slot at which a digest's search begins: its bits are as good as random.
    fn home(&self, digest: Digest) -> usize {
        let [_, _, _, _, a, b, c, d, ..] = digest.0;
        let bits = u64::from(u32::from_be_bytes([a, b, c, d]));
        // Below the length of the index, which is below 2^32.
        ((bits * self.index.len() as u64) >> 32) as usize
    }

    fn after(&self, slot: usize) -> usize {
        if slot + 1 == self.index.len() {
            0
        } else {
            slot + 1
        }
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from {
            to - from
        } else {
            to + self.index.len() - from
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::{ProptestConfig, any, proptest};

    use super::{Digest, Inserted, Table};

    fn digest(n: u8) -> Digest {
        // Homes that collide and wrap around.
        Digest([n, 0, 0, 0, n | 0xf8, n, 0, 0, n, 0, 0, 0, 0, 0, 0, 0])
    }

    #[test]
    fn the_oldest_goes_first_and_only_a_live_one_counts_as_evicted() {
        let mut table = Table::new(2);
        assert_eq!(table.insert(digest(1), 1, 300, 0), Inserted::Kept);
        assert_eq!(table.insert(digest(2), 2, 310, 10), Inserted::Kept);
        assert_eq!(table.insert(digest(3), 3, 320, 20), Inserted::Evicted);
        assert_eq!(table.get(digest(1), 20), None);
        assert_eq!(table.get(digest(2), 20), Some(2));
        assert_eq!(table.insert(digest(4), 4, 900, 600), Inserted::Kept);
        assert_eq!(table.get(digest(3), 319), Some(3));
        assert_eq!(table.get(digest(3), 320), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_queue_says_the_same(
            capacity in 1usize..9,
            steps in proptest::collection::vec((any::<u8>(), 0u32..50), 0..200),
        ) {
            let mut table = Table::new(capacity);
            let mut queue: VecDeque<(u8, u32, u32)> = VecDeque::new();
            let mut now = 0;
            for (step, (n, passed)) in steps.into_iter().enumerate() {
                now += passed;
                let stream = u32::try_from(step).unwrap();
                let known = queue.iter_mut().find(|(known, ..)| *known == n);
                let lost = match known {
                    Some(entry) => {
                        *entry = (n, stream, now + 300);
                        None
                    }
                    None => {
                        queue.push_back((n, stream, now + 300));
                        (queue.len() > capacity).then(|| queue.pop_front()).flatten()
                    }
                };
                let evicted = lost.is_some_and(|(_, _, expires)| expires > now);
                let inserted = table.insert(digest(n), stream, now + 300, now);
                assert_eq!(inserted == Inserted::Evicted, evicted);
                for n in 0..=255 {
                    let expected = queue
                        .iter()
                        .find(|(known, _, expires)| *known == n && *expires > now)
                        .map(|(_, stream, _)| *stream);
                    assert_eq!(table.get(digest(n), now), expected, "{n}");
                }
            }
        }
    }
}
