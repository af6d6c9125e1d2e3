//! Why each statement of a policy did or did not match, for people.

use crate::policy::request::{Fact, Request, Value};
use crate::policy::statement::Statement;
use crate::policy::ternary::Match;
use crate::policy::value_text::ValueText;
use crate::policy::{Effect, Policy, StatementId};

/// How one statement met one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Which statement.
    pub statement: StatementId,
    /// What it does with what it matches.
    pub effect: Effect,
    /// All parts together.
    pub found: Match,
    /// Principal or NotPrincipal.
    pub principal: Match,
    /// Action or NotAction.
    pub action: Match,
    /// Resource or NotResource.
    pub resource: Match,
    /// Each condition, in the document's order.
    pub conditions: Vec<ConditionExplanation>,
}

/// How one condition met one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionExplanation {
    /// The operator, with its prefix and suffix.
    pub operator: String,
    /// The key.
    pub key: String,
    /// The policy's values, as written.
    pub values: Vec<String>,
    /// What the request has.
    pub request: Requested,
    /// Whether it holds.
    pub found: Match,
}

/// What a request has of one condition key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requested {
    /// No such key.
    Absent,
    /// It cannot be known whether the key is there, nor its value.
    Unknown,
    /// The key is there; its value cannot be known.
    Opaque,
    /// These values; of a key with one value, this one.
    Values(Vec<String>),
}

impl Policy {
    /// Tells of every statement why it did or did not match. Allocates; not for the hot path.
    #[must_use]
    pub fn explain(&self, request: &Request<'_>) -> Vec<Explanation> {
        self.statements
            .iter()
            .zip(0..)
            .map(|(statement, id)| explain(StatementId(id), statement, request))
            .collect()
    }
}

fn explain(id: StatementId, statement: &Statement, request: &Request<'_>) -> Explanation {
    Explanation {
        statement: id,
        effect: statement.effect,
        found: statement.matches(id, request).0,
        principal: statement.principal.matches(&request.principal),
        action: statement.action(&request.action),
        resource: statement
            .resources
            .matches(&request.resource, statement.effect, request.context),
        conditions: statement
            .conditions
            .iter()
            .map(|condition| ConditionExplanation {
                operator: condition.operator.to_string(),
                key: condition.key.key().to_string(),
                values: condition
                    .source_values
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
                request: requested(condition.key.key(), request),
                found: condition.matches(request.context),
            })
            .collect(),
    }
}

fn requested(key: crate::policy::Key<'_>, request: &Request<'_>) -> Requested {
    match request.context.value(key) {
        Fact::Absent => Requested::Absent,
        Fact::Unknown => Requested::Unknown,
        Fact::Known(Value::Many(values)) => {
            let mut listed = Vec::new();
            while let Some(text) = values.at(listed.len()) {
                listed.push(text.to_owned());
            }
            Requested::Values(listed)
        }
        Fact::Known(value) => ValueText::of(value, key).map_or(Requested::Opaque, |text| {
            Requested::Values(vec![text.as_str().to_owned()])
        }),
    }
}
