//! One decision, with the reasons of every statement.

use std::fmt;

use serde_json::{Value, json};

use super::given::Given;
use super::layer::{Document, Layer, LayerDecision, deciding, name};
use crate::policy::{ConditionExplanation, Effect, Explanation, Match, Outcome, Unknown};

/// A decision about one request, explained.
pub(super) struct Report<'l> {
    outcome: Outcome,
    endpoint: Option<LayerDecision<'l>>,
    identity: Option<LayerDecision<'l>>,
    statements: Vec<(&'l Document, Explanation)>,
}

impl<'l> Report<'l> {
    pub(super) fn of(
        endpoint: Option<&'l Layer>,
        identity: Option<&'l Layer>,
        given: &Given<'_>,
    ) -> Report<'l> {
        let decided = |layer: Option<&'l Layer>| layer.map(|layer| layer.decide(given));
        let mut statements = Vec::new();
        for layer in [endpoint, identity].into_iter().flatten() {
            for document in &layer.documents {
                for request in given.requests() {
                    let explained = document.policy.explain(&request);
                    statements.extend(explained.into_iter().map(|one| (document, one)));
                }
            }
        }
        let (endpoint, identity) = (decided(endpoint), decided(identity));
        let last = deciding(endpoint.as_ref(), identity.as_ref());
        let outcome = last.map_or(Outcome::Allow, |last| last.decision.outcome);
        Report {
            outcome,
            endpoint,
            identity,
            statements,
        }
    }

    fn decided(&self) -> Option<&LayerDecision<'l>> {
        deciding(self.endpoint.as_ref(), self.identity.as_ref())
    }

    /// What could not be known, where that decided.
    fn unknown(&self) -> Option<String> {
        let decided = self.decided()?;
        Some(match decided.decision.unknown? {
            Unknown::Principal => "who asks".into(),
            Unknown::Resource => "which resource it is".into(),
            Unknown::Action => "which action it is".into(),
            Unknown::Key(id) => decided.by?.policy.condition_key(id)?.to_string(),
        })
    }

    pub(super) fn to_json(&self) -> Value {
        let named = |layer: &Option<LayerDecision<'_>>| layer.as_ref().map(LayerDecision::name);
        let by = self.decided().and_then(|decided| {
            let document = decided.by?;
            let label = document.policy.statement(decided.decision.statement?);
            Some(json!({
                "policy": document.name, "statement": label.to_string(), "line": label.line,
            }))
        });
        json!({
            "endpoint": named(&self.endpoint).unwrap_or("allow"),
            "identity": named(&self.identity),
            "final": name(self.outcome),
            "by": by,
            "unknown": self.unknown(),
            "statements": self.statements.iter().map(statement_json).collect::<Vec<_>>(),
        })
    }
}

fn statement_json((document, one): &(&Document, Explanation)) -> Value {
    let label = document.policy.statement(one.statement);
    json!({
        "policy": document.name,
        "statement": label.to_string(),
        "line": label.line,
        "effect": effect(one.effect),
        "matches": word(one.found),
        "principal": word(one.principal),
        "action": word(one.action),
        "resource": word(one.resource),
        "conditions": one.conditions.iter().map(|condition| json!({
            "operator": condition.operator,
            "key": condition.key,
            "values": condition.values,
            "request": condition.request,
            "matches": word(condition.found),
        })).collect::<Vec<_>>(),
    })
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", name(self.outcome))?;
        let decided = self.decided();
        let by = decided.and_then(|one| Some((one.by?, one.decision.statement?)));
        match (by, self.outcome) {
            (Some((document, id)), outcome) => {
                let label = document.policy.statement(id);
                let how = if outcome == Outcome::ImplicitDeny {
                    " despite"
                } else {
                    " by"
                };
                write!(
                    f,
                    "{how} statement {label}, line {} of {}",
                    label.line, document.name
                )?;
            }
            (None, Outcome::ImplicitDeny) => f.write_str(": no statement allows it")?,
            (None, _) => f.write_str(": no policy is attached")?,
        }
        if let Some(unknown) = self.unknown() {
            write!(
                f,
                ", because it cannot be known or told for sure: {unknown}"
            )?;
        }
        writeln!(f)?;
        for (document, one) in &self.statements {
            let label = document.policy.statement(one.statement);
            writeln!(
                f,
                "  {}:{} {} {label}: {}",
                document.name,
                label.line,
                effect(one.effect),
                verb(one.found)
            )?;
            let elements = [
                ("principal", one.principal),
                ("action", one.action),
                ("resource", one.resource),
            ];
            for (element, found) in elements {
                writeln!(f, "    {element}: {}", verb(found))?;
            }
            for condition in &one.conditions {
                writeln!(f, "    {}", Line(condition))?;
            }
        }
        Ok(())
    }
}

struct Line<'c>(&'c ConditionExplanation);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConditionExplanation {
            operator,
            key,
            values,
            request,
            found,
        } = self.0;
        let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
        let values = values.join(", ");
        write!(
            f,
            "{operator} {key} [{values}]: {}; the request has {request}",
            verb(*found)
        )
    }
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "Allow",
        Effect::Deny => "Deny",
    }
}

fn word(found: Match) -> &'static str {
    match found {
        Match::Yes => "yes",
        Match::No => "no",
        Match::Maybe => "maybe",
    }
}

fn verb(found: Match) -> &'static str {
    match found {
        Match::Yes => "matches",
        Match::No => "does not match",
        Match::Maybe => "may match",
    }
}
