//! What stands between two skipped texts, remembered.

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

/// A gap that was crossed: its length, and the stack and depth of the grammar behind it, which is then
/// in a text that is a value.
pub(super) struct Crossed {
    pub(super) len: usize,
    pub(super) after: (u32, u32),
}

#[derive(Default, Clone, Copy)]
struct Gap {
    bytes: [u128; 2],
    mask: [u128; 2],
    /// Zero for a slot not in use.
    len: usize,
    /// Stack and depth of the grammar on either side.
    before: (u32, u32),
    after: (u32, u32),
    /// The slot that followed last time.
    next: usize,
}

impl Gaps {
    /// The known gap that `rest` begins with, if any.
    #[inline]
    pub(super) fn cross(&mut self, rest: &[u8], stack: u32, depth: u32) -> Option<Crossed> {
        let found = load(rest)?;
        let before = (stack, depth);
        let mut at = self.next;
        let mut gap = self.slots.get(at)?;
        if !gap.is(found, before) {
            at = self.slots.iter().position(|gap| gap.is(found, before))?;
            gap = self.slots.get(at)?;
        }
        let crossed = Crossed {
            len: gap.len,
            after: gap.after,
        };
        let next = gap.next;
        if let Some(last) = self.slots.get_mut(self.last) {
            last.next = at;
        }
        (self.last, self.next) = (at, next);
        Some(crossed)
    }

    /// Remembers a gap that was read in full.
    pub(super) fn remember(&mut self, bytes: &[u8], before: (u32, u32), after: (u32, u32)) {
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
    fn is(&self, found: [u128; 2], before: (u32, u32)) -> bool {
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
