//! Diagnostics: the errors and warnings about a policy document, each with its position.

use std::fmt;

/// The severity of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The document loads, but probably does not do what its author intends.
    Warning,
    /// The document is refused.
    Error,
}

/// One error or warning about a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable name of the rule, `missing-principal`.
    pub code: &'static str,
    /// Error or warning.
    pub level: Level,
    /// Line of the document, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
    /// JSON path, `$.Statement[0].Action`.
    pub path: String,
    /// The problem, and its consequence.
    pub message: String,
    /// The suggested replacement.
    pub fix: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic {
            line,
            column,
            path,
            message,
            ..
        } = self;
        write!(f, "line {line}, column {column}: {path}: {message}")?;
        if let Some(fix) = &self.fix {
            write!(f, "; {fix}")?;
        }
        write!(f, " [{}]", self.code)
    }
}

/// A diagnostic before it has a level and a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    code: &'static str,
    message: String,
    fix: Option<String>,
}

impl Problem {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Problem {
        Problem {
            code,
            message: message.into(),
            fix: None,
        }
    }

    /// Adds a suggested replacement.
    pub(super) fn fix(mut self, fix: impl Into<String>) -> Problem {
        self.fix = Some(fix.into());
        self
    }

    /// The message and the fix, without the code.
    pub(super) fn into_sentence(self) -> String {
        match self.fix {
            Some(fix) => format!("{}; {fix}", self.message),
            None => self.message,
        }
    }

    /// The diagnostic of this problem at the value of `path`.
    pub(super) fn at(self, level: Level, (line, column): (u32, u32), path: String) -> Diagnostic {
        let Problem { code, message, fix } = self;
        Diagnostic {
            code,
            level,
            line,
            column,
            path,
            message,
            fix,
        }
    }
}

/// The offset of each line of a text.
#[derive(Clone, Debug)]
pub(super) struct LineIndex<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> LineIndex<'t> {
    pub(super) fn new(text: &'t str) -> LineIndex<'t> {
        let mut starts = vec![0];
        starts.extend(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1));
        LineIndex { text, starts }
    }

    /// The line and the column of a byte offset, both counted from 1.
    pub(super) fn position(&self, offset: usize) -> (u32, u32) {
        let line = self.line(offset);
        let start = self.starts.get(line as usize - 1).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or("");
        (line, saturate(before.chars().count() + 1))
    }

    /// The line of a byte offset, counted from 1.
    pub(super) fn line(&self, offset: usize) -> u32 {
        saturate(self.starts.partition_point(|&start| start <= offset).max(1))
    }
}

fn saturate(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::LineIndex;

    #[test]
    fn positions_count_characters_from_one() {
        let lines = LineIndex::new("a\nböc\n");
        assert_eq!(lines.position(0), (1, 1));
        assert_eq!(lines.position(2), (2, 1));
        assert_eq!(lines.position(5), (2, 3));
        assert_eq!(lines.position(7), (3, 1));
    }
}
