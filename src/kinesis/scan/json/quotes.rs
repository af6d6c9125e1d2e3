//! Where texts end: three ways to find the next quote, for three kinds of block.

use memchr::{memchr, memchr2};
use wide::u8x16;

use super::BLOCK;

/// Finds the byte that ends a piece of text: a quote, or a backslash where there are any.
pub(super) trait Ends {
    /// Where the first one is at or after `at`, by the same count.
    fn next(&self, block: &[u8], at: usize) -> Option<usize>;
}

/// For long texts without escapes: 100 GB/s, but some nanoseconds for each text.
pub(super) struct Sparse;

/// For blocks with escapes.
pub(super) struct Escaped;

/// For short texts without escapes: one bit for each byte of a block that is a quote, made in one
/// pass over all of it at about 35 GB/s.
pub(super) struct Dense {
    words: [u64; WORDS],
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
    /// There is a backslash.
    pub(super) escapes: bool,
}

impl Bytes {
    /// `most` is the greatest byte less 0x20: of control characters that is 0xe0 or more, of what is
    /// not ASCII 0x60 or more.
    fn of(most: u8, escapes: bool) -> Bytes {
        Bytes {
            ascii: most < 0x60,
            controls: most >= 0xe0,
            escapes,
        }
    }
}

impl Ends for Sparse {
    #[inline]
    fn next(&self, block: &[u8], at: usize) -> Option<usize> {
        memchr(b'"', block.get(at..)?).map(|offset| at + offset)
    }
}

impl Ends for Escaped {
    #[inline]
    fn next(&self, block: &[u8], at: usize) -> Option<usize> {
        memchr2(b'"', b'\\', block.get(at..)?).map(|offset| at + offset)
    }
}

impl Ends for Dense {
    #[inline]
    fn next(&self, _: &[u8], at: usize) -> Option<usize> {
        let (word, shift) = (at / 64, at % 64);
        // The 64 bytes from `at`, out of two words: most short texts end in them, so the branch is
        // foreseen whatever their length.
        let (low, high) = (
            self.words.get(word)?,
            self.words.get(word + 1).copied().unwrap_or(0),
        );
        let window = low >> shift | high << 1 << (63 - shift);
        if window != 0 {
            return Some(at + window.trailing_zeros() as usize);
        }
        // Which of the other words comes next is read, not looked for: a loop that ends after each
        // text's own number of words would be foreseen wrongly once for each.
        let later = self.used.checked_shl(u32::try_from(word).ok()? + 1)?;
        let word = word + 1 + later.leading_zeros() as usize;
        Some(word * 64 + self.words.get(word)?.trailing_zeros() as usize)
    }
}

impl Dense {
    pub(super) fn new() -> Dense {
        Dense {
            words: [0; WORDS],
            used: 0,
        }
    }

    /// Reads a block, of [`BLOCK`] bytes at most.
    pub(super) fn read(&mut self, block: &[u8]) -> Bytes {
        let mut seen = Seen {
            most: u8x16::splat(0),
            backslash: u8x16::splat(0),
        };
        let (chunks, rest) = block.as_chunks::<64>();
        let (mut used, mut count) = (0u64, 0);
        let mut words = self.words.iter_mut();
        for (chunk, word) in chunks.iter().zip(&mut words) {
            *word = seen.quotes(chunk);
            // Without a branch: which words have quotes cannot be foreseen.
            used = used << 1 | u64::from(*word != 0);
            count += 1;
        }
        if !rest.is_empty() {
            let mut padded = [b' '; 64];
            padded
                .iter_mut()
                .zip(rest)
                .for_each(|(to, from)| *to = *from);
            if let Some(word) = words.next() {
                *word = seen.quotes(&padded);
                used = used << 1 | u64::from(*word != 0);
                count += 1;
            }
        }
        words.for_each(|word| *word = 0);
        self.used = used.checked_shl(u64::BITS - count).unwrap_or(0);
        seen.bytes()
    }
}

/// Tells of a block what [`Dense::read`] tells, without a map of its quotes: about 50 GB/s.
pub(super) fn classify(block: &[u8]) -> Bytes {
    Bytes::of(most(block), memchr(b'\\', block).is_some())
}

/// The greatest byte less 0x20. It is written so that the compiler makes it a loop over vectors: about 110 GB/s.
fn most(block: &[u8]) -> u8 {
    let (chunks, rest) = block.as_chunks::<64>();
    let mut most = [0u8; 64];
    for chunk in chunks {
        for (most, byte) in most.iter_mut().zip(chunk) {
            *most = byte.wrapping_sub(0x20).max(*most);
        }
    }
    let rest = rest.iter().map(|byte| byte.wrapping_sub(0x20));
    most.into_iter().chain(rest).fold(0, u8::max)
}

struct Seen {
    /// The greatest byte less 0x20, so that control characters count as the greatest.
    most: u8x16,
    backslash: u8x16,
}

impl Seen {
    #[inline]
    fn quotes(&mut self, chunk: &[u8; 64]) -> u64 {
        let (lanes, _) = chunk.as_chunks::<16>();
        let mut bits = 0;
        for (index, lane) in lanes.iter().enumerate() {
            let lane = u8x16::new(*lane);
            bits |= u64::from(lane.simd_eq(u8x16::splat(b'"')).to_bitmask() as u16) << (16 * index);
            self.backslash |= lane.simd_eq(u8x16::splat(b'\\'));
            self.most = self.most.max(lane - u8x16::splat(0x20));
        }
        bits
    }

    fn bytes(&self) -> Bytes {
        let most = self.most.to_array().into_iter().fold(0, u8::max);
        Bytes::of(most, self.backslash.to_bitmask() != 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, proptest};

    use super::{BLOCK, Dense, Ends, Escaped, Sparse, classify};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn all_ways_agree(
            sparse in proptest::collection::vec((0..BLOCK, any::<u8>()), 0..6),
            quotes in proptest::collection::vec(0..BLOCK, 0..40),
            length in 0..=BLOCK,
        ) {
            let mut block = vec![b'a'; BLOCK];
            quotes.iter().for_each(|at| block[*at] = b'"');
            sparse.iter().for_each(|(at, byte)| block[*at] = *byte);
            let block = &block[..length];
            let mut dense = Dense::new();
            let bytes = dense.read(block);
            assert!(bytes == classify(block));
            assert_eq!(bytes.ascii, block.iter().all(|b| (0x20..0x80).contains(b)));
            assert_eq!(bytes.controls, block.iter().any(|b| *b < 0x20));
            assert_eq!(bytes.escapes, block.contains(&b'\\'));
            for at in (0..=length).step_by(7).chain([length]) {
                let next = |wanted: &[u8]| block[at..].iter().position(|b| wanted.contains(b)).map(|o| at + o);
                assert_eq!(dense.next(block, at), next(b"\""), "dense from {at}");
                assert_eq!(Sparse.next(block, at), next(b"\""), "sparse from {at}");
                assert_eq!(Escaped.next(block, at), next(b"\"\\"), "escaped from {at}");
            }
        }
    }
}
