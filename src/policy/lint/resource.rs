//! Warnings about one resource of a statement.

use crate::policy::Effect;
use crate::policy::action::ActionPattern;
use crate::policy::diagnostic::Problem;
use crate::policy::document::reporter::Reporter;
use crate::policy::lint::context::{LintContext, unknowable};
use crate::policy::pattern::Pattern;
use crate::policy::request::{Action, EmptyContext};
use crate::policy::resource::ResourcePattern;
use crate::policy::statement::Statement;
use crate::policy::ternary::Match;

const SUBSCRIBE: Action<'static> = Action {
    service: "kinesis",
    name: "SubscribeToShard",
    number: None,
};

impl LintContext<'_> {
    pub(in crate::policy) fn check_resource(
        &self,
        at: usize,
        pattern: &ResourcePattern,
        statement: &Statement,
        reporter: &mut Reporter<'_>,
    ) {
        let ResourcePattern::Arn(arn) = pattern else {
            return;
        };
        let mut warn = |problem| reporter.warn(at, problem);
        for key in arn.resource.variables() {
            if self.listener.is_some_and(|listener| !(listener.knows)(key)) {
                warn(unknowable(&format!("`{key}`"), statement.effect));
            }
        }
        if arn.is_contested() {
            let message = "a wildcard in the service or in the resource's type may not match in AWS: here it never allows, and may deny";
            let problem = Problem::new("contested-wildcard", message);
            warn(problem.fix("write the service and the type in full"));
        }
        if arn.has_partial_wildcard_segment() {
            let message = "a `*` at the end of a part of the ARN may match beyond the colon in AWS: here that may deny, and never allows";
            let problem = Problem::new("colon-wildcard", message);
            warn(problem.fix("write the part in full, or `*` alone"));
        }
        if !arn.may_match_service("kinesis") {
            return;
        }
        let literal = arn.resource.literal_prefix();
        let is_whole = literal.contains('/') || matches!(arn.resource, Pattern::Literal(_));
        let resource_type = literal.split('/').next().unwrap_or(literal);
        let is_known = ["stream", "channel", "queue"].contains(&resource_type);
        if is_whole && !is_known && !literal.contains("/consumer/") {
            let message = format!("Kinesis has no resources of type `{resource_type}`");
            warn(Problem::new("resource-type", message).fix("write `stream/NAME`"));
        }
        if let Pattern::Prefix(prefix) = &arn.resource
            && let Some(stream) = prefix.strip_prefix("stream/")
            && stream.ends_with(|c: char| c.is_ascii_alphanumeric())
            && !stream.contains('/')
        {
            let message = format!("`{prefix}*` also covers `{prefix}2`");
            let fix = format!(
                "write `{prefix}` and `{prefix}/*`, if the one stream and its consumers are meant"
            );
            warn(Problem::new("prefix-covers-more", message).fix(fix));
        }
        if let Pattern::Literal(stream) = &arn.resource
            && self.misses_consumers(stream, statement)
        {
            let message =
                format!("`SubscribeToShard` acts on a consumer, which `{stream}` does not cover");
            let problem = Problem::new("subscribe-needs-consumer", message);
            warn(problem.fix(format!("add `{stream}/consumer/*`")));
        }
    }

    /// Whether the statement is about SubscribeToShard and names the stream, but no statement
    /// covers the stream's consumers, which are the resource of that action.
    fn misses_consumers(&self, stream: &str, statement: &Statement) -> bool {
        let names_stream = stream
            .strip_prefix("stream/")
            .is_some_and(|name| !name.contains('/'));
        let is_relevant = |other: &Statement| {
            other.effect == statement.effect
                && other.actions.matches(&SUBSCRIBE) == Match::Yes
                && (other.effect == Effect::Allow || names_only_subscribe(other))
        };
        if !names_stream || statement.resources.is_negated || !is_relevant(statement) {
            return false;
        }
        let consumer = format!("{stream}/consumer/c:1");
        let consumers = format!("{stream}/consumer/");
        let covers = |pattern: &ResourcePattern| match pattern {
            ResourcePattern::Everything => true,
            ResourcePattern::Arn(arn) => {
                arn.resource.matches(&consumer, &EmptyContext) != Match::No
                    || arn.resource.literal_prefix().starts_with(&consumers)
            }
        };
        let mut relevant = self.statements.iter().filter(|other| is_relevant(other));
        !relevant.any(|other| other.resources.patterns.iter().any(covers))
    }
}

/// A Deny is meant for the consumer only if it names the action.
fn names_only_subscribe(statement: &Statement) -> bool {
    let mut patterns = statement.actions.patterns.iter();
    patterns.all(|pattern| match pattern {
        ActionPattern::Named { name, .. } => name.to_ascii_lowercase().starts_with("subscribe"),
        ActionPattern::Everything => false,
    })
}
