//! The frame of an open CBOR container: the number of items left in the container.

use super::Container;

/// An open container.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Frame {
    is_map: bool,
    /// The remaining items, keys and values both; counted down from [`INDEFINITE`] if a break ends
    /// the container. A map begins with an even number, so an even number remains before each key.
    pub(super) items_left: u64,
}

/// More items than any body has.
const INDEFINITE: u64 = 1 << 63;

impl Frame {
    pub(super) fn new(container: Container, items: Option<u64>) -> Frame {
        let is_map = container == Container::Map;
        let per_item = if is_map { 2 } else { 1 };
        Frame {
            is_map,
            items_left: items.map_or(INDEFINITE, |items| items * per_item),
        }
    }

    pub(super) fn expects_key(&self) -> bool {
        self.is_map && self.items_left.is_multiple_of(2)
    }

    /// Whether a break may end the container here.
    pub(super) fn may_break(&self) -> bool {
        self.items_left > INDEFINITE / 2 && (!self.is_map || self.expects_key())
    }

    /// Counts an item that ended. Returns whether the container ends with it.
    pub(super) fn count_item(&mut self) -> bool {
        self.items_left = self.items_left.saturating_sub(1);
        self.items_left == 0
    }
}
