//! Skips whole CBOR items of a member that policy does not need, in one tight loop.

use super::super::MAX_DEPTH;
use super::super::malformed::Result;
use super::super::member_visitor::{Container, MemberVisitor};
use super::CborScanner;
use super::frame::Frame;

impl CborScanner {
    /// Skips complete items of the usual forms. Returns the rest of the bytes, which the general
    /// scanner must read, if only to refuse them.
    ///
    /// INVARIANT: it skips nothing that the general scanner would refuse, and leaves the state that the
    /// general scanner would leave.
    pub(super) fn skip<'a>(
        &mut self,
        mut rest: &'a [u8],
        visitor: &mut MemberVisitor,
    ) -> Result<&'a [u8]> {
        let mut depth = self.depth as usize;
        let Some(mut frame) = self.frame() else {
            return Ok(rest);
        };
        while let Some((after, opened)) = step(rest, &frame) {
            match opened {
                Step::Item => frame.items_left = frame.items_left.saturating_sub(1),
                Step::Open(inner) => {
                    let Some([outer, slot]) = self.stack.get_mut(depth - 1..=depth).and_then(two)
                    else {
                        break;
                    };
                    (*outer, *slot, frame) = (frame, inner, inner);
                    depth += 1;
                }
                Step::Break if depth > 2 => frame.items_left = 0,
                // The member itself ends, which the general scanner reports.
                Step::Break => break,
            }
            rest = after;
            while frame.items_left == 0 && depth > 2 {
                depth -= 1;
                let Some(outer) = self.stack.get(depth - 1) else {
                    break;
                };
                frame = *outer;
                frame.items_left = frame.items_left.saturating_sub(1);
            }
            if frame.items_left == 0 {
                break;
            }
        }
        self.depth = u32::try_from(depth).unwrap_or(MAX_DEPTH);
        if let Some(slot) = self.frame_mut() {
            *slot = frame;
        }
        if frame.items_left == 0 {
            self.end_container(visitor)?;
        }
        Ok(rest)
    }
}

enum Step {
    /// A key or a value that is not a container.
    Item,
    Open(Frame),
    /// The break that ends an indefinite container.
    Break,
}

/// Reads one complete item of a usual form. Returns the rest of the bytes.
#[inline(always)]
fn step<'a>(rest: &'a [u8], frame: &Frame) -> Option<(&'a [u8], Step)> {
    let (&first, after) = rest.split_first()?;
    let is_key = frame.expects_key();
    let info = first & 0x1f;
    match first >> 5 {
        3 if is_key => {
            let len = usize::from(info);
            let after = after.get(len..)?;
            (info < 24 && is_ascii::<32>(rest, 1, len)).then_some((after, Step::Item))
        }
        major @ (2 | 3) if !is_key => {
            let (head, len) = length(rest)?;
            let after = rest.get(head..)?.get(len..)?;
            (major == 2 || is_ascii::<64>(rest, head, len)).then_some((after, Step::Item))
        }
        0 | 1 if !is_key && info < 24 => Some((after, Step::Item)),
        7 if info == 31 => frame.may_break().then_some((after, Step::Break)),
        7 if !is_key && matches!(info, 20..=22) => Some((after, Step::Item)),
        major @ (4 | 5) if !is_key => {
            let items = match info {
                0..=23 => Some(u64::from(info)),
                31 => None,
                _ => return None,
            };
            let container = if major == 5 {
                Container::Map
            } else {
                Container::List
            };
            Some((after, Step::Open(Frame::new(container, items))))
        }
        _ => None,
    }
}

/// Indexed by the low five bits of an item's first byte: the number of bytes of the head, the bits
/// to shift eight bytes so that they end in the argument, and the mask of the argument.
const HEADS: [(u8, u8, u32); 32] = {
    let none = (0, 0, 0);
    let mut heads = [(1, 56, 0x1f); 32];
    (heads[24], heads[25]) = ((2, 48, 0xff), (3, 40, 0xffff));
    (heads[26], heads[27]) = ((5, 24, 0xffff_ffff), none);
    (heads[28], heads[29], heads[30], heads[31]) = (none, none, none, none);
    heads
};

/// The length of a string's head and of its content. Without a branch: the size of a record's head is
/// not predictable.
#[inline(always)]
fn length(rest: &[u8]) -> Option<(usize, usize)> {
    let bytes = rest.first_chunk()?;
    let (head, shift, mask) = *HEADS.get(usize::from(bytes[0] & 0x1f))?;
    let len = u64::from_be_bytes(*bytes) >> shift & u64::from(mask);
    (head > 0).then_some((usize::from(head), usize::try_from(len).ok()?))
}

/// High bits, which no ASCII character has, followed by as many zeros.
const HIGH: [[u8; 64]; 2] = [[0x80; 64], [0; 64]];

/// Whether `len` bytes are ASCII. Without a branch up to `SHORT` bytes: the length is not predictable.
#[inline(always)]
fn is_ascii<const SHORT: usize>(rest: &[u8], from: usize, len: usize) -> bool {
    let rest = rest.get(from..).unwrap_or_default();
    if len <= SHORT
        && let (Some(window), Some(Some(high))) = (
            rest.first_chunk::<SHORT>(),
            HIGH.as_flattened()
                .get(64 - len..)
                .map(<[u8]>::first_chunk::<SHORT>),
        )
    {
        let both = window.iter().zip(high).map(|(byte, high)| byte & high);
        return both.fold(0, |any, both| any | both) == 0;
    }
    rest.get(..len).is_some_and(<[u8]>::is_ascii)
}

fn two(frames: &mut [Frame]) -> Option<&mut [Frame; 2]> {
    frames.try_into().ok()
}
