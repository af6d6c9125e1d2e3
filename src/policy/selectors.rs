//! Actions and resources, named as statements name them, for what else chooses requests by them.

use crate::policy::action::ActionPattern;
use crate::policy::diagnostic::Problem;
use crate::policy::request::{Action, Arn, EmptyContext};
use crate::policy::resource::ResourcePattern;
use crate::policy::ternary::Match;

/// Actions, as the Action element names them: `kinesis:PutRecord*`.
#[derive(Clone, Debug)]
pub struct NamedActions(ActionPattern);

/// Resources, as the Resource element names them: `*`, or an ARN with wildcards.
#[derive(Clone, Debug)]
pub struct NamedResources(ResourcePattern);

impl NamedActions {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A sentence that says what to write.
    pub fn parse(text: &str) -> Result<NamedActions, String> {
        ActionPattern::parse(text).map(NamedActions).map_err(said)
    }

    /// Whether an action is one of them.
    #[must_use]
    pub fn contain(&self, action: &Action<'_>) -> bool {
        self.0.matches(action.service, action.name)
    }
}

impl NamedResources {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A sentence that says what to write.
    pub fn parse(text: &str) -> Result<NamedResources, String> {
        ResourcePattern::compile(text, false)
            .map(NamedResources)
            .map_err(said)
    }

    /// Whether a resource is one of them.
    #[must_use]
    pub fn contain(&self, arn: &Arn<'_>) -> Match {
        self.0.matches(arn, false, &EmptyContext)
    }
}

fn said(problem: Problem) -> String {
    match problem.fix {
        Some(fix) => format!("{}; {fix}", problem.message),
        None => problem.message,
    }
}
