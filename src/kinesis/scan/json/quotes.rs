//! Where texts end: the quotes and backslashes of a block as bits.

use fearless_simd::prelude::*;
use fearless_simd::u8x64;

use super::BLOCK;

/// One bit for each byte of a block that ends a piece of text, a quote or a backslash.
pub(super) struct Ends {
    /// In words of eight bytes, the first byte's bit lowest, and a word of none behind them.
    bits: [[u8; 8]; WORDS + 1],
    /// One bit for each word that has a bit, the first word's highest.
    used: u64,
}

const WORDS: usize = BLOCK / 64;
const _: () = assert!(
    WORDS == u64::BITS as usize,
    "one word says which words are used"
);

/// What a pass over a block tells of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Bytes {
    /// There is nothing but ASCII, and no control character.
    pub(super) ascii: bool,
    /// There may be a control character.
    pub(super) controls: bool,
}

impl Ends {
    pub(super) fn new() -> Ends {
        Ends {
            bits: [[0; 8]; WORDS + 1],
            used: 0,
        }
    }

    /// Reads a block, of [`BLOCK`] bytes at most.
    #[inline(always)]
    pub(super) fn read<S: Simd>(&mut self, simd: S, block: &[u8]) -> Bytes {
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
        Bytes {
            ascii: most < 0x60,
            controls: most >= 0xe0,
        }
    }

    /// Where the first one is at or after `at`, by the same count.
    #[inline(always)]
    pub(super) fn next(&self, at: usize) -> Option<usize> {
        // The bits of 57 bytes or more from `at`, wherever they begin: most short texts end in them,
        // so the branch is foreseen whatever their length.
        let bits = self.bits.as_flattened().get(at / 8..)?.first_chunk()?;
        let window = u64::from_le_bytes(*bits) >> (at % 8);
        if window != 0 {
            return Some(at + window.trailing_zeros() as usize);
        }
        let word = at / 64;
        // Which of the other words comes next is read, not looked for: a loop that ends after each
        // text's own number of words would be foreseen wrongly once for each.
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
    /// As [`Ends::used`], the last word's bit lowest.
    used: u64,
    words: u32,
}

impl<S: Simd> Seen<S> {
    #[inline(always)]
    fn ends(&mut self, simd: S, chunk: &[u8; 64]) -> u64 {
        let bytes = u8x64::from_slice(simd, chunk);
        self.most = self.most.max(bytes - 0x20);
        let ends = (bytes.simd_eq(b'"') | bytes.simd_eq(b'\\')).to_bitmask();
        // Without a branch: which words have ends cannot be foreseen.
        self.used = self.used << 1 | u64::from(ends != 0);
        self.words += 1;
        ends
    }
}

#[cfg(test)]
mod tests {
    use fearless_simd::{Level, dispatch};
    use proptest::prelude::{ProptestConfig, any, proptest};

    use super::{BLOCK, Ends};

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
                let mut ends = Ends::new();
                // What a longer block left behind is gone.
                dispatch!(level, simd => ends.read(simd, &[b'"'; BLOCK]));
                let bytes = dispatch!(level, simd => ends.read(simd, block));
                assert_eq!(bytes.ascii, block.iter().all(|b| (0x20..0x80).contains(b)));
                assert_eq!(bytes.controls, block.iter().any(|b| *b < 0x20));
                for at in (0..=length).step_by(7).chain([length]) {
                    let next = block[at..].iter().position(|b| b"\"\\".contains(b));
                    assert_eq!(ends.next(at), next.map(|o| at + o), "from {at}");
                }
            }
        }
    }
}
