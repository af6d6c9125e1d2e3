//! The report of one decision, which explains every statement: explicit deny and implicit deny too.

use std::fmt;

use serde_json::{Value, json};

use crate::policy::{
    ConditionExplanation, Effect, Explanation, Match, Outcome, RequestValues, Unknown,
};

use super::layer::{Document, Layer, LayerDecision, deciding_layer, outcome_name};
use super::request::DescribedRequest;
use super::statement_text::{self, StatementText};

/// A decision about one request, explained.
pub(super) struct Report<'l> {
    outcome: Outcome,
    endpoint: Option<LayerDecision<'l>>,
    identity: Option<LayerDecision<'l>>,
    request: &'l DescribedRequest<'l>,
    statements: Vec<StatementReport<'l>>,
}

/// The report of one statement for one resource of the request.
struct StatementReport<'l> {
    document: &'l Document,
    text: Option<StatementText>,
    /// The index of the resource in the request.
    resource: usize,
    explanation: Explanation,
}

impl<'l> Report<'l> {
    pub(super) fn new(
        endpoint: Option<&'l Layer>,
        identity: Option<&'l Layer>,
        request: &'l DescribedRequest<'l>,
    ) -> Report<'l> {
        let mut statements = Vec::new();
        for (resource, policy_request) in request.policy_requests().enumerate() {
            for layer in [endpoint, identity].into_iter().flatten() {
                for document in &layer.documents {
                    let text = document.text.as_deref().unwrap_or_default();
                    let mut texts = statement_text::statements(text).into_iter();
                    for explanation in document.policy.explain(&policy_request) {
                        statements.push(StatementReport {
                            document,
                            text: texts.next(),
                            resource,
                            explanation,
                        });
                    }
                }
            }
        }
        let decide = |layer: Option<&'l Layer>| layer.map(|layer| layer.decide(request));
        let (endpoint, identity) = (decide(endpoint), decide(identity));
        let deciding = deciding_layer(endpoint.as_ref(), identity.as_ref());
        let outcome = deciding.map_or(Outcome::Allow, |it| it.decision.outcome);
        Report {
            outcome,
            endpoint,
            identity,
            request,
            statements,
        }
    }

    fn deciding_layer(&self) -> Option<&LayerDecision<'l>> {
        deciding_layer(self.endpoint.as_ref(), self.identity.as_ref())
    }

    /// The unknown fact that made the decision, for people.
    fn unknown(&self) -> Option<String> {
        let deciding = self.deciding_layer()?;
        Some(match deciding.decision.unknown? {
            Unknown::Principal => "who asks".into(),
            Unknown::Resource => "which resource it is".into(),
            Unknown::Action => "which action it is".into(),
            Unknown::Key(id) => deciding.document?.policy.condition_key(id)?.to_string(),
        })
    }

    pub(super) fn to_json(&self) -> Value {
        let named = |layer: &Option<LayerDecision<'_>>| layer.as_ref().map(LayerDecision::name);
        let by = self.deciding_layer().and_then(|deciding| {
            let document = deciding.document?;
            let label = document.policy.label(deciding.decision.statement?);
            Some(json!({
                "policy": document.name, "statement": label.to_string(), "line": label.line,
            }))
        });
        json!({
            "endpoint": named(&self.endpoint).unwrap_or("allow"),
            "identity": named(&self.identity),
            "final": outcome_name(self.outcome),
            "by": by,
            "unknown": self.unknown(),
            "statements": self.statements.iter().map(|it| self.statement_json(it)).collect::<Vec<_>>(),
        })
    }

    fn statement_json(&self, report: &StatementReport<'_>) -> Value {
        let StatementReport {
            document,
            resource,
            explanation,
            ..
        } = report;
        let about = self.request.text().resources.get(*resource);
        let label = document.policy.label(explanation.statement);
        json!({
            "policy": document.name,
            "about": about,
            "statement": label.to_string(),
            "line": label.line,
            "effect": effect(explanation.effect),
            "matches": word(explanation.result),
            "principal": word(explanation.principal),
            "action": word(explanation.action),
            "resource": word(explanation.resource),
            "conditions": explanation.conditions.iter().map(|condition| json!({
                "operator": condition.operator,
                "key": condition.key,
                "values": condition.values,
                "request": requested_json(&condition.request),
                "matches": word(condition.result),
            })).collect::<Vec<_>>(),
        })
    }
}

fn requested_json(request: &RequestValues) -> Value {
    match request {
        RequestValues::Absent => "absent".into(),
        RequestValues::Unknown => "unknown".into(),
        RequestValues::Opaque => "present".into(),
        RequestValues::Known(values) => json!(values),
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", outcome_name(self.outcome))?;
        let deciding = self.deciding_layer();
        let by = deciding.and_then(|it| Some((it.document?, it.decision.statement?)));
        match (by, self.outcome) {
            (Some((document, id)), outcome) => {
                let label = document.policy.label(id);
                let how = match outcome {
                    Outcome::ImplicitDeny => " despite",
                    _ => " by",
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
        let text = self.request.text();
        let mut about = None;
        for report in &self.statements {
            let resource = text.resources.get(report.resource);
            if let [_, _, ..] = text.resources.as_slice()
                && about != resource
            {
                writeln!(f, "  about {}:", quoted(resource.and_then(Option::as_ref)))?;
            }
            about = resource;
            self.write_statement(report, f)?;
        }
        Ok(())
    }
}

impl Report<'_> {
    fn write_statement(
        &self,
        report: &StatementReport<'_>,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        let StatementReport {
            document,
            text,
            resource,
            explanation,
        } = report;
        let label = document.policy.label(explanation.statement);
        writeln!(
            f,
            "  {}:{} {} {label}: {}",
            document.name,
            label.line,
            effect(explanation.effect),
            verb(explanation.result)
        )?;
        let requested = self.request.text();
        let resource = requested.resources.get(*resource).and_then(Option::as_ref);
        let principal = requested.principal.as_ref();
        let elements = text.as_ref().map(|text| {
            [
                (&text.principal, explanation.principal, principal),
                (&text.action, explanation.action, Some(&requested.action)),
                (&text.resource, explanation.resource, resource),
            ]
        });
        for (element, found, requested) in elements.into_iter().flatten() {
            let Some((name, value)) = element else {
                continue;
            };
            write!(f, "    {name} {value}: {}", verb(found))?;
            if found != Match::Yes {
                write!(f, "; the request has {}", quoted(requested))?;
            }
            writeln!(f)?;
        }
        for condition in &explanation.conditions {
            writeln!(f, "    {}", ConditionLine(condition))?;
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

struct ConditionLine<'c>(&'c ConditionExplanation);

impl fmt::Display for ConditionLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConditionExplanation {
            operator,
            key,
            values,
            request,
            result,
        } = self.0;
        let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
        let values = values.join(", ");
        write!(f, "{operator} {key} [{values}]: {}; ", verb(*result))?;
        match request {
            RequestValues::Absent => f.write_str("the request has no such key"),
            RequestValues::Unknown => f.write_str("what the request has cannot be known"),
            RequestValues::Opaque => f.write_str("the request has a value that cannot be known"),
            RequestValues::Known(values) => {
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
