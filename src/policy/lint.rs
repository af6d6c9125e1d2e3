//! Lint: warnings about a document that loads but probably does not do what its author intends.
//!
//! Each warning has a stable code, a reason and a fix; `docs/policy-language.md` lists them.

mod conditions;
mod context;
mod resource;
mod statement;

use crate::policy::diagnostic::{Diagnostic, Problem};
use crate::policy::document::compile::compile_statements;
use crate::policy::document::json;
use crate::policy::document::options::Options;
use crate::policy::document::reporter::Reporter;
use crate::policy::document::sid;
use context::LintContext;
pub use context::Listener;

/// All errors of a document, or all warnings if it has no errors.
#[must_use]
pub fn lint(text: &str, options: &Options<'_>, listener: Option<&Listener<'_>>) -> Vec<Diagnostic> {
    let root = match json::read(text) {
        Ok(root) => root,
        Err(diagnostics) => return diagnostics,
    };
    let (statements, variables) = match compile_statements(text, &root, options) {
        Ok(compiled) => compiled,
        Err(diagnostics) => return diagnostics,
    };
    let Some(element) = root.member("Statement") else {
        return Vec::new();
    };
    let context = LintContext {
        options,
        variables,
        listener,
        statements: &statements,
    };
    let mut reporter = Reporter::new(text);
    reporter.enter("Statement", |reporter| {
        let nodes = element.one_or_many().iter();
        for (index, (node, statement)) in nodes.zip(&statements).enumerate() {
            match element.list() {
                Some(_) => reporter.enter_index(index, |reporter| {
                    context.check_statement(node, statement, reporter);
                }),
                None => context.check_statement(node, statement, reporter),
            }
        }
        for (sid, at) in sid::duplicates(element) {
            let message = format!("the Sid `{sid}` is given twice; decisions name it");
            let problem = Problem::new("duplicate-sid", message);
            reporter.warn(at, problem.fix("give every statement its own"));
        }
    });
    reporter.diagnostics
}
