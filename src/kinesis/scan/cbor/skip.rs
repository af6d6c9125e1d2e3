//! Whole items of a member that nobody needs, in one tight loop.

use super::super::MAX_DEPTH;
use super::super::collect::{Collector, Container};
use super::{Cbor, Frame, Malformed};

impl Cbor {
    /// Skips items while they are whole and of the usual forms; what is left begins with one that the
    /// general reader must look at, if only to refuse it.
    ///
    /// INVARIANT: it takes nothing that the general reader would refuse, and leaves the state that the
    /// general reader would leave.
    pub(super) fn skip<'a>(
        &mut self,
        mut rest: &'a [u8],
        out: &mut Collector,
    ) -> Result<&'a [u8], Malformed> {
        let mut depth = self.depth as usize;
        let Some(mut frame) = self.frame() else {
            return Ok(rest);
        };
        while let Some((after, opened)) = step(rest, &frame) {
            match opened {
                Step::Item => frame.left = frame.left.saturating_sub(1),
                Step::Open(inner) => {
                    let Some([outer, slot]) = self.stack.get_mut(depth - 1..=depth).and_then(two)
                    else {
                        break;
                    };
                    (*outer, *slot, frame) = (frame, inner, inner);
                    depth += 1;
                }
                Step::End if depth > 2 => frame.left = 0,
                // The member itself ends: the general reader takes note of that.
                Step::End => break,
            }
            rest = after;
            while frame.left == 0 && depth > 2 {
                depth -= 1;
                let Some(outer) = self.stack.get(depth - 1) else {
                    break;
                };
                frame = *outer;
                frame.left = frame.left.saturating_sub(1);
            }
            if frame.left == 0 {
                break;
            }
        }
        self.depth = u32::try_from(depth).unwrap_or(MAX_DEPTH);
        if let Some(slot) = self.frame_mut() {
            *slot = frame;
        }
        if frame.left == 0 {
            self.close(out)?;
        }
        Ok(rest)
    }
}

enum Step {
    /// A value or key.
    Item,
    Open(Frame),
    /// The mark that ends a container.
    End,
}

/// One item, if it is whole and usual, and what follows it.
#[inline]
fn step<'a>(rest: &'a [u8], frame: &Frame) -> Option<(&'a [u8], Step)> {
    let (&first, after) = rest.split_first()?;
    let is_key = frame.expects_key();
    match (first >> 5, first & 0x1f) {
        (major @ (2 | 3), info) => {
            let (len, content) = match info {
                0..=23 => (usize::from(info), after),
                24 => after
                    .split_first()
                    .map(|(len, content)| (usize::from(*len), content))?,
                25 => {
                    let (len, content) = after.split_first_chunk::<2>()?;
                    (usize::from(u16::from_be_bytes(*len)), content)
                }
                _ => return None,
            };
            let (content, after) = content.split_at_checked(len)?;
            let usual = if major == 3 {
                content.is_ascii()
            } else {
                !is_key
            };
            usual.then_some((after, Step::Item))
        }
        (0 | 1, 0..=23) | (7, 20..=22) if !is_key => Some((after, Step::Item)),
        (7, 31) => frame.may_end().then_some((after, Step::End)),
        (major @ (4 | 5), info) if !is_key => {
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

fn two(frames: &mut [Frame]) -> Option<&mut [Frame; 2]> {
    frames.try_into().ok()
}
