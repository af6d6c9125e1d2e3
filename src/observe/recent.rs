//! What happened lately, for those who ask: the last lines of the decision log, in memory.
//!
//! Two rings: one of all lines, and one of those that tell of a denial, a refusal or a failure, which
//! allowed traffic would push out within milliseconds. Loops push whole blocks; lines are told apart
//! when somebody asks.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Whole lines of the decision log, each with its end.
pub(super) type Lines = Arc<Vec<u8>>;

/// Both rings.
#[derive(Debug, Default)]
pub struct Recent {
    rings: Mutex<[Ring; 2]>,
    pushed: Notify,
}

/// One of the two rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RingKind {
    /// All lines.
    All,
    /// Lines of what did not simply pass.
    NonAllowed,
}

/// A reader that follows one ring. It keeps up, or is told how many lines it lost.
#[derive(Debug)]
pub struct Follower {
    recent: Arc<Recent>,
    which: RingKind,
    next: u64,
}

/// What a follower has not seen yet.
#[derive(Debug, Default)]
pub struct News {
    /// Lines that were pushed out before it came for them.
    pub lost: u64,
    /// Blocks of whole lines, in order.
    pub blocks: Vec<Arc<Vec<u8>>>,
}

#[derive(Debug, Default)]
struct Ring {
    blocks: VecDeque<Block>,
    /// Bytes that the blocks hold.
    held: usize,
    /// The number of the next line.
    next: u64,
}

#[derive(Debug)]
struct Block {
    /// The number of its first line.
    first: u64,
    lines: Lines,
}

/// Bytes of each ring; the newest block stays, whatever its size.
const CAPACITY: usize = 1 << 20;
/// Blocks of each ring: small ones cost more than their bytes.
const BLOCKS: usize = 4096;

impl Recent {
    /// The blocks that a ring holds, oldest first.
    pub fn blocks(&self, which: RingKind) -> Vec<Arc<Vec<u8>>> {
        self.with(which, |ring| {
            let blocks = ring.blocks.iter();
            blocks.map(|block| Arc::clone(&block.lines)).collect()
        })
    }

    /// Follows a ring from now on.
    pub fn follow(self: &Arc<Recent>, which: RingKind) -> Follower {
        Follower {
            recent: Arc::clone(self),
            which,
            next: self.with(which, |ring| ring.next),
        }
    }

    /// Adds so many lines, of which those in `remarkable` are.
    pub(super) fn push(&self, block: &Lines, lines: u64, remarkable: &[Range<usize>], marked: u64) {
        let picked = if marked == 0 {
            None
        } else if marked == lines {
            Some(Arc::clone(block))
        } else {
            let length = remarkable.iter().map(Range::len).sum();
            let mut picked = Vec::with_capacity(length);
            for range in remarkable {
                picked.extend_from_slice(block.get(range.clone()).unwrap_or_default());
            }
            Some(Arc::new(picked))
        };
        self.with(RingKind::All, |ring| ring.push(Arc::clone(block), lines));
        if let Some(picked) = picked {
            self.with(RingKind::NonAllowed, |ring| ring.push(picked, marked));
        }
        self.pushed.notify_waiters();
    }

    fn with<T>(&self, which: RingKind, of: impl FnOnce(&mut Ring) -> T) -> T {
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let [all, remarkable] = &mut *rings;
        of(match which {
            RingKind::All => all,
            RingKind::NonAllowed => remarkable,
        })
    }
}

impl Follower {
    /// Waits for news; safe to give up and call again.
    pub async fn news(&mut self) -> News {
        loop {
            let recent = Arc::clone(&self.recent);
            let mut pushed = std::pin::pin!(recent.pushed.notified());
            // Before looking, so that what comes after the look is not missed.
            pushed.as_mut().enable();
            let news = self.look();
            if news.lost > 0 || !news.blocks.is_empty() {
                return news;
            }
            pushed.await;
        }
    }

    fn look(&mut self) -> News {
        let seen = self.next;
        let (news, next) = self.recent.with(self.which, |ring| {
            let oldest = ring.blocks.front().map_or(ring.next, |block| block.first);
            let unseen = ring.blocks.iter().filter(|block| block.first >= seen);
            let news = News {
                lost: oldest.saturating_sub(seen),
                blocks: unseen.map(|block| Arc::clone(&block.lines)).collect(),
            };
            (news, ring.next)
        });
        self.next = next;
        news
    }
}

impl Ring {
    fn push(&mut self, lines: Lines, count: u64) {
        self.held += lines.capacity();
        self.blocks.push_back(Block {
            first: self.next,
            lines,
        });
        self.next += count;
        while self.blocks.len() > 1 && (self.held > CAPACITY || self.blocks.len() > BLOCKS) {
            if let Some(block) = self.blocks.pop_front() {
                self.held -= block.lines.capacity();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{CAPACITY, Recent, RingKind};

    #[test]
    fn the_oldest_blocks_give_way_and_a_slow_follower_is_told() {
        let recent = Arc::new(Recent::default());
        let mut all = recent.follow(RingKind::All);
        let mut remarkable = recent.follow(RingKind::NonAllowed);
        let line = format!("{}\n", "x".repeat(1023));
        let block = Arc::new(line.repeat(64).into_bytes());
        let pushes = 4 * CAPACITY / block.len();
        for n in 0..pushes {
            let marked = u64::from(n == 0);
            recent.push(&block, 64, std::slice::from_ref(&(0..1024)), marked);
        }
        let news = all.look();
        assert_eq!(news.blocks.len(), CAPACITY / block.len());
        assert_eq!(news.lost, 64 * (pushes - news.blocks.len()) as u64);
        let news = remarkable.look();
        assert_eq!((news.lost, news.blocks.len()), (0, 1));
        assert_eq!(news.blocks.first().map(|lines| lines.len()), Some(1024));
        assert!(remarkable.look().blocks.is_empty());
    }
}
