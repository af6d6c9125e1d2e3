//! The stack of open JSON containers, in one number.

use super::super::MAX_DEPTH;
use super::Container;

/// One bit for each open container, the innermost lowest: 1 for an object, 0 for an array. A 1 stands
/// above them. Two stacks compare as two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ContainerStack(u64);

impl ContainerStack {
    /// No container is open.
    pub(super) const EMPTY: ContainerStack = ContainerStack(1);
    /// No stack: equal to no stack of a body.
    pub(super) const NONE: ContainerStack = ContainerStack(0);

    pub(super) fn depth(self) -> u32 {
        self.0.checked_ilog2().unwrap_or(0)
    }

    pub(super) fn is_in_map(self) -> bool {
        self.0 & 1 == 1 && self != ContainerStack::EMPTY
    }

    /// The stack with `container` on top; `None` if that is too deep.
    pub(super) fn push(self, container: Container) -> Option<ContainerStack> {
        let is_map = u64::from(container == Container::Map);
        (self.depth() < MAX_DEPTH).then_some(ContainerStack(self.0 << 1 | is_map))
    }

    /// The stack without the innermost container.
    pub(super) fn pop(self) -> ContainerStack {
        ContainerStack(self.0 >> 1).max(ContainerStack::EMPTY)
    }
}
