//! What stands between two skipped texts, remembered.

/// Records of one body have the same keys in the same order, so what follows the last text of one,
/// such as `},{"Data":"`, follows the last of the next. Bytes that were once read in full, from the
/// same state, lead to the same state again: comparing them is enough.
#[derive(Default)]
pub(super) struct Gaps {
    slots: [Gap; SLOTS],
    /// The slot of the gap that comes next.
    next: usize,
}

/// A member and its neighbours of a record: `Data`, `PartitionKey`, `ExplicitHashKey`, and one more.
const SLOTS: usize = 4;
/// The longest gap that is remembered; `, "ExplicitHashKey": "` has 22.
const LONGEST: usize = 32;

#[derive(Default)]
struct Gap {
    bytes: [u128; 2],
    mask: [u128; 2],
    /// Zero for a slot not in use.
    len: usize,
    /// Stack and depth of the grammar on either side.
    before: (u32, u32),
    after: (u32, u32),
    next: usize,
}

impl Gaps {
    /// Crosses the gap that `rest` begins with, if it is the expected one: what is behind it, and the
    /// stack and depth there. The grammar is then in a text that is a value.
    pub(super) fn cross<'a>(
        &mut self,
        rest: &'a [u8],
        stack: u32,
        depth: u32,
    ) -> Option<(&'a [u8], u32, u32)> {
        let gap = self.slots.get(self.next)?;
        let found = load(rest)?;
        let differs =
            (found[0] ^ gap.bytes[0]) & gap.mask[0] | (found[1] ^ gap.bytes[1]) & gap.mask[1];
        if gap.len == 0 || differs != 0 || gap.before != (stack, depth) {
            return None;
        }
        self.next = gap.next;
        Some((rest.get(gap.len..)?, gap.after.0, gap.after.1))
    }

    /// Remembers a gap that was read in full.
    pub(super) fn remember(&mut self, bytes: &[u8], before: (u32, u32), after: (u32, u32)) {
        let mut padded = [0; LONGEST];
        let mut mask = [0; LONGEST];
        let Some(head) = padded.get_mut(..bytes.len()) else {
            self.next = 0;
            return;
        };
        head.copy_from_slice(bytes);
        mask.iter_mut()
            .take(bytes.len())
            .for_each(|byte| *byte = 0xff);
        let (Some(bytes_), Some(mask)) = (load(&padded), load(&mask)) else {
            return;
        };
        // A gap that closes something ends a record: the next one is the first again.
        let next = if memchr::memchr2(b'}', b']', bytes).is_some() {
            0
        } else {
            (self.next + 1) % SLOTS
        };
        if let Some(slot) = self.slots.get_mut(self.next) {
            *slot = Gap {
                bytes: bytes_,
                mask,
                len: bytes.len(),
                before,
                after,
                next,
            };
        }
        self.next = next;
    }
}

fn load(bytes: &[u8]) -> Option<[u128; 2]> {
    let (low, rest) = bytes.split_first_chunk::<16>()?;
    let high = rest.first_chunk::<16>()?;
    Some([u128::from_le_bytes(*low), u128::from_le_bytes(*high)])
}
