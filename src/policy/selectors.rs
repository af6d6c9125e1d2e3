//! Selectors: patterns of actions and of resources, for rules outside of a policy (rate limits).

use crate::policy::action::ActionPattern;
use crate::policy::diagnostic::Problem;
use crate::policy::request::{Action, Arn, EmptyContext};
use crate::policy::resource::ResourcePattern;
use crate::policy::ternary::Match;

/// A pattern of actions, as in an Action element: `kinesis:PutRecord*`.
#[derive(Clone, Debug)]
pub struct ActionSelector(ActionPattern);

/// A pattern of resources, as in a Resource element: `*`, or an ARN with wildcards.
#[derive(Clone, Debug)]
pub struct ResourceSelector(ResourcePattern);

impl ActionSelector {
    /// Parses a pattern.
    ///
    /// # Errors
    /// A sentence that says what to write.
    pub fn parse(text: &str) -> Result<ActionSelector, String> {
        ActionPattern::parse(text)
            .map(ActionSelector)
            .map_err(Problem::into_sentence)
    }

    /// Whether the pattern matches `action`.
    #[must_use]
    pub fn matches(&self, action: &Action<'_>) -> bool {
        self.0.matches(action.service, action.name)
    }
}

impl ResourceSelector {
    /// Parses a pattern. Policy variables are plain text.
    ///
    /// # Errors
    /// A sentence that says what to write.
    pub fn parse(text: &str) -> Result<ResourceSelector, String> {
        ResourcePattern::parse(text, false)
            .map(ResourceSelector)
            .map_err(Problem::into_sentence)
    }

    /// Whether the pattern matches `arn`.
    #[must_use]
    pub fn matches(&self, arn: &Arn<'_>) -> Match {
        self.0.matches(arn, false, &EmptyContext)
    }
}
