//! A JSON reader for hand-written documents: it keeps positions, and refuses text that parsers read
//! differently (duplicate names, lone surrogates, a byte-order mark, text after the end).
//!
//! Written by hand: `serde_json` keeps no positions and accepts duplicate names.

mod node;
mod reader;

use crate::policy::diagnostic::{Diagnostic, LineIndex};
pub use node::{Member, Node, NodeKind};
use reader::Reader;

/// Reads one JSON text.
///
/// # Errors
/// The first violation of the grammar, or every duplicate name where the grammar is kept.
pub fn read(text: &str) -> Result<Node<'_>, Vec<Diagnostic>> {
    let (root, duplicates) = read_with_duplicates(text)?;
    if duplicates.is_empty() {
        Ok(root)
    } else {
        Err(duplicates)
    }
}

/// Reads one JSON text, and returns its duplicate names too: for a text of several parts, in which
/// a duplicate name spoils only its own part.
///
/// # Errors
/// The first violation of the grammar.
pub fn read_with_duplicates(text: &str) -> Result<(Node<'_>, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut reader = Reader::new(text);
    let root = match reader.document() {
        Ok(root) => root,
        Err(error) => return Err(vec![reader.diagnostic(&error)]),
    };
    if reader.duplicates.is_empty() {
        return Ok((root, Vec::new()));
    }
    let lines = LineIndex::new(text);
    let duplicates = reader.duplicates.into_iter();
    let diagnostics = duplicates.map(|duplicate| duplicate.diagnostic(&lines));
    Ok((root, diagnostics.collect()))
}

#[cfg(test)]
mod tests {
    use super::{NodeKind, read};

    #[test]
    fn duplicate_names_are_found_after_unescaping_and_all_at_once() {
        let found = read(r#"{"a":1,"\u0061":2,"b":{"c":1,"c":2}}"#).expect_err("duplicates");
        let paths: Vec<_> = found
            .iter()
            .map(|diagnostic| diagnostic.path.as_str())
            .collect();
        assert_eq!(paths, ["$.b.c", "$.a"]);
    }

    #[test]
    fn what_parsers_read_differently_is_refused() {
        for text in [
            "",
            " ",
            "{} x",
            "\u{feff}{}",
            r#""\ud800""#,
            r#""\udc00\ud800""#,
            "\"\u{1}\"",
            "01",
            "1.",
            "-",
            "+1",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "nul",
            "'a'",
            r#""\x""#,
            "\"",
            "[",
            "{\"a\"}",
            "1e",
            r#""\u12""#,
            "// x\n{}",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
        assert!(read(&"[".repeat(10_000)).is_err());
    }

    #[test]
    fn strings_are_unescaped() {
        let node = read(r#""a\n\u00e9\ud83d\ude00\/""#).expect("valid");
        assert!(matches!(node.kind, NodeKind::String(text) if text == "a\né😀/"));
    }
}
