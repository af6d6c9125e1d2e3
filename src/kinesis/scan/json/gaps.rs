//! What stands between two skipped texts, remembered.

/// Records of one body have the same keys, mostly in the same order, so what follows a text of one,
/// such as `},{"Data":"`, follows a text of the next. Bytes that were once read in full, from the same
/// state, lead to the same state again: comparing them is enough.
#[derive(Default)]
pub(super) struct Gaps {
    slots: [Gap; SLOTS],
    /// The slot that was crossed last; its successor is tried first.
    last: usize,
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
    /// Stack and depth of the grammar on either side.
    before: (u32, u32),
    after: (u32, u32),
    /// The slot that followed last time.
    next: usize,
}

impl Gaps {
    /// Crosses the gap that `rest` begins with, if it is a known one: what is behind it, and the stack
    /// and depth there. The grammar is then in a text that is a value.
    #[inline]
    pub(super) fn cross<'a>(
        &mut self,
        rest: &'a [u8],
        stack: u32,
        depth: u32,
    ) -> Option<(&'a [u8], u32, u32)> {
        let found = load(rest)?;
        let before = (stack, depth);
        let expected = self.slots.get(self.last)?.next;
        let mut at = expected;
        if !self.slots.get(expected)?.is(found, before) {
            at = self.slots.iter().position(|gap| gap.is(found, before))?;
            self.slots.get_mut(self.last)?.next = at;
        }
        self.last = at;
        let gap = self.slots.get(at)?;
        Some((rest.get(gap.len..)?, gap.after.0, gap.after.1))
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
