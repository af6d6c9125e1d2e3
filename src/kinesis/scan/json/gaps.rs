//! What stands between two skipped texts, remembered.

use std::hint::select_unpredictable;

use fearless_simd::prelude::*;
use fearless_simd::u8x32;

use super::place::Place;
use super::quotes::Ends;

/// Records of one body have the same keys, mostly in the same order, so what follows a text of one,
/// such as `},{"Data":"`, follows a text of the next. Bytes that were once read in full, from the same
/// state, lead to the same state again: comparing them is enough.
#[derive(Default)]
pub(super) struct Gaps {
    slots: [Gap; SLOTS],
    /// The slot that was crossed last.
    last: usize,
    /// The slot that is expected to follow, which is tried first.
    next: usize,
    /// The slot that is given up next.
    oldest: usize,
}

/// Records have three texts at most: `Data`, `PartitionKey`, `ExplicitHashKey`.
const SLOTS: usize = 4;
/// The longest gap that is remembered; `", "ExplicitHashKey": "` has 23.
const LONGEST: usize = 32;

#[derive(Clone, Copy)]
struct Gap {
    /// The quote that ends a text, and what follows up to the quote that begins the next.
    bytes: [u8; LONGEST],
    /// One bit for each byte of it, the first byte's lowest.
    mask: u64,
    len: usize,
    /// Where the grammar is on either side; [`Place::NONE`] for a slot not in use.
    before: Place,
    after: Place,
    /// The slot that followed the last time.
    followed: usize,
    /// The slot that followed twice in a row: a member that few records have changes nothing.
    next: usize,
}

impl Gaps {
    /// Goes from text to text, over as many known gaps as there are, beginning inside a text at `at`:
    /// to the byte that ends the text that no known gap follows, or none if the last text does not end
    /// here.
    #[inline(always)]
    pub(super) fn cross<S: Simd>(
        &mut self,
        simd: S,
        block: &[u8],
        mut at: usize,
        place: &mut Place,
        ends: &Ends,
    ) -> Option<usize> {
        let (mut last, mut next, mut here) = (self.last, self.next, *place);
        let end = loop {
            let Some(end) = ends.next(at) else {
                break None;
            };
            let Some(Some(found)) = block.get(end..).map(<[u8]>::first_chunk) else {
                break Some(end);
            };
            let mut known = match self.slots.get(next) {
                Some(gap) if gap.is(simd, found, here) => Some(gap),
                _ => None,
            };
            if known.is_none() {
                // A loop, not an iterator's method: a closure is compiled without wide vectors.
                next = 0;
                for gap in &self.slots {
                    if gap.is(simd, found, here) {
                        known = Some(gap);
                        break;
                    }
                    next += 1;
                }
            }
            let Some(gap) = known else {
                break Some(end);
            };
            at = end + gap.len;
            here = gap.after;
            let follows = gap.next;
            if let Some(last) = self.slots.get_mut(last) {
                let again = last.followed == next;
                last.next = select_unpredictable(again, next, last.next);
                last.followed = next;
            }
            (last, next) = (next, follows);
        };
        (self.last, self.next, *place) = (last, next, here);
        end
    }

    /// Remembers a gap that was read in full.
    pub(super) fn remember(&mut self, bytes: &[u8], before: Place, after: Place) {
        let mut padded = [0; LONGEST];
        let Some(head) = padded.get_mut(..bytes.len()) else {
            return;
        };
        head.copy_from_slice(bytes);
        if let Some(slot) = self.slots.get_mut(self.oldest) {
            *slot = Gap {
                bytes: padded,
                mask: (1 << bytes.len()) - 1,
                len: bytes.len(),
                before,
                after,
                followed: 0,
                next: 0,
            };
        }
        self.oldest = (self.oldest + 1) % SLOTS;
    }
}

impl Default for Gap {
    fn default() -> Gap {
        Gap {
            bytes: [0; LONGEST],
            mask: 0,
            len: 0,
            before: Place::NONE,
            after: Place::NONE,
            followed: 0,
            next: 0,
        }
    }
}

impl Gap {
    #[inline(always)]
    fn is<S: Simd>(&self, simd: S, found: &[u8; LONGEST], before: Place) -> bool {
        let found = u8x32::from_slice(simd, found);
        let same = found.simd_eq(u8x32::from_slice(simd, &self.bytes));
        !same.to_bitmask() & self.mask == 0 && self.before == before
    }
}
