//! Splitting text at separators.

use memchr::memchr_iter;

/// Splits like `str::split`, which starts a new search for each part: in a header of a few short
/// parts, that costs a third of the parsing.
///
/// INVARIANT: `separator` is ASCII, so that every part is valid UTF-8.
pub(super) fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let ends = memchr_iter(separator, text.as_bytes()).chain([text.len()]);
    let mut start = 0;
    ends.map(move |end| {
        let piece = text.get(start..end).unwrap_or_default();
        start = end + 1;
        piece
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::split;

    proptest! {
        #[test]
        fn agrees_with_str_split(text in "[a/é]{0,12}") {
            assert!(split(&text, b'/').eq(text.split('/')));
        }
    }
}
