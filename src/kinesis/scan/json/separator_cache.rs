//! The separator cache: the bytes between two strings that are skipped, such as `"},{"Data":"`.

use std::hint::select_unpredictable;

use fearless_simd::prelude::*;
use fearless_simd::u8x32;

use super::container_stack::ContainerStack;
use super::string_ends::StringEnds;

/// Caches separators. The records of one body have the same keys, mostly in the same order, so the
/// separators of one record are those of the next. The same bytes, parsed from the same state, lead
/// to the same state again, so a comparison is enough.
#[derive(Default)]
pub(super) struct SeparatorCache {
    slots: [Separator; SLOTS],
    /// The slot that matched last.
    last: usize,
    /// The slot that is expected to match next, and is tried first.
    expected: usize,
    /// The slot that the next new separator replaces.
    oldest: usize,
}

/// A record has three strings at most: `Data`, `PartitionKey`, `ExplicitHashKey`.
const SLOTS: usize = 4;
/// The longest separator in the cache; `", "ExplicitHashKey": "` has 23 bytes.
const MAX_BYTES: usize = 32;

#[derive(Clone, Copy)]
struct Separator {
    /// The quote that ends a string, and the bytes up to the quote that begins the next string.
    bytes: [u8; MAX_BYTES],
    /// One bit for each byte, the first byte's lowest.
    mask: u64,
    len: usize,
    /// The open containers before and after; [`ContainerStack::NONE`] in an empty slot.
    before: ContainerStack,
    after: ContainerStack,
    /// The slot that matched after this slot the last time.
    last_next: usize,
    /// The slot that matched after this slot twice in a row, so that a rare member changes nothing.
    next: usize,
}

impl SeparatorCache {
    /// Skips strings while a known separator follows them, from inside a string at `at`. Returns
    /// the end of the first string without a known separator; `None` if that string does not end in
    /// this block.
    #[inline(always)]
    pub(super) fn skip_strings<S: Simd>(
        &mut self,
        simd: S,
        block: &[u8],
        mut at: usize,
        stack: &mut ContainerStack,
        ends: &StringEnds,
    ) -> Option<usize> {
        let (mut last, mut expected, mut here) = (self.last, self.expected, *stack);
        let end = loop {
            let Some(end) = ends.next(at) else {
                break None;
            };
            let Some(Some(found)) = block.get(end..).map(<[u8]>::first_chunk) else {
                break Some(end);
            };
            let mut known = match self.slots.get(expected) {
                Some(slot) if slot.matches(simd, found, here) => Some(slot),
                _ => None,
            };
            if known.is_none() {
                // A loop and not an iterator's method: a closure is compiled without wide vectors.
                expected = 0;
                for slot in &self.slots {
                    if slot.matches(simd, found, here) {
                        known = Some(slot);
                        break;
                    }
                    expected += 1;
                }
            }
            let Some(separator) = known else {
                break Some(end);
            };
            at = end + separator.len;
            here = separator.after;
            let next = separator.next;
            if let Some(last) = self.slots.get_mut(last) {
                let is_repeated = last.last_next == expected;
                last.next = select_unpredictable(is_repeated, expected, last.next);
                last.last_next = expected;
            }
            (last, expected) = (expected, next);
        };
        (self.last, self.expected, *stack) = (last, expected, here);
        end
    }

    /// Adds a parsed separator to the cache.
    pub(super) fn insert(&mut self, bytes: &[u8], before: ContainerStack, after: ContainerStack) {
        let mut padded = [0; MAX_BYTES];
        let Some(head) = padded.get_mut(..bytes.len()) else {
            return;
        };
        head.copy_from_slice(bytes);
        if let Some(slot) = self.slots.get_mut(self.oldest) {
            *slot = Separator {
                bytes: padded,
                mask: (1 << bytes.len()) - 1,
                len: bytes.len(),
                before,
                after,
                last_next: 0,
                next: 0,
            };
        }
        self.oldest = (self.oldest + 1) % SLOTS;
    }
}

impl Default for Separator {
    fn default() -> Separator {
        Separator {
            bytes: [0; MAX_BYTES],
            mask: 0,
            len: 0,
            before: ContainerStack::NONE,
            after: ContainerStack::NONE,
            last_next: 0,
            next: 0,
        }
    }
}

impl Separator {
    #[inline(always)]
    fn matches<S: Simd>(&self, simd: S, found: &[u8; MAX_BYTES], before: ContainerStack) -> bool {
        let found = u8x32::from_slice(simd, found);
        let same = found.simd_eq(u8x32::from_slice(simd, &self.bytes));
        !same.to_bitmask() & self.mask == 0 && self.before == before
    }
}
