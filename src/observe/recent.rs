//! Recent decisions: the last lines of the decision log, in memory.
//!
//! There are two rings: one of all lines, and one of the lines about a denial, a refusal or a
//! failure, which allowed traffic would push out within milliseconds. Loops push whole blocks; a
//! reader splits them into lines.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Whole lines of the decision log, each with its line end.
pub(super) type LineBlock = Arc<Vec<u8>>;

/// Both rings.
#[derive(Debug, Default)]
pub struct RecentLines {
    rings: Mutex<[Ring; 2]>,
    pushed: Notify,
}

/// One of the two rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RingKind {
    /// The ring of all lines.
    All,
    /// The ring of lines about more than an allowed request.
    NonAllowed,
}

/// A reader that follows one ring, and learns how many lines it missed.
#[derive(Debug)]
pub struct Follower {
    recent: Arc<RecentLines>,
    which: RingKind,
    next: u64,
}

/// The blocks that a follower has not read yet.
#[derive(Debug, Default)]
pub struct Update {
    /// The number of lines that the ring dropped before the follower could read them.
    pub missed: u64,
    /// Blocks of whole lines, in order.
    pub blocks: Vec<Arc<Vec<u8>>>,
}

#[derive(Debug, Default)]
struct Ring {
    blocks: VecDeque<Block>,
    /// The total size of the blocks, in bytes.
    bytes: usize,
    /// The number of the next line.
    next: u64,
}

#[derive(Debug)]
struct Block {
    /// The number of the block's first line.
    first: u64,
    lines: LineBlock,
}

/// The most bytes of each ring. The newest block stays, whatever its size.
const CAPACITY_BYTES: usize = 1 << 20;
/// The most blocks of each ring: a small block costs more than its bytes.
const MAX_BLOCKS: usize = 4096;

impl RecentLines {
    /// The blocks that a ring holds, oldest first.
    pub fn blocks(&self, which: RingKind) -> Vec<Arc<Vec<u8>>> {
        self.with(which, |ring| {
            let blocks = ring.blocks.iter();
            blocks.map(|block| Arc::clone(&block.lines)).collect()
        })
    }

    /// Follows a ring, from the next block on.
    pub fn follow(self: &Arc<RecentLines>, which: RingKind) -> Follower {
        Follower {
            recent: Arc::clone(self),
            which,
            next: self.with(which, |ring| ring.next),
        }
    }

    /// Adds a block of `count` lines, of which `non_allowed_count` lie in the ranges of
    /// `non_allowed`.
    pub(super) fn push(
        &self,
        block: &LineBlock,
        count: u64,
        non_allowed: &[Range<usize>],
        non_allowed_count: u64,
    ) {
        let picked = if non_allowed_count == 0 {
            None
        } else if non_allowed_count == count {
            Some(Arc::clone(block))
        } else {
            let length = non_allowed.iter().map(Range::len).sum();
            let mut picked = Vec::with_capacity(length);
            for range in non_allowed {
                picked.extend_from_slice(block.get(range.clone()).unwrap_or_default());
            }
            Some(Arc::new(picked))
        };
        self.with(RingKind::All, |ring| ring.push(Arc::clone(block), count));
        if let Some(picked) = picked {
            self.with(RingKind::NonAllowed, |ring| {
                ring.push(picked, non_allowed_count)
            });
        }
        self.pushed.notify_waiters();
    }

    fn with<T>(&self, which: RingKind, of: impl FnOnce(&mut Ring) -> T) -> T {
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let [all, non_allowed] = &mut *rings;
        of(match which {
            RingKind::All => all,
            RingKind::NonAllowed => non_allowed,
        })
    }
}

impl Follower {
    /// Waits for the next update. Cancel safe.
    pub async fn next_update(&mut self) -> Update {
        loop {
            let recent = Arc::clone(&self.recent);
            let mut pushed = std::pin::pin!(recent.pushed.notified());
            // Enabled before the poll, so that a later push is not missed.
            pushed.as_mut().enable();
            let update = self.poll();
            if update.missed > 0 || !update.blocks.is_empty() {
                return update;
            }
            pushed.await;
        }
    }

    fn poll(&mut self) -> Update {
        let first = self.next;
        let (update, next) = self.recent.with(self.which, |ring| {
            let oldest = ring.blocks.front().map_or(ring.next, |block| block.first);
            let unread = ring.blocks.iter().filter(|block| block.first >= first);
            let update = Update {
                missed: oldest.saturating_sub(first),
                blocks: unread.map(|block| Arc::clone(&block.lines)).collect(),
            };
            (update, ring.next)
        });
        self.next = next;
        update
    }
}

impl Ring {
    fn push(&mut self, lines: LineBlock, count: u64) {
        self.bytes += lines.capacity();
        self.blocks.push_back(Block {
            first: self.next,
            lines,
        });
        self.next += count;
        while self.blocks.len() > 1
            && (self.bytes > CAPACITY_BYTES || self.blocks.len() > MAX_BLOCKS)
        {
            if let Some(block) = self.blocks.pop_front() {
                self.bytes -= block.lines.capacity();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{CAPACITY_BYTES, RecentLines, RingKind};

    #[test]
    fn the_oldest_blocks_give_way_and_a_slow_follower_learns_what_it_missed() {
        let recent = Arc::new(RecentLines::default());
        let mut all = recent.follow(RingKind::All);
        let mut non_allowed = recent.follow(RingKind::NonAllowed);
        let line = format!("{}\n", "x".repeat(1023));
        let block = Arc::new(line.repeat(64).into_bytes());
        let pushes = 4 * CAPACITY_BYTES / block.len();
        for n in 0..pushes {
            let non_allowed_count = u64::from(n == 0);
            let first_line = 0..1024;
            recent.push(
                &block,
                64,
                std::slice::from_ref(&first_line),
                non_allowed_count,
            );
        }
        let update = all.poll();
        assert_eq!(update.blocks.len(), CAPACITY_BYTES / block.len());
        assert_eq!(update.missed, 64 * (pushes - update.blocks.len()) as u64);
        let update = non_allowed.poll();
        assert_eq!((update.missed, update.blocks.len()), (0, 1));
        assert_eq!(update.blocks.first().map(|lines| lines.len()), Some(1024));
        assert!(non_allowed.poll().blocks.is_empty());
    }
}
