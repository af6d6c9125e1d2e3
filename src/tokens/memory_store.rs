//! Token bindings in memory, shared by every event loop: a consumer may return on another loop.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::LIFETIME_SECONDS;
use super::binding_table::{BindOutcome, BindingTable};
use super::keyed_hash::TokenHash;
use super::stream_interner::StreamInterner;

/// The bindings of this process.
#[derive(Debug)]
pub(super) struct MemoryStore {
    shards: Box<[Mutex<BindingTable>]>,
    streams: StreamInterner,
}

/// The answer to a lookup of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lookup {
    /// The token is bound to the stream with this ARN.
    Bound(Arc<str>),
    /// Two streams claim the token: neither counts.
    Conflict,
    /// The token is not bound.
    Unbound,
}

/// A smaller store has one shard. A lock is held for some 100 ns, so sixteen shards serve as many
/// event loops as machines have.
const MIN_SHARDED_CAPACITY: usize = 4096;
const SHARD_COUNT: usize = 16;

/// Tokens for each stream that there is room for: then the longest ARNs cost 5 bytes a token. A
/// consumer that reads a shard once a second has 300 live tokens.
const TOKENS_PER_STREAM: usize = 128;

/// In place of a stream's symbol, for a token that two streams claim.
const CONFLICT: u32 = u32::MAX;

impl MemoryStore {
    /// Room for `capacity` tokens.
    pub(super) fn new(capacity: usize) -> MemoryStore {
        let is_sharded = capacity >= MIN_SHARDED_CAPACITY;
        let shards = if is_sharded { SHARD_COUNT } else { 1 };
        MemoryStore {
            shards: (0..shards)
                .map(|_| Mutex::new(BindingTable::new(capacity / shards)))
                .collect(),
            streams: StreamInterner::new((capacity / TOKENS_PER_STREAM).max(16)),
        }
    }

    /// Binds a token to the stream with the ARN `stream` until `expires`, at most a lifetime from `now`.
    pub(super) fn bind(
        &self,
        token: TokenHash,
        stream: &str,
        expires: u32,
        now: u32,
    ) -> BindOutcome {
        let (Some(symbol), Some(mut table)) = (self.streams.intern(stream, now), self.shard(token))
        else {
            return BindOutcome::Evicted;
        };
        let agrees = table.get(token, now).is_none_or(|before| {
            before == symbol || self.streams.resolve(before).as_deref() == Some(stream)
        });
        let symbol = if agrees { symbol } else { CONFLICT };
        let expires = expires.min(now.saturating_add(LIFETIME_SECONDS));
        table.insert(token, symbol, expires, now)
    }

    /// Looks up the stream that a token is bound to.
    pub(super) fn lookup(&self, token: TokenHash, now: u32) -> Lookup {
        let symbol = self.shard(token).and_then(|table| table.get(token, now));
        match symbol {
            Some(CONFLICT) => Lookup::Conflict,
            Some(symbol) => (self.streams.resolve(symbol)).map_or(Lookup::Unbound, Lookup::Bound),
            None => Lookup::Unbound,
        }
    }

    /// The number of live bindings. The lock is released between chunks, so that a new binding does
    /// not wait for the count.
    pub(super) fn count_alive(&self, now: u32) -> usize {
        let count = |shard: &Mutex<BindingTable>| -> usize {
            let chunks = (0..).step_by(BindingTable::COUNT_CHUNK);
            chunks
                .map_while(|from| lock(shard).count_alive(from, now))
                .sum()
        };
        self.shards.iter().map(count).sum()
    }

    /// The number of tokens that fit.
    pub(super) fn capacity(&self) -> usize {
        let capacities = self.shards.iter().map(|shard| lock(shard).capacity());
        capacities.sum()
    }

    fn shard(&self, token: TokenHash) -> Option<MutexGuard<'_, BindingTable>> {
        let [first, ..] = token.0;
        let shard = self.shards.get(usize::from(first) % self.shards.len())?;
        Some(lock(shard))
    }
}

/// A panic under the lock leaves the table whole, except for one binding at worst.
fn lock(shard: &Mutex<BindingTable>) -> MutexGuard<'_, BindingTable> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::keyed_hash::HashKey;
    use super::{BindOutcome, Lookup, MIN_SHARDED_CAPACITY, MemoryStore, SHARD_COUNT};

    fn bound(stream: &str) -> Lookup {
        Lookup::Bound(stream.into())
    }

    #[test]
    fn a_binding_lives_for_300_seconds() {
        let key = HashKey::random().unwrap();
        let memory = MemoryStore::new(100);
        let token = key.hash_token("GetRecords", "token");
        memory.bind(token, "orders", u32::MAX, 1000);
        assert_eq!(memory.lookup(token, 1299), bound("orders"));
        assert_eq!(memory.lookup(token, 1300), Lookup::Unbound);
        // A binding that another replica published earlier ends earlier.
        memory.bind(token, "orders", 1450, 1400);
        assert_eq!(memory.lookup(token, 1449), bound("orders"));
        assert_eq!(memory.lookup(token, 1450), Lookup::Unbound);
    }

    #[test]
    fn a_token_that_two_streams_claim_belongs_to_neither() {
        let key = HashKey::random().unwrap();
        let memory = MemoryStore::new(100);
        let token = key.hash_token("ListStreamConsumers", "consumer");
        memory.bind(token, "orders", u32::MAX, 1190);
        // The same stream again, in another generation of the interner.
        memory.bind(token, "orders", u32::MAX, 1210);
        assert_eq!(memory.lookup(token, 1211), bound("orders"));
        for stream in ["private", "orders"] {
            memory.bind(token, stream, u32::MAX, 1220);
            assert_eq!(memory.lookup(token, 1221), Lookup::Conflict, "{stream}");
        }
    }

    #[test]
    fn bindings_are_spread_over_the_shards() {
        let key = HashKey::random().unwrap();
        let memory = MemoryStore::new(MIN_SHARDED_CAPACITY * 4);
        let tokens: Vec<_> = (0..MIN_SHARDED_CAPACITY)
            .map(|n| key.hash_token("GetRecords", &n.to_string()))
            .collect();
        for token in &tokens {
            let outcome = memory.bind(*token, "orders", u32::MAX, 0);
            assert_eq!(outcome, BindOutcome::Stored);
        }
        for token in &tokens {
            assert_eq!(memory.lookup(*token, 0), bound("orders"));
        }
        assert_eq!(memory.capacity(), MIN_SHARDED_CAPACITY * 4);
    }

    #[test]
    fn bindings_are_counted_chunk_by_chunk() {
        let key = HashKey::random().unwrap();
        let memory = MemoryStore::new(MIN_SHARDED_CAPACITY * SHARD_COUNT * 2);
        let count = MIN_SHARDED_CAPACITY as u32 * SHARD_COUNT as u32 + 1;
        for n in 0..count {
            let token = key.hash_token("GetRecords", &n.to_string());
            memory.bind(token, "orders", 100 + n % 2, 0);
        }
        assert_eq!(memory.count_alive(99), count as usize);
        assert_eq!(memory.count_alive(100), count as usize / 2);
        assert_eq!(memory.count_alive(101), 0);
    }
}
