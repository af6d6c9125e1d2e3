//! Which containers are open.

use super::super::MAX_DEPTH;
use super::Container;

/// One bit for each container, the innermost lowest, a map's is 1; above them a 1. One number, so that
/// two places are compared at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u64);

impl Place {
    /// Where nothing is open.
    pub(super) const TOP: Place = Place(1);
    /// No place at all.
    pub(super) const NONE: Place = Place(0);

    pub(super) fn depth(self) -> u32 {
        self.0.checked_ilog2().unwrap_or(0)
    }

    pub(super) fn in_map(self) -> bool {
        self.0 & 1 == 1 && self != Place::TOP
    }

    /// Inside that container, unless that is too deep.
    pub(super) fn inside(self, container: Container) -> Option<Place> {
        let is_map = u64::from(container == Container::Map);
        (self.depth() < MAX_DEPTH).then_some(Place(self.0 << 1 | is_map))
    }

    /// Outside the innermost container.
    pub(super) fn outside(self) -> Place {
        Place(self.0 >> 1).max(Place::TOP)
    }
}
