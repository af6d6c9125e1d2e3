//! Token bindings in fixed memory: a ring in the order of binding, and a hash index into it.
//!
//! All bindings have the same lifetime, so the oldest is the next to expire: a full ring overwrites
//! it. 24 bytes for the entry and 8 for two slots of the index: 32 bytes a token, which no map of
//! the standard library or of a crate approaches.

use super::keyed_hash::TokenHash;

/// Bindings of tokens to symbols of streams. Times are in seconds since 1970.
#[derive(Debug)]
pub(super) struct BindingTable {
    /// Grows to `capacity`; then each new entry overwrites `oldest`.
    entries: Vec<Entry>,
    capacity: usize,
    oldest: usize,
    /// Positions of entries, counted from 1, by linear probing; 0 is free. Half of the slots stay free.
    slots: Box<[u32]>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    token: TokenHash,
    stream: u32,
    expires: u32,
}

/// The effect of a new binding on the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindOutcome {
    /// No live binding is lost.
    Stored,
    /// A live binding is lost: the oldest one, or the new one if there is no room for its stream.
    Evicted,
}

const SLOTS_PER_ENTRY: usize = 2;

impl BindingTable {
    /// Entries that [`BindingTable::count_alive`] reads in one go: some microseconds.
    pub(super) const COUNT_CHUNK: usize = 4096;

    /// A table of at least one entry and at most 2^31. Memory is allocated as needed.
    pub(super) fn new(capacity: usize) -> BindingTable {
        let capacity = capacity.clamp(1, 1 << 31);
        BindingTable {
            entries: Vec::with_capacity(capacity),
            capacity,
            oldest: 0,
            slots: vec![0; capacity * SLOTS_PER_ENTRY].into_boxed_slice(),
        }
    }

    /// The stream that a token is bound to, if the binding is alive.
    pub(super) fn get(&self, token: TokenHash, now: u32) -> Option<u32> {
        let (_, position) = self.find(token)?;
        let entry = self.entries.get(position)?;
        (entry.expires > now).then_some(entry.stream)
    }

    /// Binds a token. A token that is already bound gets the new stream and expiry.
    pub(super) fn insert(
        &mut self,
        token: TokenHash,
        stream: u32,
        expires: u32,
        now: u32,
    ) -> BindOutcome {
        let entry = Entry {
            token,
            stream,
            expires,
        };
        if let Some((_, position)) = self.find(token) {
            self.overwrite(position, entry);
            return BindOutcome::Stored;
        }
        if self.entries.len() < self.capacity {
            let position = self.entries.len();
            self.entries.push(entry);
            self.link(token, position);
            return BindOutcome::Stored;
        }
        let position = self.oldest;
        self.oldest = (position + 1) % self.capacity;
        let victim = self.entries.get(position).copied();
        if let Some(victim) = victim {
            self.unlink(victim.token);
        }
        self.overwrite(position, entry);
        self.link(token, position);
        match victim {
            Some(victim) if victim.expires > now => BindOutcome::Evicted,
            _ => BindOutcome::Stored,
        }
    }

    /// The number of bindings that fit.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The number of live bindings among the [`BindingTable::COUNT_CHUNK`] entries from `from` on;
    /// `None` past the last entry.
    pub(super) fn count_alive(&self, from: usize, now: u32) -> Option<usize> {
        let entries = self.entries.get(from..).filter(|rest| !rest.is_empty())?;
        let chunk = entries.iter().take(BindingTable::COUNT_CHUNK);
        Some(chunk.filter(|entry| entry.expires > now).count())
    }

    fn overwrite(&mut self, position: usize, entry: Entry) {
        if let Some(target) = self.entries.get_mut(position) {
            *target = entry;
        }
    }

    /// The slot and the position of a token's entry.
    fn find(&self, token: TokenHash) -> Option<(usize, usize)> {
        let mut slot = self.home(token);
        // INVARIANT: half of the slots are free, so that a free one ends every search.
        while let Some(position) = self.position(slot) {
            if self.entries.get(position)?.token == token {
                return Some((slot, position));
            }
            slot = self.next(slot);
        }
        None
    }

    fn link(&mut self, token: TokenHash, position: usize) {
        let mut slot = self.home(token);
        while self.position(slot).is_some() {
            slot = self.next(slot);
        }
        self.set(slot, u32::try_from(position + 1).unwrap_or(0));
    }

    /// Frees the slot of a token and moves up the entries that had to probe past it.
    fn unlink(&mut self, token: TokenHash) {
        let Some((mut hole, _)) = self.find(token) else {
            return;
        };
        let mut slot = self.next(hole);
        while let Some(position) = self.position(slot) {
            let home = self
                .entries
                .get(position)
                .map(|entry| self.home(entry.token));
            if home.is_some_and(|home| self.distance(home, slot) >= self.distance(hole, slot)) {
                let value = self.slots.get(slot).copied().unwrap_or(0);
                self.set(hole, value);
                hole = slot;
            }
            slot = self.next(slot);
        }
        self.set(hole, 0);
    }

    fn position(&self, slot: usize) -> Option<usize> {
        (*self.slots.get(slot)? as usize).checked_sub(1)
    }

    fn set(&mut self, slot: usize, value: u32) {
        if let Some(target) = self.slots.get_mut(slot) {
            *target = value;
        }
    }

    /// The slot at which a token's search begins: bits of its hash are as good as random.
    fn home(&self, token: TokenHash) -> usize {
        let [_, _, _, _, a, b, c, d, ..] = token.0;
        let bits = u64::from(u32::from_be_bytes([a, b, c, d]));
        // The product is below the number of slots, which is below 2^32.
        ((bits * self.slots.len() as u64) >> 32) as usize
    }

    fn next(&self, slot: usize) -> usize {
        if slot + 1 == self.slots.len() {
            0
        } else {
            slot + 1
        }
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from {
            to - from
        } else {
            to + self.slots.len() - from
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::{ProptestConfig, any, proptest};

    use super::{BindOutcome, BindingTable, TokenHash};

    fn hash(n: u8) -> TokenHash {
        // Homes that collide and wrap around.
        TokenHash([n, 0, 0, 0, n | 0xf8, n, 0, 0, n, 0, 0, 0, 0, 0, 0, 0])
    }

    #[test]
    fn the_oldest_goes_first_and_only_a_live_one_counts_as_evicted() {
        let mut table = BindingTable::new(2);
        assert_eq!(table.insert(hash(1), 1, 300, 0), BindOutcome::Stored);
        assert_eq!(table.insert(hash(2), 2, 310, 10), BindOutcome::Stored);
        assert_eq!(table.insert(hash(3), 3, 320, 20), BindOutcome::Evicted);
        assert_eq!(table.get(hash(1), 20), None);
        assert_eq!(table.get(hash(2), 20), Some(2));
        assert_eq!(table.insert(hash(4), 4, 900, 600), BindOutcome::Stored);
        assert_eq!(table.get(hash(3), 319), Some(3));
        assert_eq!(table.get(hash(3), 320), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_queue_says_the_same(
            capacity in 1usize..9,
            steps in proptest::collection::vec((any::<u8>(), 0u32..50), 0..200),
        ) {
            let mut table = BindingTable::new(capacity);
            let mut queue: VecDeque<(u8, u32, u32)> = VecDeque::new();
            let mut now = 0;
            for (step, (n, seconds)) in steps.into_iter().enumerate() {
                now += seconds;
                let stream = u32::try_from(step).unwrap();
                let found = queue.iter_mut().find(|(other, ..)| *other == n);
                let victim = match found {
                    Some(entry) => {
                        *entry = (n, stream, now + 300);
                        None
                    }
                    None => {
                        queue.push_back((n, stream, now + 300));
                        (queue.len() > capacity).then(|| queue.pop_front()).flatten()
                    }
                };
                let evicts = victim.is_some_and(|(_, _, expires)| expires > now);
                let outcome = table.insert(hash(n), stream, now + 300, now);
                assert_eq!(outcome == BindOutcome::Evicted, evicts);
                for n in 0..=255 {
                    let expected = queue
                        .iter()
                        .find(|(other, _, expires)| *other == n && *expires > now)
                        .map(|(_, stream, _)| *stream);
                    assert_eq!(table.get(hash(n), now), expected, "{n}");
                }
            }
        }
    }
}
