//! Warnings about the resources of a statement.

use crate::policy::Effect;
use crate::policy::action::ActionPattern;
use crate::policy::diagnostic::Problem;
use crate::policy::document::compile::Reporter;
use crate::policy::lint::{Document, unknowable};
use crate::policy::pattern::Pattern;
use crate::policy::request::EmptyContext;
use crate::policy::resource::ResourcePattern;
use crate::policy::statement::Statement;
use crate::policy::ternary::Match;

impl Document<'_> {
    pub(in crate::policy) fn resource(
        &self,
        at: usize,
        pattern: &ResourcePattern,
        statement: &Statement,
        reporter: &mut Reporter<'_>,
    ) {
        let ResourcePattern::Arn(arn) = pattern else {
            return;
        };
        let listener = self.listener;
        for key in arn.resource.variables() {
            if listener.is_some_and(|listener| !(listener.knows)(key)) {
                reporter.warn(at, unknowable(&format!("`{key}`"), statement.effect));
            }
        }
        if arn.is_contested() {
            reporter.warn(
                at,
                Problem::new("contested-wildcard", "a wildcard in the service or in the resource's type may not match in AWS: here it never allows, and may deny")
                    .fix("write the service and the type in full"),
            );
        }
        if arn.ends_segment_in_part() {
            reporter.warn(
                at,
                Problem::new("colon-wildcard", "a `*` at the end of a part of the ARN may match beyond the colon in AWS: here that may deny, and never allows")
                    .fix("write the part in full, or `*` alone"),
            );
        }
        if !arn.service_is("kinesis") {
            return;
        }
        let begins = arn.resource.literal_prefix();
        let whole_word = begins.contains('/') || matches!(arn.resource, Pattern::Literal(_));
        let word = begins.split('/').next().unwrap_or(begins);
        if whole_word
            && !["stream", "channel", "queue"].contains(&word)
            && !begins.contains("/consumer/")
        {
            reporter.warn(
                at,
                Problem::new(
                    "resource-type",
                    format!("Kinesis has no resources of type `{word}`"),
                )
                .fix("write `stream/NAME`"),
            );
        }
        if let Pattern::Prefix(prefix) = &arn.resource
            && let Some(stream) = prefix.strip_prefix("stream/")
            && stream.ends_with(|c: char| c.is_ascii_alphanumeric())
            && !stream.contains('/')
        {
            reporter.warn(
                at,
                Problem::new("prefix-covers-more", format!("`{prefix}*` also covers `{prefix}2`"))
                    .fix(format!("write `{prefix}` and `{prefix}/*`, if the one stream and its consumers are meant")),
            );
        }
        self.consumers(at, &arn.resource, statement, reporter);
    }

    /// `stream/X` does not cover the consumers that SubscribeToShard names.
    fn consumers(
        &self,
        at: usize,
        pattern: &Pattern,
        statement: &Statement,
        reporter: &mut Reporter<'_>,
    ) {
        let about = |statement: &Statement| {
            let action = crate::policy::request::Action {
                service: "kinesis",
                name: "SubscribeToShard",
                number: None,
            };
            statement.actions.matches(&action) == Match::Yes
        };
        // A Deny is meant for the consumer only where it names the action.
        let only_about = |statement: &Statement| {
            statement
                .actions
                .patterns
                .iter()
                .all(|pattern| match pattern {
                    ActionPattern::Named { name, .. } => {
                        name.to_ascii_lowercase().starts_with("subscribe")
                    }
                    ActionPattern::Everything => false,
                })
        };
        let subscribes = |one: &Statement| {
            one.effect == statement.effect
                && about(one)
                && (one.effect == Effect::Allow || only_about(one))
        };
        let Pattern::Literal(stream) = pattern else {
            return;
        };
        let of_stream = stream
            .strip_prefix("stream/")
            .is_some_and(|name| !name.contains('/'));
        if !of_stream || statement.resources.negated || !subscribes(statement) {
            return;
        }
        let consumer = format!("{stream}/consumer/c:1");
        let covered = self
            .statements
            .iter()
            .filter(|one| subscribes(one))
            .any(|one| {
                one.resources.patterns.iter().any(|pattern| match pattern {
                    ResourcePattern::Everything => true,
                    ResourcePattern::Arn(arn) => {
                        let found = arn.resource.matches(&consumer, &EmptyContext);
                        let stream_part = arn.resource.literal_prefix();
                        found != Match::No
                            || stream_part.starts_with(&format!("{stream}/consumer/"))
                    }
                })
            });
        if !covered {
            reporter.warn(
                at,
                Problem::new(
                    "subscribe-needs-consumer",
                    format!(
                        "`SubscribeToShard` acts on a consumer, which `{stream}` does not cover"
                    ),
                )
                .fix(format!("add `{stream}/consumer/*`")),
            );
        }
    }
}
