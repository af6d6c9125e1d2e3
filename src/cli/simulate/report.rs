//! One decision, with the reasons of every statement.

use std::fmt;

use serde_json::{Value, json};

use super::given::Given;
use super::layer::{Document, Layer, LayerDecision, deciding, name};
use super::written::{self, Written};
use crate::policy::{
    ConditionExplanation, Effect, Explanation, Match, Outcome, Requested, Unknown,
};

/// A decision about one request, explained.
pub(super) struct Report<'l> {
    outcome: Outcome,
    endpoint: Option<LayerDecision<'l>>,
    identity: Option<LayerDecision<'l>>,
    given: &'l Given<'l>,
    statements: Vec<Explained<'l>>,
}

/// One statement against one resource of the request.
struct Explained<'l> {
    document: &'l Document,
    /// As the document has it.
    written: Option<Written>,
    /// Which resource of the request.
    resource: usize,
    one: Explanation,
}

impl<'l> Report<'l> {
    pub(super) fn of(
        endpoint: Option<&'l Layer>,
        identity: Option<&'l Layer>,
        given: &'l Given<'l>,
    ) -> Report<'l> {
        let mut statements = Vec::new();
        for (resource, request) in given.requests().enumerate() {
            for layer in [endpoint, identity].into_iter().flatten() {
                for document in &layer.documents {
                    let text = document.text.as_deref().unwrap_or_default();
                    let mut written = written::statements(text).into_iter();
                    for one in document.policy.explain(&request) {
                        statements.push(Explained {
                            document,
                            written: written.next(),
                            resource,
                            one,
                        });
                    }
                }
            }
        }
        let decided = |layer: Option<&'l Layer>| layer.map(|layer| layer.decide(given));
        let (endpoint, identity) = (decided(endpoint), decided(identity));
        let last = deciding(endpoint.as_ref(), identity.as_ref());
        let outcome = last.map_or(Outcome::Allow, |last| last.decision.outcome);
        Report {
            outcome,
            endpoint,
            identity,
            given,
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
            "statements": self.statements.iter().map(|one| self.statement_json(one)).collect::<Vec<_>>(),
        })
    }

    fn statement_json(&self, explained: &Explained<'_>) -> Value {
        let Explained {
            document,
            resource,
            one,
            ..
        } = explained;
        let about = self.given.words().resources.get(*resource);
        let label = document.policy.statement(one.statement);
        json!({
            "policy": document.name,
            "about": about,
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
                "request": requested_json(&condition.request),
                "matches": word(condition.found),
            })).collect::<Vec<_>>(),
        })
    }
}

fn requested_json(request: &Requested) -> Value {
    match request {
        Requested::Absent => "absent".into(),
        Requested::Unknown => "unknown".into(),
        Requested::Opaque => "present".into(),
        Requested::Values(values) => json!(values),
    }
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
        let words = self.given.words();
        let mut about = None;
        for explained in &self.statements {
            let resource = words.resources.get(explained.resource);
            if let [_, _, ..] = words.resources.as_slice()
                && about != resource
            {
                writeln!(f, "  about {}:", quoted(resource.and_then(Option::as_ref)))?;
            }
            about = resource;
            self.write_statement(explained, f)?;
        }
        Ok(())
    }
}

impl Report<'_> {
    fn write_statement(
        &self,
        explained: &Explained<'_>,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        let Explained {
            document,
            written,
            resource,
            one,
        } = explained;
        let label = document.policy.statement(one.statement);
        writeln!(
            f,
            "  {}:{} {} {label}: {}",
            document.name,
            label.line,
            effect(one.effect),
            verb(one.found)
        )?;
        let words = self.given.words();
        let asked = words.resources.get(*resource).and_then(Option::as_ref);
        let elements = written.as_ref().map(|written| {
            [
                (&written.principal, one.principal, words.principal.as_ref()),
                (&written.action, one.action, Some(&words.action)),
                (&written.resource, one.resource, asked),
            ]
        });
        for (element, found, asked) in elements.into_iter().flatten() {
            let Some((name, value)) = element else {
                continue;
            };
            write!(f, "    {name} {value}: {}", verb(found))?;
            if found != Match::Yes {
                write!(f, "; the request has {}", quoted(asked))?;
            }
            writeln!(f)?;
        }
        for condition in &one.conditions {
            writeln!(f, "    {}", Line(condition))?;
        }
        Ok(())
    }
}

fn quoted(text: Option<&String>) -> String {
    text.map_or_else(
        || "one that is not known".into(),
        |text| format!("`{text}`"),
    )
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
        write!(f, "{operator} {key} [{values}]: {}; ", verb(*found))?;
        match request {
            Requested::Absent => f.write_str("the request has no such key"),
            Requested::Unknown => f.write_str("what the request has cannot be known"),
            Requested::Opaque => f.write_str("the request has a value that cannot be known"),
            Requested::Values(values) => {
                let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
                match values.as_slice() {
                    [only] => write!(f, "the request has {only}"),
                    values => write!(f, "the request has [{}]", values.join(", ")),
                }
            }
        }
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
