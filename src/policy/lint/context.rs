//! The context of the lint rules: the document, the listener, and problems of several elements.

use crate::policy::Effect;
use crate::policy::condition::arn::segments;
use crate::policy::condition_key::Key;
use crate::policy::diagnostic::Problem;
use crate::policy::document::options::{Attachment, Options};
use crate::policy::document::reporter::Reporter;
use crate::policy::statement::Statement;

/// The facts that the listener of a policy can know.
#[derive(Clone, Copy)]
pub struct Listener<'a> {
    /// Whether the listener can know a condition key, or that the key is absent.
    pub knows: &'a dyn Fn(Key<'_>) -> bool,
    /// Whether the listener can know the ARN of the caller's user, role or session.
    pub knows_principal_arn: bool,
}

/// One document under lint.
pub(in crate::policy) struct LintContext<'d> {
    pub(in crate::policy) options: &'d Options<'d>,
    /// The document's version has variables.
    pub(in crate::policy) variables: bool,
    pub(in crate::policy) listener: Option<&'d Listener<'d>>,
    pub(in crate::policy) statements: &'d [Statement],
}

impl LintContext<'_> {
    pub(in crate::policy) fn is_endpoint(&self) -> bool {
        self.options.attachment == Attachment::Endpoint
    }

    /// Warns of a variable in a document whose version has none.
    pub(in crate::policy) fn check_variables(
        &self,
        at: usize,
        text: &str,
        reporter: &mut Reporter<'_>,
    ) {
        if !self.variables && text.contains("${") {
            let message = "without `\"Version\":\"2012-10-17\"` a variable is plain text";
            let problem = Problem::new("variable-version", message);
            reporter.warn(at, problem.fix("add the version"));
        }
    }

    /// Warns of an ARN whose account has both digits and wildcards.
    pub(in crate::policy) fn check_account(
        &self,
        at: usize,
        arn: &str,
        reporter: &mut Reporter<'_>,
    ) {
        let is_mixed = segments(arn, self.variables).is_some_and(|[_, _, _, _, account, _]| {
            account.contains(['*', '?']) && account.contains(|c: char| c.is_ascii_alphanumeric())
        });
        if self.is_endpoint() && is_mixed {
            let message = format!("`{arn}`: AWS takes an account id or a wildcard, not both");
            let problem = Problem::new("account-wildcard", message);
            reporter.warn(at, problem.fix("write the account id in full, or `*`"));
        }
    }
}

/// The problem of an unknowable fact in a statement.
pub(in crate::policy) fn unknowable(what: &str, effect: Effect) -> Problem {
    let consequence = match effect {
        Effect::Allow => "an Allow that depends on it never applies",
        Effect::Deny => "a Deny that depends on it applies whatever it is",
    };
    let message = format!("this listener cannot know {what}: {consequence}");
    Problem::new("unknowable", message)
        .fix("state it in the configuration, or let the gate authenticate its callers")
}

pub(in crate::policy) fn never_matches(why: &str) -> Problem {
    let message = format!("the statement can never match: {why}");
    Problem::new("never-matches", message)
}
