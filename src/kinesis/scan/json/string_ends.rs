//! String ends: a bitmap of the quotes and backslashes of a block, made with vector instructions.
//!
//! Price: beside `memchr` it saves 75,000 of the 1,590,000 instructions of a request with 290 small
//! records, and 16 of 24 µs of the scan (docs/performance.md).

use fearless_simd::prelude::*;
use fearless_simd::u8x64;

use super::BLOCK;

/// One bit for each byte of a block, set for quotes and backslashes.
pub(super) struct StringEnds {
    /// In words of eight bytes, the first byte's bit lowest, and an empty word behind them.
    bits: [[u8; 8]; WORDS + 1],
    /// One bit for each word that is not zero, the first word's highest.
    used: u64,
}

const WORDS: usize = BLOCK / 64;
const _: () = assert!(
    WORDS == u64::BITS as usize,
    "one word says which words are used"
);

/// The kinds of bytes in a block.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct ByteKinds {
    /// All bytes are ASCII, and none is a control character.
    pub(super) is_ascii: bool,
    /// At least one byte may be a control character.
    pub(super) may_have_control: bool,
}

impl StringEnds {
    pub(super) fn new() -> StringEnds {
        StringEnds {
            bits: [[0; 8]; WORDS + 1],
            used: 0,
        }
    }

    /// Reads a block, of [`BLOCK`] bytes at most.
    #[inline(always)]
    pub(super) fn read<S: Simd>(&mut self, simd: S, block: &[u8]) -> ByteKinds {
        let mut seen = Seen {
            most: u8x64::splat(simd, 0),
            used: 0,
            words: 0,
        };
        let (chunks, rest) = block.as_chunks::<64>();
        let mut words = self.bits.iter_mut();
        for (chunk, word) in chunks.iter().zip(&mut words) {
            *word = seen.ends(simd, chunk).to_le_bytes();
        }
        if !rest.is_empty() {
            let mut padded = [b' '; 64];
            for (to, from) in padded.iter_mut().zip(rest) {
                *to = *from;
            }
            if let Some(word) = words.next() {
                *word = seen.ends(simd, &padded).to_le_bytes();
            }
        }
        for word in words {
            *word = [0; 8];
        }
        self.used = seen.used.checked_shl(u64::BITS - seen.words).unwrap_or(0);
        let most = seen.most.reduce_max();
        ByteKinds {
            is_ascii: most < 0x60,
            may_have_control: most >= 0xe0,
        }
    }

    /// The place of the first quote or backslash at or after `at`.
    #[inline(always)]
    pub(super) fn next(&self, at: usize) -> Option<usize> {
        // The bits of 57 bytes or more from `at`: most short strings end in them, so the branch is
        // predicted, whatever their length.
        let bits = self.bits.as_flattened().get(at / 8..)?.first_chunk()?;
        let window = u64::from_le_bytes(*bits) >> (at % 8);
        if window != 0 {
            return Some(at + window.trailing_zeros() as usize);
        }
        let word = at / 64;
        // The next word is computed, not searched: a loop would run a different number of words for
        // each string, and be mispredicted once for each.
        let later = self.used.checked_shl(u32::try_from(word).ok()? + 1)?;
        let word = word + 1 + later.leading_zeros() as usize;
        let bits = u64::from_le_bytes(*self.bits.get(word)?);
        Some(word * 64 + bits.trailing_zeros() as usize)
    }
}

struct Seen<S: Simd> {
    /// The greatest byte less 0x20: of control characters that is 0xe0 or more, of what is not ASCII
    /// 0x60 or more.
    most: u8x64<S>,
    /// As [`StringEnds::used`], the last word's bit lowest.
    used: u64,
    words: u32,
}

impl<S: Simd> Seen<S> {
    #[inline(always)]
    fn ends(&mut self, simd: S, chunk: &[u8; 64]) -> u64 {
        let bytes = u8x64::from_slice(simd, chunk);
        self.most = self.most.max(bytes - 0x20);
        let ends = (bytes.simd_eq(b'"') | bytes.simd_eq(b'\\')).to_bitmask();
        // Without a branch: which words have ends is not predictable.
        self.used = self.used << 1 | u64::from(ends != 0);
        self.words += 1;
        ends
    }
}

#[cfg(test)]
mod tests {
    use fearless_simd::{Level, dispatch};
    use proptest::prelude::{ProptestConfig, any, proptest};

    use super::{BLOCK, StringEnds};

    /// Every width of vectors that this machine has.
    fn levels() -> Vec<Level> {
        let mut levels = vec![Level::baseline(), Level::new()];
        #[cfg(target_arch = "x86_64")]
        levels.extend(Level::new().as_avx2().map(Level::Avx2));
        levels
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn every_end_is_found(
            others in proptest::collection::vec((0..BLOCK, any::<u8>()), 0..6),
            quotes in proptest::collection::vec(0..BLOCK, 0..40),
            length in 0..=BLOCK,
        ) {
            let mut block = vec![b'a'; BLOCK];
            quotes.iter().for_each(|at| block[*at] = b'"');
            others.iter().for_each(|(at, byte)| block[*at] = *byte);
            let block = &block[..length];
            for level in levels() {
                let mut ends = StringEnds::new();
                // What a longer block left behind is gone.
                dispatch!(level, simd => ends.read(simd, &[b'"'; BLOCK]));
                let bytes = dispatch!(level, simd => ends.read(simd, block));
                assert_eq!(bytes.is_ascii, block.iter().all(|b| (0x20..0x80).contains(b)));
                assert_eq!(bytes.may_have_control, block.iter().any(|b| *b < 0x20));
                for at in (0..=length).step_by(7).chain([length]) {
                    let next = block[at..].iter().position(|b| b"\"\\".contains(b));
                    assert_eq!(ends.next(at), next.map(|o| at + o), "from {at}");
                }
            }
        }
    }
}
