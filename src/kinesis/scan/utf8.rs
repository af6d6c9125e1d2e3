//! UTF-8 validation of text that arrives in pieces.

use super::malformed::{MalformedBody, Result};

/// Validates text piece by piece.
#[derive(Default)]
pub(super) struct Utf8Validator {
    /// The first bytes of a character that has not arrived completely.
    partial: [u8; 4],
    len: u8,
}

impl Utf8Validator {
    /// Validates the next piece.
    pub(super) fn push(&mut self, mut piece: &[u8]) -> Result<()> {
        while self.len > 0 {
            let Some((byte, rest)) = piece.split_first() else {
                return Ok(());
            };
            piece = rest;
            let at = usize::from(self.len);
            if let Some(slot) = self.partial.get_mut(at) {
                *slot = *byte;
            }
            match std::str::from_utf8(self.partial.get(..=at).unwrap_or_default()) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_none() && at < 3 => self.len += 1,
                Err(_) => return Err(MalformedBody::InvalidUtf8),
            }
        }
        match std::str::from_utf8(piece) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                let partial = piece.get(error.valid_up_to()..).unwrap_or_default();
                for (slot, byte) in self.partial.iter_mut().zip(partial) {
                    *slot = *byte;
                }
                // At most three bytes: four would be whole or invalid.
                self.len = u8::try_from(partial.len()).unwrap_or(4);
                Ok(())
            }
            Err(_) => Err(MalformedBody::InvalidUtf8),
        }
    }

    /// Checks that the last character is complete, as before ASCII and at the end of the text.
    pub(super) fn finish(&self) -> Result<()> {
        if self.len == 0 {
            Ok(())
        } else {
            Err(MalformedBody::InvalidUtf8)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, proptest};

    use super::Utf8Validator;

    fn valid(pieces: &[&[u8]]) -> bool {
        let mut utf8 = Utf8Validator::default();
        pieces.iter().all(|piece| utf8.push(piece).is_ok()) && utf8.finish().is_ok()
    }

    #[test]
    fn every_cut_of_every_length() {
        let text = "a\u{e9}\u{20ac}\u{1f600}z".as_bytes();
        for first in 0..=text.len() {
            for second in first..=text.len() {
                assert!(valid(&[
                    &text[..first],
                    &text[first..second],
                    &text[second..]
                ]));
            }
        }
        assert!(!valid(&[b"\xe2\x82"]));
        assert!(!valid(&[b"\xe2", b"\x82", b"a"]));
        assert!(!valid(&[b"\xed", b"\xa0\x80"]));
        assert!(!valid(&[b"\xf4", b"\x90", b"\x80\x80"]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn pieces_agree_with_the_whole(
            bytes in proptest::collection::vec(proptest::prop_oneof![
                any::<u8>(), 0x80u8..0xc0, 0xe0u8..0xf5, proptest::strategy::Just(b'a')
            ], 0..12),
            cut in 0usize..12,
        ) {
            let cut = cut.min(bytes.len());
            let whole = std::str::from_utf8(&bytes).is_ok();
            assert_eq!(valid(&[&bytes[..cut], &bytes[cut..]]), whole);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(valid(&single), whole);
        }
    }
}
