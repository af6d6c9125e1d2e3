//! Streams' ARNs as numbers, each ARN kept once.
//!
//! What is bound in one lifetime of a token has expired by the end of the next. So two generations
//! of names are kept, and each is dropped whole when it is two lifetimes old: no counting of who
//! still needs which.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::LIFETIME_SECONDS;

/// Names of the present and the previous generation.
#[derive(Debug)]
pub(super) struct Streams {
    /// A generation is at the place of its number's last bit.
    generations: RwLock<[Generation; 2]>,
    /// Names in each.
    capacity: usize,
}

#[derive(Debug, Default)]
struct Generation {
    number: u32,
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

/// Bits of a stream's number that count within its generation; the rest name the generation.
const PLACE_BITS: u32 = 24;
const MOST: usize = (1 << PLACE_BITS) - 1;

impl Streams {
    /// Room for so many streams in one lifetime of a token.
    pub(super) fn new(capacity: usize) -> Streams {
        Streams {
            generations: RwLock::default(),
            capacity: capacity.clamp(1, MOST),
        }
    }

    /// The number of a stream; none if there is no room for another.
    pub(super) fn number(&self, stream: &str, now: u32) -> Option<u32> {
        let current = now / LIFETIME_SECONDS;
        {
            let generations = self.generations.read();
            let generations = generations.unwrap_or_else(PoisonError::into_inner);
            let generation = of(&generations, current);
            if let Some(number) = generation.numbers.get(stream)
                && generation.number == current
            {
                return Some(*number);
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
        if let Some(number) = generation.numbers.get(stream) {
            return Some(*number);
        }
        if generation.names.len() >= self.capacity {
            return None;
        }
        let place = u32::try_from(generation.names.len()).ok()?;
        let number = current << PLACE_BITS | place;
        let name: Arc<str> = stream.into();
        generation.names.push(Arc::clone(&name));
        generation.numbers.insert(name, number);
        Some(number)
    }

    /// The stream of a number whose token is alive.
    pub(super) fn name(&self, number: u32) -> Option<Arc<str>> {
        let generations = self.generations.read();
        let generations = generations.unwrap_or_else(PoisonError::into_inner);
        let generation = of(&generations, number >> PLACE_BITS);
        if generation.number << PLACE_BITS != number & !(MOST as u32) {
            return None;
        }
        let place = number & MOST as u32;
        generation.names.get(place as usize).cloned()
    }
}

fn of(generations: &[Generation; 2], number: u32) -> &Generation {
    let [even, odd] = generations;
    if number.is_multiple_of(2) { even } else { odd }
}

#[cfg(test)]
mod tests {
    use super::Streams;

    #[test]
    fn names_live_for_two_lifetimes_and_are_bounded() {
        let streams = Streams::new(2);
        let a = streams.number("a", 1000).unwrap();
        let b = streams.number("b", 1100).unwrap();
        assert_eq!(streams.number("a", 1199), Some(a));
        assert_eq!(streams.number("c", 1199), None, "no room");
        // The next generation has its own room, and the last one is still there.
        let c = streams.number("c", 1200).unwrap();
        let later = streams.number("a", 1499).unwrap();
        assert_ne!(later, a);
        for (number, name) in [(a, "a"), (b, "b"), (c, "c"), (later, "a")] {
            assert_eq!(streams.name(number).as_deref(), Some(name));
        }
        // Two lifetimes later it is gone, and its numbers mean nothing.
        let d = streams.number("d", 1500).unwrap();
        assert_eq!(streams.name(a), None);
        assert_eq!(streams.name(c).as_deref(), Some("c"));
        assert_eq!(streams.name(d).as_deref(), Some("d"));
        assert_eq!(streams.name(u32::MAX), None);
    }
}
