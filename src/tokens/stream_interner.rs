//! Interned stream ARNs: each ARN is stored once, and a token binding holds its 32-bit symbol.
//!
//! A binding of one token lifetime has expired by the end of the next. So the interner holds two
//! generations of ARNs, and drops each whole at two lifetimes of age: it counts no references.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::LIFETIME_SECONDS;

/// The ARNs of the present and the previous generation.
#[derive(Debug)]
pub(super) struct StreamInterner {
    /// Even generations are first, odd ones second.
    generations: RwLock<[Generation; 2]>,
    /// The most ARNs of each generation.
    capacity: usize,
}

#[derive(Debug, Default)]
struct Generation {
    number: u32,
    arns: Vec<Arc<str>>,
    symbols: HashMap<Arc<str>, u32>,
}

/// Bits of a symbol that index its generation; the other bits are the generation's number.
const INDEX_BITS: u32 = 24;
const INDEX_MASK: usize = (1 << INDEX_BITS) - 1;

impl StreamInterner {
    /// Room for `capacity` streams in one lifetime of a token.
    pub(super) fn new(capacity: usize) -> StreamInterner {
        StreamInterner {
            generations: RwLock::default(),
            capacity: capacity.clamp(1, INDEX_MASK),
        }
    }

    /// The symbol of a stream's ARN; `None` if there is no room for another.
    pub(super) fn intern(&self, arn: &str, now: u32) -> Option<u32> {
        let current = now / LIFETIME_SECONDS;
        {
            let generations = self.generations.read();
            let generations = generations.unwrap_or_else(PoisonError::into_inner);
            let generation = select(&generations, current);
            if let Some(symbol) = generation.symbols.get(arn)
                && generation.number == current
            {
                return Some(*symbol);
            }
        }
        let generations = self.generations.write();
        let mut generations = generations.unwrap_or_else(PoisonError::into_inner);
        let [even, odd] = &mut *generations;
        let generation = if current.is_multiple_of(2) { even } else { odd };
        if generation.number != current {
            *generation = Generation {
                number: current,
                ..Generation::default()
            };
        }
        if let Some(symbol) = generation.symbols.get(arn) {
            return Some(*symbol);
        }
        if generation.arns.len() >= self.capacity {
            return None;
        }
        let index = u32::try_from(generation.arns.len()).ok()?;
        let symbol = current << INDEX_BITS | index;
        let arn: Arc<str> = arn.into();
        generation.arns.push(Arc::clone(&arn));
        generation.symbols.insert(arn, symbol);
        Some(symbol)
    }

    /// The ARN of a symbol whose token is alive.
    pub(super) fn resolve(&self, symbol: u32) -> Option<Arc<str>> {
        let generations = self.generations.read();
        let generations = generations.unwrap_or_else(PoisonError::into_inner);
        let generation = select(&generations, symbol >> INDEX_BITS);
        if generation.number << INDEX_BITS != symbol & !(INDEX_MASK as u32) {
            return None;
        }
        let index = symbol as usize & INDEX_MASK;
        generation.arns.get(index).cloned()
    }
}

fn select(generations: &[Generation; 2], number: u32) -> &Generation {
    let [even, odd] = generations;
    if number.is_multiple_of(2) { even } else { odd }
}

#[cfg(test)]
mod tests {
    use super::StreamInterner;

    #[test]
    fn arns_live_for_two_lifetimes_and_are_bounded() {
        let streams = StreamInterner::new(2);
        let a = streams.intern("a", 1000).unwrap();
        let b = streams.intern("b", 1100).unwrap();
        assert_eq!(streams.intern("a", 1199), Some(a));
        assert_eq!(streams.intern("c", 1199), None, "no room");
        // The next generation has its own room, and the last one is still there.
        let c = streams.intern("c", 1200).unwrap();
        let later = streams.intern("a", 1499).unwrap();
        assert_ne!(later, a);
        for (symbol, arn) in [(a, "a"), (b, "b"), (c, "c"), (later, "a")] {
            assert_eq!(streams.resolve(symbol).as_deref(), Some(arn));
        }
        // Two lifetimes later it is gone, and its symbols mean nothing.
        let d = streams.intern("d", 1500).unwrap();
        assert_eq!(streams.resolve(a), None);
        assert_eq!(streams.resolve(c).as_deref(), Some("c"));
        assert_eq!(streams.resolve(d).as_deref(), Some("d"));
        assert_eq!(streams.resolve(u32::MAX), None);
    }
}
