//! The Action and NotAction elements of a statement.
//!
//! IAM User Guide: reference_policies_elements_action, reference_policies_elements_notaction.

use crate::policy::diagnostic::Problem;
use crate::policy::glob::matches_ignore_case;
use crate::policy::request::Action;
use crate::policy::ternary::Match;

/// The Action or NotAction element of a statement.
#[derive(Clone, Debug)]
pub(super) struct ActionElement {
    /// NotAction.
    pub(super) is_negated: bool,
    pub(super) patterns: Box<[ActionPattern]>,
}

/// One action of a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum ActionPattern {
    /// `*`.
    Everything,
    Named {
        service: Box<str>,
        name: Box<str>,
    },
}

/// CONTESTED: an empty NotAction list excludes nothing, or is no valid statement.
const EMPTY_NOT_ACTION: Match = Match::Maybe;

impl ActionElement {
    pub(super) fn matches(&self, action: &Action<'_>) -> Match {
        if self.patterns.is_empty() {
            return if self.is_negated {
                EMPTY_NOT_ACTION
            } else {
                Match::No
            };
        }
        let mut patterns = self.patterns.iter();
        let is_listed = patterns.any(|pattern| pattern.matches(action.service, action.name));
        Match::from(is_listed != self.is_negated)
    }
}

impl ActionPattern {
    pub(super) fn parse(text: &str) -> Result<ActionPattern, Problem> {
        if text == "*" {
            return Ok(ActionPattern::Everything);
        }
        let refuse = || {
            Problem::new("action-form", format!("`{text}` is not an action"))
                .fix("write `kinesis:PutRecord`, `kinesis:*` or `*`")
        };
        let (service, name) = text.split_once(':').ok_or_else(refuse)?;
        if service.contains(['*', '?']) {
            return Err(Problem::new(
                "action-service-wildcard",
                format!("`{text}`: a wildcard cannot stand in the service"),
            )
            .fix("write `kinesis:` before the name"));
        }
        if text.contains("${") {
            return Err(Problem::new(
                "action-variable",
                format!("`{text}`: an action takes no variables"),
            ));
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_name = !name.is_empty() && !name.contains(':');
        if service.is_empty() || !service.bytes().all(is_plain) || !is_name {
            return Err(refuse());
        }
        Ok(ActionPattern::Named {
            service: service.into(),
            name: name.into(),
        })
    }

    pub(super) fn matches(&self, service: &str, name: &str) -> bool {
        match self {
            ActionPattern::Everything => true,
            ActionPattern::Named {
                service: prefix,
                name: pattern,
            } => prefix.eq_ignore_ascii_case(service) && matches_ignore_case(pattern, name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ActionPattern;

    #[test]
    fn names_are_matched_without_regard_to_case() {
        for (pattern, name, expected) in [
            ("kinesis:PutRecord", "putrecord", true),
            ("KINESIS:putrecord", "PutRecord", true),
            ("kinesis:PutRecord", "PutRecords", false),
            ("kinesis:PutRecord?", "PutRecords", true),
            ("kinesis:PutRecord?", "PutRecord", false),
            ("kinesis:*", "AnythingAtAll", true),
            ("kinesis:*Record*", "GetRecords", true),
            ("kinesis:Put Record", "PutRecord", false),
            ("s3:*", "PutRecord", false),
            ("*", "PutRecord", true),
        ] {
            let pattern = ActionPattern::parse(pattern).expect(pattern);
            assert_eq!(
                pattern.matches("kinesis", name),
                expected,
                "{pattern:?} {name}"
            );
        }
    }

    #[test]
    fn malformed_actions_are_refused() {
        for text in [
            "",
            "PutRecord",
            "kinesis:",
            ":PutRecord",
            "kin*:PutRecord",
            "*:*",
            "**",
            "kinesis:${aws:username}",
            "kine sis:Put",
            "arn:aws:kinesis:PutRecord",
            "kinesis:PutRecord:",
        ] {
            assert!(ActionPattern::parse(text).is_err(), "{text}");
        }
    }
}
