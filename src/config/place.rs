//! Where the values of a configuration stand, to name an error's line, column and path.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use toml_span::value::ValueInner;
use toml_span::{Error, ErrorKind, Span, Value};

use super::{Problem, Problems};

/// Says of each problem of the configuration `file` that names a value by its path where that value
/// stands in `text`: what `app` finds wrong has no other way to know its line.
pub fn locate(mut problems: Problems, text: &str, file: &Path) -> Problems {
    let Ok(value) = toml_span::parse(text) else {
        return problems;
    };
    let places = Places::of(&value);
    for problem in &mut problems.0 {
        if problem.file == file && problem.position.is_none() && !problem.path.is_empty() {
            let span = places.span(&problem.path);
            problem.position = span.map(|span| line_and_column(text, span.start));
        }
    }
    problems
}

/// A policy document that a configuration names, whatever else is wrong with the configuration.
pub struct NamedDocument {
    /// Where the configuration names it, `endpoint[0].policy`.
    pub path: String,
    /// Joined with the configuration's folder.
    pub file: PathBuf,
    /// Whether it is an identity policy.
    pub identity: bool,
}

/// The policy documents that a configuration names; none where it is no TOML.
pub fn named_documents(text: &str, file: &Path) -> Vec<NamedDocument> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let Ok(value) = toml_span::parse(text) else {
        return Vec::new();
    };
    let named = [
        ("endpoint", "policy", false),
        ("endpoint", "candidate", false),
        ("identity-policy", "file", true),
    ];
    named
        .iter()
        .flat_map(|(table, key, identity)| {
            let tables = value
                .as_table()
                .and_then(|root| root.get(*table)?.as_array());
            let tables = tables.into_iter().flatten().enumerate();
            tables.filter_map(move |(n, each)| {
                let name = each.as_table()?.get(*key)?.as_str()?;
                Some(NamedDocument {
                    path: format!("{table}[{n}].{key}"),
                    file: folder.join(name),
                    identity: *identity,
                })
            })
        })
        .collect()
}

/// Where every value of the file stands, to name an error's path.
#[derive(Default)]
pub(super) struct Places(Vec<(usize, usize, String)>);

impl Places {
    pub(super) fn of(value: &Value<'_>) -> Places {
        let mut places = Places::default();
        places.walk(value, String::new());
        places
    }

    /// Where the value of that path stands, or what comes nearest to holding it.
    pub(super) fn span(&self, path: &str) -> Option<Span> {
        let exact = self.0.iter().rfind(|(_, _, known)| known == path);
        match exact {
            Some((start, end, _)) => Some(Span::new(*start, *end)),
            None => self.span(path.rsplit_once(['.', '['])?.0),
        }
    }

    fn walk(&mut self, value: &Value<'_>, path: String) {
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
