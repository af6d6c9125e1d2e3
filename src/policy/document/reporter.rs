//! The reporter of diagnostics, which tracks the JSON path being read.

use std::fmt::Write as _;

use crate::policy::diagnostic::{Diagnostic, Level, LineIndex, Problem};
use crate::policy::document::json::{Node, NodeKind};

/// The most diagnostics. The cap limits the cost of a document full of errors.
const MAX_DIAGNOSTICS: usize = 200;

/// Collects diagnostics with their positions.
pub(in crate::policy) struct Reporter<'t> {
    lines: LineIndex<'t>,
    path: String,
    pub(in crate::policy) diagnostics: Vec<Diagnostic>,
}

impl<'t> Reporter<'t> {
    pub(in crate::policy) fn new(text: &'t str) -> Reporter<'t> {
        Reporter {
            lines: LineIndex::new(text),
            path: String::from("$"),
            diagnostics: Vec::new(),
        }
    }

    /// Runs `inside` with the member `name` added to the path.
    pub(in crate::policy) fn enter(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        let outer = self.path.len();
        self.path.push('.');
        self.path.push_str(name);
        inside(self);
        self.path.truncate(outer);
    }

    /// Runs `inside` with an index added to the path.
    pub(in crate::policy) fn enter_index(&mut self, index: usize, inside: impl FnOnce(&mut Self)) {
        let outer = self.path.len();
        let _ = write!(self.path, "[{index}]");
        inside(self);
        self.path.truncate(outer);
    }

    /// Visits a string, or each string of a list, with its offset. Other types are errors.
    pub(in crate::policy) fn each_string(
        &mut self,
        node: &Node<'_>,
        mut visit: impl FnMut(&mut Self, usize, &str),
    ) {
        match &node.kind {
            NodeKind::String(text) => visit(self, node.start, text),
            NodeKind::List(nodes) => {
                for (index, node) in nodes.iter().enumerate() {
                    self.enter_index(index, |reporter| match node.text() {
                        Some(text) => visit(reporter, node.start, text),
                        None => reporter.wrong_type(node, "a string"),
                    });
                }
            }
            _ => self.wrong_type(node, "a string or a list of strings"),
        }
    }

    pub(in crate::policy) fn error(&mut self, at: usize, problem: Problem) {
        self.report(Level::Error, at, problem);
    }

    pub(in crate::policy) fn warn(&mut self, at: usize, problem: Problem) {
        self.report(Level::Warning, at, problem);
    }

    pub(in crate::policy) fn wrong_type(&mut self, node: &Node<'_>, expected: &str) {
        let message = format!("{expected} is expected here, not {}", node.describe());
        self.error(node.start, Problem::new("wrong-type", message));
    }

    /// The line of a byte offset, counted from 1.
    pub(in crate::policy) fn line(&self, offset: usize) -> u32 {
        self.lines.line(offset)
    }

    fn report(&mut self, level: Level, at: usize, problem: Problem) {
        if self.diagnostics.len() < MAX_DIAGNOSTICS {
            let position = self.lines.position(at);
            self.diagnostics
                .push(problem.at(level, position, self.path.clone()));
        }
    }
}
