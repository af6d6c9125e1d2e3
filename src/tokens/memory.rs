//! The store in memory, shared by every event loop: a consumer may come back on another.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::LIFETIME_SECONDS;
use super::key::Digest;
use super::streams::Streams;
use super::table::{Inserted, Table};

/// Bindings in this process.
#[derive(Debug)]
pub(super) struct Memory {
    shards: Box<[Mutex<Table>]>,
    streams: Streams,
}

/// What is known of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    /// The stream it stands for.
    Stream(Arc<str>),
    /// Two streams were claimed for it: nobody can tell.
    Contested,
    /// Nothing.
    Nothing,
}

/// A table that is locked as a whole when it is this small, in shards when it is larger. A lock is
/// held for some 100 ns, so that sixteen serve as many loops as machines have.
const UNDIVIDED: usize = 4096;
const SHARDS: usize = 16;

/// Tokens for each stream that there is room for: the longest names cost 5 bytes a token then. A
/// consumer that reads a shard once a second has 300 alive.
const TOKENS_A_STREAM: usize = 128;

/// In place of a stream's number: two were claimed for the token.
const CONTESTED: u32 = u32::MAX;

impl Memory {
    /// Room for so many tokens.
    pub(super) fn new(capacity: usize) -> Memory {
        let shards = if capacity < UNDIVIDED { 1 } else { SHARDS };
        Memory {
            shards: (0..shards)
                .map(|_| Mutex::new(Table::new(capacity / shards)))
                .collect(),
            streams: Streams::new((capacity / TOKENS_A_STREAM).max(16)),
        }
    }

    /// Binds a token to a stream until `expires`, at most a lifetime from `now`.
    pub(super) fn bind(&self, digest: Digest, stream: &str, expires: u32, now: u32) -> Inserted {
        let Some(number) = self.streams.number(stream, now) else {
            return Inserted::Evicted;
        };
        let Some(mut table) = self.shard(digest) else {
            return Inserted::Evicted;
        };
        let known = table.get(digest, now);
        let same = known.is_none_or(|known| {
            known == number || self.streams.name(known).as_deref() == Some(stream)
        });
        let number = if same { number } else { CONTESTED };
        let expires = expires.min(now.saturating_add(LIFETIME_SECONDS));
        table.insert(digest, number, expires, now)
    }

    /// What a token is bound to.
    pub(super) fn known(&self, digest: Digest, now: u32) -> Known {
        let number = self.shard(digest).and_then(|table| table.get(digest, now));
        match number {
            None => Known::Nothing,
            Some(CONTESTED) => Known::Contested,
            Some(number) => match self.streams.name(number) {
                Some(stream) => Known::Stream(stream),
                None => Known::Nothing,
            },
        }
    }

    /// How many tokens are bound and alive. A lock is given back between pieces, so that what is
    /// bound meanwhile does not wait for the count.
    pub(super) fn alive(&self, now: u32) -> usize {
        let pieces = |shard: &Mutex<Table>| -> usize {
            let places = (0..).step_by(Table::COUNTED);
            places.map_while(|from| lock(shard).alive(from, now)).sum()
        };
        self.shards.iter().map(pieces).sum()
    }

    /// How many tokens there is room for.
    pub(super) fn capacity(&self) -> usize {
        let rooms = self.shards.iter().map(|shard| lock(shard).capacity());
        rooms.sum()
    }

    fn shard(&self, digest: Digest) -> Option<MutexGuard<'_, Table>> {
        let [first, ..] = digest.0;
        let shard = self.shards.get(usize::from(first) % self.shards.len())?;
        Some(lock(shard))
    }
}

/// A thread that panicked while it held the lock left a table that is whole at worst but for one
/// binding.
fn lock(shard: &Mutex<Table>) -> MutexGuard<'_, Table> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::key::Key;
    use super::{Inserted, Known, Memory, SHARDS, UNDIVIDED};

    fn stream(name: &str) -> Known {
        Known::Stream(name.into())
    }

    #[test]
    fn a_binding_lives_for_300_seconds() {
        let key = Key::random().unwrap();
        let memory = Memory::new(100);
        let digest = key.digest("GetRecords", "token");
        memory.bind(digest, "orders", u32::MAX, 1000);
        assert_eq!(memory.known(digest, 1299), stream("orders"));
        assert_eq!(memory.known(digest, 1300), Known::Nothing);
        // One that was shared earlier ends earlier.
        memory.bind(digest, "orders", 1450, 1400);
        assert_eq!(memory.known(digest, 1449), stream("orders"));
        assert_eq!(memory.known(digest, 1450), Known::Nothing);
    }

    #[test]
    fn a_token_that_two_streams_claim_belongs_to_neither() {
        let key = Key::random().unwrap();
        let memory = Memory::new(100);
        let digest = key.digest("ListStreamConsumers", "consumer");
        memory.bind(digest, "orders", u32::MAX, 1190);
        // The same stream again, in another generation of names.
        memory.bind(digest, "orders", u32::MAX, 1210);
        assert_eq!(memory.known(digest, 1211), stream("orders"));
        for name in ["private", "orders"] {
            memory.bind(digest, name, u32::MAX, 1220);
            assert_eq!(memory.known(digest, 1221), Known::Contested, "{name}");
        }
    }

    #[test]
    fn every_shard_takes_its_share() {
        let key = Key::random().unwrap();
        let memory = Memory::new(UNDIVIDED * 4);
        let digests: Vec<_> = (0..UNDIVIDED)
            .map(|n| key.digest("GetRecords", &n.to_string()))
            .collect();
        for digest in &digests {
            assert_eq!(memory.bind(*digest, "orders", u32::MAX, 0), Inserted::Kept);
        }
        for digest in &digests {
            assert_eq!(memory.known(*digest, 0), stream("orders"));
        }
        assert_eq!(memory.capacity(), UNDIVIDED * 4);
    }

    #[test]
    fn those_alive_are_counted_piece_by_piece() {
        let key = Key::random().unwrap();
        let memory = Memory::new(UNDIVIDED * SHARDS * 2);
        let bound: u32 = UNDIVIDED as u32 * SHARDS as u32 + 1;
        for n in 0..bound {
            let digest = key.digest("GetRecords", &n.to_string());
            memory.bind(digest, "orders", 100 + n % 2, 0);
        }
        assert_eq!(memory.alive(99), bound as usize);
        assert_eq!(memory.alive(100), bound as usize / 2);
        assert_eq!(memory.alive(101), 0);
    }
}
