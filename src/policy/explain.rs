//! Explanations of a decision: why each statement of a policy did or did not match, for people.

use crate::policy::request::{Fact, Request, Value};
use crate::policy::statement::Statement;
use crate::policy::ternary::Match;
use crate::policy::value_text::ValueText;
use crate::policy::{Effect, Key, Policy, StatementId};

/// How one statement matched one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The statement.
    pub statement: StatementId,
    /// Its effect.
    pub effect: Effect,
    /// All elements together.
    pub result: Match,
    /// Principal or NotPrincipal.
    pub principal: Match,
    /// Action or NotAction.
    pub action: Match,
    /// Resource or NotResource.
    pub resource: Match,
    /// Each condition, in the document's order.
    pub conditions: Vec<ConditionExplanation>,
}

/// How one condition matched one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionExplanation {
    /// The operator, with its prefix and suffix.
    pub operator: String,
    /// The key.
    pub key: String,
    /// The policy's values, as written.
    pub values: Vec<String>,
    /// The request's values.
    pub request: RequestValues,
    /// Whether the condition holds.
    pub result: Match,
}

/// The values of one condition key in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestValues {
    /// The key is absent.
    Absent,
    /// Neither the key's presence nor its value can be known.
    Unknown,
    /// The key is present; its value cannot be known.
    Opaque,
    /// The key has these values.
    Known(Vec<String>),
}

impl Policy {
    /// Explains why each statement did or did not match. Allocates: not for the hot path.
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
        result: statement.matches(id, request).0,
        principal: statement.principal.matches(&request.principal),
        action: statement.match_action(&request.action),
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
                request: request_values(condition.key.key(), request),
                result: condition.matches(request.context),
            })
            .collect(),
    }
}

fn request_values(key: Key<'_>, request: &Request<'_>) -> RequestValues {
    match request.context.value(key) {
        Fact::Absent => RequestValues::Absent,
        Fact::Unknown => RequestValues::Unknown,
        Fact::Known(Value::Many(values)) => {
            let values = (0..).map_while(|index| values.at(index));
            RequestValues::Known(values.map(str::to_owned).collect())
        }
        Fact::Known(value) => ValueText::of(value, key).map_or(RequestValues::Opaque, |text| {
            RequestValues::Known(vec![text.as_str().to_owned()])
        }),
    }
}
