//! Where the values of a configuration stand, to name an error's line, column and path.

use std::fmt::Display;
use std::path::Path;

use toml_span::value::ValueInner;
use toml_span::{Error, ErrorKind, Value};

use super::Problem;

/// Where every value of the file stands, to name an error's path.
#[derive(Default)]
pub(super) struct Places(Vec<(usize, usize, String)>);

impl Places {
    pub(super) fn walk(&mut self, value: &Value<'_>, path: String) {
        match value.as_ref() {
            ValueInner::Table(table) => {
                for (key, inner) in table {
                    let dot = if path.is_empty() { "" } else { "." };
                    self.0.push((
                        key.span.start,
                        key.span.end,
                        format!("{path}{dot}{}", key.name),
                    ));
                    self.walk(inner, format!("{path}{dot}{}", key.name));
                }
            }
            ValueInner::Array(array) => {
                for (n, inner) in array.iter().enumerate() {
                    self.walk(inner, format!("{path}[{n}]"));
                }
            }
            _ => {}
        }
        self.0.push((value.span.start, value.span.end, path));
    }

    /// An error of the parser, in our words and with its place.
    pub(super) fn problems_of(&self, error: &Error, text: &str, file: &Path) -> Vec<Problem> {
        let problem = |span: toml_span::Span, message: &dyn Display| Problem {
            file: file.to_owned(),
            position: Some(line_and_column(text, span.start)),
            path: self.path(span).to_owned(),
            message: message.to_string(),
        };
        match &error.kind {
            ErrorKind::UnexpectedKeys { keys, expected } => keys
                .iter()
                .map(|(_, span)| {
                    let known = expected.join("`, `");
                    problem(*span, &format!("unknown key; known here are `{known}`"))
                })
                .collect(),
            ErrorKind::MissingField(name) => {
                vec![problem(error.span, &format!("`{name}` is missing"))]
            }
            ErrorKind::Wanted { expected, found } => {
                vec![problem(
                    error.span,
                    &format!("expected {expected}, found {found}"),
                )]
            }
            ErrorKind::Custom(message) => vec![problem(error.span, message)],
            kind => vec![problem(error.span, kind)],
        }
    }

    /// The path of the smallest value that holds the span.
    fn path(&self, span: toml_span::Span) -> &str {
        self.0
            .iter()
            .filter(|(start, end, _)| *start <= span.start && span.end <= *end)
            .min_by_key(|(start, end, path)| (end - start, usize::MAX - path.len()))
            .map_or("", |(_, _, path)| path)
    }
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |line| line.chars().count())
        + 1;
    (line, column)
}
