//! A JSON reader for documents that people write: it keeps positions and refuses what parsers
//! read differently (duplicate names, lone surrogates, a byte-order mark, text after the end).

mod reader;

use std::borrow::Cow;

use crate::policy::diagnostic::{Diagnostic, LineIndex};
use reader::Reader;

/// Deepest nesting that is read; a policy needs six.
pub const MAX_DEPTH: usize = 32;

/// One value, and where its text begins and ends.
#[derive(Clone, Debug)]
pub struct Node<'t> {
    /// What it is.
    pub kind: NodeKind<'t>,
    /// Offset of its first byte.
    pub start: usize,
    /// Offset after its last byte.
    pub end: usize,
}

/// The value itself.
#[derive(Clone, Debug)]
pub enum NodeKind<'t> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as written.
    Number(&'t str),
    /// A string, unescaped.
    String(Cow<'t, str>),
    /// A list.
    List(Vec<Node<'t>>),
    /// An object; names are unique.
    Map(Vec<Member<'t>>),
}

/// One member of an object.
#[derive(Clone, Debug)]
pub struct Member<'t> {
    /// Its name, unescaped.
    pub name: Cow<'t, str>,
    /// Offset of the name's opening quote.
    pub start: usize,
    /// Its value.
    pub value: Node<'t>,
}

impl<'t> Node<'t> {
    /// The member of that name, if this is an object that has it.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Node<'t>> {
        match &self.kind {
            NodeKind::Map(members) => members
                .iter()
                .find(|member| member.name == name)
                .map(|member| &member.value),
            _ => None,
        }
    }

    /// The text, if this is a string.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::String(text) => Some(text),
            _ => None,
        }
    }

    /// The elements, if this is a list.
    #[must_use]
    pub fn list(&self) -> Option<&[Node<'t>]> {
        match &self.kind {
            NodeKind::List(nodes) => Some(nodes),
            _ => None,
        }
    }

    /// What sort of value it is, for messages.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match self.kind {
            NodeKind::Null => "null",
            NodeKind::Bool(_) => "a boolean",
            NodeKind::Number(_) => "a number",
            NodeKind::String(_) => "a string",
            NodeKind::List(_) => "a list",
            NodeKind::Map(_) => "an object",
        }
    }
}

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

/// Reads one JSON text whose duplicate names only spoil the part that they stand in: they are
/// listed beside it.
///
/// # Errors
/// The first violation of the grammar.
pub fn read_with_duplicates(text: &str) -> Result<(Node<'_>, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut reader = Reader::of(text);
    let root = match reader.document() {
        Ok(root) => root,
        Err(fault) => return Err(vec![reader.diagnostic(&fault)]),
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
        let paths: Vec<_> = found.iter().map(|finding| finding.path.as_str()).collect();
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
