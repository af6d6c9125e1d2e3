//! What stands between two skipped texts, remembered.

use super::Place;
use super::quotes::Ends;

/// Records of one body have the same keys, mostly in the same order, so what follows a text of one,
/// such as `},{"Data":"`, follows a text of the next. Bytes that were once read in full, from the same
/// state, lead to the same state again: comparing them is enough.
#[derive(Default)]
pub(super) struct Gaps {
    slots: [Gap; SLOTS],
    /// The slot that was crossed last.
    last: usize,
    /// The slot that followed it the last time, which is tried first.
    next: usize,
    /// The slot that is given up next.
    oldest: usize,
}

/// Records have three texts at most: `Data`, `PartitionKey`, `ExplicitHashKey`.
const SLOTS: usize = 4;
/// The longest gap that is remembered; `, "ExplicitHashKey": "` has 22.
const LONGEST: usize = 32;

#[derive(Default, Clone, Copy)]
struct Gap {
    bytes: [u128; 2],
    mask: [u128; 2],
    /// Zero for a slot not in use.
    len: usize,
    /// Where the grammar is on either side.
    before: Place,
    after: Place,
    /// The slot that followed last time.
    next: usize,
}

impl Gaps {
    /// Goes from text to text, over as many known gaps as there are, beginning inside a text at `at`:
    /// behind the text that no known gap follows, or none if the last text does not end here.
    #[inline]
    pub(super) fn cross(
        &mut self,
        block: &[u8],
        mut at: usize,
        place: &mut Place,
        ends: &impl Ends,
        texts: &mut usize,
    ) -> Option<usize> {
        let (mut last, mut next, mut here) = (self.last, self.next, *place);
        let mut count = 0;
        let end = loop {
            count += 1;
            let Some(end) = ends.next(block, at) else {
                break None;
            };
            let Some(rest) = block.get(end + 1..) else {
                break None;
            };
            let Some(found) = load(rest) else {
                break Some(end + 1);
            };
            let expected = self.slots.get(next).filter(|gap| gap.is(found, here));
            let gap = match expected {
                Some(gap) => gap,
                None => {
                    let Some(slot) = self.slots.iter().position(|gap| gap.is(found, here)) else {
                        break Some(end + 1);
                    };
                    if let Some(last) = self.slots.get_mut(last) {
                        last.next = slot;
                    }
                    next = slot;
                    let Some(gap) = self.slots.get(slot) else {
                        break Some(end + 1);
                    };
                    gap
                }
            };
            at = end + 1 + gap.len;
            here = gap.after;
            (last, next) = (next, gap.next);
        };
        (self.last, self.next, *place) = (last, next, here);
        *texts += count;
        end
    }

    /// Remembers a gap that was read in full.
    pub(super) fn remember(&mut self, bytes: &[u8], before: Place, after: Place) {
        let (mut padded, mut mask) = ([0; LONGEST], [0; LONGEST]);
        let (Some(head), Some(head_mask)) =
            (padded.get_mut(..bytes.len()), mask.get_mut(..bytes.len()))
        else {
            return;
        };
        head.copy_from_slice(bytes);
        head_mask.fill(0xff);
        let (Some(bytes), Some(mask), len) = (load(&padded), load(&mask), bytes.len()) else {
            return;
        };
        if let Some(slot) = self.slots.get_mut(self.oldest) {
            *slot = Gap {
                bytes,
                mask,
                len,
                before,
                after,
                next: 0,
            };
        }
        self.oldest = (self.oldest + 1) % SLOTS;
    }
}

impl Gap {
    #[inline]
    fn is(&self, found: [u128; 2], before: Place) -> bool {
        let differs =
            (found[0] ^ self.bytes[0]) & self.mask[0] | (found[1] ^ self.bytes[1]) & self.mask[1];
        self.len > 0 && differs == 0 && self.before == before
    }
}

#[inline]
fn load(bytes: &[u8]) -> Option<[u128; 2]> {
    let (low, rest) = bytes.split_first_chunk::<16>()?;
    let high = rest.first_chunk::<16>()?;
    Some([u128::from_le_bytes(*low), u128::from_le_bytes(*high)])
}
