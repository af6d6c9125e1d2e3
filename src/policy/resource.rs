//! The Resource and NotResource elements of a statement.
//!
//! IAM User Guide: reference_policies_elements_resource, reference_policies_elements_notresource,
//! reference_policies_variables.

use std::sync::Arc;

use crate::policy::Effect;
use crate::policy::condition::arn::segments;
use crate::policy::diagnostic::Problem;
use crate::policy::pattern::Pattern;
use crate::policy::principal::is_account_id;
use crate::policy::request::{Arn, Context, EmptyContext, Resource};
use crate::policy::template::Syntax;
use crate::policy::ternary::Match;

/// The Resource or NotResource element of a statement.
#[derive(Clone, Debug)]
pub(super) struct ResourceElement {
    /// NotResource.
    pub(super) is_negated: bool,
    pub(super) patterns: Box<[ResourcePattern]>,
}

#[derive(Clone, Debug)]
pub(super) enum ResourcePattern {
    /// `*`.
    Everything,
    Arn(Box<ArnPattern>),
}

#[derive(Clone, Debug)]
pub(super) struct ArnPattern {
    pub(super) prefix: Arc<ArnPrefix>,
    pub(super) resource: Pattern,
    /// CONTESTED: a wildcard in the service, or in the type of the resource: one page forbids it,
    /// another warns of it.
    is_contested: bool,
    /// CONTESTED: the whole pattern with `*` crossing colons, where a `*` ends a segment. The
    /// newer text of the Resource page lets it expand beyond the colon.
    across_colons: Option<Box<Pattern>>,
}

/// The segments before the fifth colon of an ARN. Patterns with equal prefixes share one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ArnPrefix {
    partition: Pattern,
    service: Pattern,
    region: Pattern,
    pub(super) account: Pattern,
}

/// CONTESTED: an empty NotResource list excludes nothing, or is no valid statement.
const EMPTY_NOT_RESOURCE: Match = Match::Maybe;

/// CONTESTED: whether NotResource applies to an operation on no resource.
const NOT_RESOURCE_WITHOUT_RESOURCE: Match = Match::Maybe;

impl ResourceElement {
    pub(super) fn matches(
        &self,
        resource: &Resource<'_>,
        effect: Effect,
        context: &dyn Context,
    ) -> Match {
        if self.patterns.is_empty() {
            return if self.is_negated {
                EMPTY_NOT_RESOURCE
            } else {
                Match::No
            };
        }
        match (resource, effect) {
            (Resource::Any, _) | (Resource::Unscoped(_), Effect::Allow) => self.match_no_resource(),
            (Resource::Unscoped(arn), Effect::Deny) => {
                self.match_no_resource().or(self.match_arn(arn, context))
            }
            (Resource::Arn(arn), _) => self.match_arn(arn, context),
            (Resource::Unknown, _) if self.has_everything() => Match::from(!self.is_negated),
            (Resource::Unknown, _) => Match::Maybe,
        }
    }

    pub(super) fn has_everything(&self) -> bool {
        self.patterns
            .iter()
            .any(|pattern| matches!(pattern, ResourcePattern::Everything))
    }

    fn match_no_resource(&self) -> Match {
        match (self.has_everything(), self.is_negated) {
            (true, negated) => Match::from(!negated),
            (false, true) => NOT_RESOURCE_WITHOUT_RESOURCE,
            (false, false) => Match::No,
        }
    }

    fn match_arn(&self, arn: &Arn<'_>, context: &dyn Context) -> Match {
        let mut result = Match::No;
        for pattern in &self.patterns {
            result = result.or(pattern.matches(arn, self.is_negated, context));
            if result == Match::Yes {
                break;
            }
        }
        result.negate_if(self.is_negated)
    }
}

impl ResourcePattern {
    pub(super) fn parse(text: &str, has_variables: bool) -> Result<ResourcePattern, Problem> {
        if text == "*" {
            return Ok(ResourcePattern::Everything);
        }
        if !text.starts_with("arn:") {
            return Err(Problem::new(
                "resource-arn",
                format!("`{text}` is neither `*` nor an ARN"),
            )
            .fix("write `arn:aws:kinesis:REGION:ACCOUNT:stream/NAME`"));
        }
        let Some([_, partition, service, region, account, resource]) =
            segments(text, has_variables)
        else {
            return Err(Problem::new("resource-arn-short", format!("`{text}` has fewer than six parts"))
                .fix("write `arn:partition:service:region:account:resource`, with `*` for a part that may be anything"));
        };
        let prefix = [partition, service, region, account];
        if has_variables && prefix.iter().any(|part| part.contains("${")) {
            return Err(Problem::new(
                "resource-variable",
                format!("`{text}`: a variable can only stand after the fifth colon"),
            ));
        }
        if resource.is_empty() {
            return Err(Problem::new(
                "resource-arn-short",
                format!("`{text}` names no resource"),
            ));
        }
        check_segments(text, partition, service, account)?;
        let syntax = Syntax {
            has_variables,
            ..Syntax::WILDCARDS
        };
        let across_colons = if prefix.iter().any(|segment| segment.ends_with('*')) {
            Some(Box::new(Pattern::parse(text, syntax)?))
        } else {
            None
        };
        let kind = resource.split(['/', ':']).next().unwrap_or(resource);
        let is_contested =
            is_wild(service) || (resource != "*" && !kind.contains("${") && is_wild(kind));
        let parse = |segment: &str| Pattern::parse(segment, Syntax::WILDCARDS);
        Ok(ResourcePattern::Arn(Box::new(ArnPattern {
            prefix: Arc::new(ArnPrefix {
                partition: parse(partition)?,
                service: parse(service)?,
                region: parse(region)?,
                account: parse(account)?,
            }),
            resource: Pattern::parse(resource, syntax)?,
            is_contested,
            across_colons,
        })))
    }

    pub(super) fn matches(&self, arn: &Arn<'_>, negated: bool, context: &dyn Context) -> Match {
        match self {
            ResourcePattern::Everything => Match::Yes,
            ResourcePattern::Arn(pattern) => pattern.matches(arn, negated, context),
        }
    }
}

impl ArnPattern {
    fn matches(&self, arn: &Arn<'_>, negated: bool, context: &dyn Context) -> Match {
        let by_segment = self.match_segments(arn, negated, context);
        let result = if self.is_contested {
            by_segment.at_most_maybe()
        } else {
            by_segment
        };
        match (&self.across_colons, arn.text) {
            // Only a colon in the resource's name lets the two readings differ.
            (Some(pattern), Some(text)) if result == Match::No && arn.resource.contains(':') => {
                pattern.matches(text, context).at_most_maybe()
            }
            _ => result,
        }
    }

    fn match_segments(&self, arn: &Arn<'_>, negated: bool, context: &dyn Context) -> Match {
        let mut resource = if arn.is_prefix {
            self.resource.matches_prefix(arn.resource, context)
        } else {
            self.resource.matches(arn.resource, context)
        };
        // CONTESTED: whether NotResource applies where a variable of a pattern has no value.
        if negated && self.resource.may_be_null(context) {
            resource = resource.or(Match::Maybe);
        }
        if resource == Match::No {
            return Match::No;
        }
        let prefix = &*self.prefix;
        let account = match (arn.account, &prefix.account) {
            (Some(text), pattern) => match_segment(pattern, text),
            (None, Pattern::Everything) => Match::Yes,
            (None, _) => Match::Maybe,
        };
        resource
            .and(account)
            .and(match_segment(&prefix.region, arn.region))
            .and(match_segment(&prefix.service, arn.service))
            .and(match_segment(&prefix.partition, arn.partition))
    }

    pub(super) fn is_contested(&self) -> bool {
        self.is_contested
    }

    /// Whether a segment before the resource ends in a `*` that is not the whole segment.
    pub(super) fn has_partial_wildcard_segment(&self) -> bool {
        let prefix = &*self.prefix;
        let mut segments = [
            &prefix.partition,
            &prefix.service,
            &prefix.region,
            &prefix.account,
        ]
        .into_iter();
        segments.any(|segment| *segment != Pattern::Everything && segment.is_open_ended())
    }

    pub(super) fn may_match_service(&self, service: &str) -> bool {
        match_segment(&self.prefix.service, service) != Match::No
    }
}

/// CONTESTED: whether case counts before the resource part. Only a difference in case: `Maybe`.
fn match_segment(pattern: &Pattern, text: &str) -> Match {
    match pattern {
        Pattern::Everything => Match::Yes,
        Pattern::Literal(literal) if **literal == *text => Match::Yes,
        Pattern::Literal(literal) => {
            Match::from(literal.eq_ignore_ascii_case(text)).at_most_maybe()
        }
        pattern => pattern.matches(text, &EmptyContext),
    }
}

fn is_wild(segment: &str) -> bool {
    segment.contains(['*', '?'])
}

/// The partitions of AWS.
const PARTITIONS: &[&str] = &[
    "aws",
    "aws-cn",
    "aws-us-gov",
    "aws-iso",
    "aws-iso-b",
    "aws-iso-e",
    "aws-iso-f",
    "aws-eusc",
];

fn check_segments(
    text: &str,
    partition: &str,
    service: &str,
    account: &str,
) -> Result<(), Problem> {
    if !is_wild(partition) && !PARTITIONS.contains(&partition) {
        return Err(Problem::new(
            "resource-partition",
            format!("`{text}`: there is no partition `{partition}`"),
        )
        .fix("write `aws`, `aws-cn` or `aws-us-gov`"));
    }
    if service.is_empty() || service.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(Problem::new(
            "resource-service",
            format!("`{text}`: the service is written in lower case, not `{service}`"),
        ));
    }
    if !account.is_empty() && account != "aws" && !is_wild(account) && !is_account_id(account) {
        return Err(Problem::new(
            "resource-account",
            format!("`{text}`: `{account}` is not an account id"),
        )
        .fix("write twelve digits, or `*`"));
    }
    Ok(())
}
