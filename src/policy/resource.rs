//! The Resource and NotResource elements.
//!
//! IAM User Guide: reference_policies_elements_resource, reference_policies_elements_notresource,
//! reference_policies_variables.

use std::sync::Arc;

use crate::policy::Effect;
use crate::policy::condition::arn::segments;
use crate::policy::diagnostic::Problem;
use crate::policy::pattern::Pattern;
use crate::policy::principal::is_account;
use crate::policy::request::{Arn, Context, Resource};
use crate::policy::template::Syntax;
use crate::policy::ternary::Match;

/// Which resources a statement is about.
#[derive(Clone, Debug)]
pub(super) struct ResourceElement {
    /// NotResource.
    pub(super) negated: bool,
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
    pub(super) scope: Arc<ArnScope>,
    pub(super) resource: Pattern,
    /// CONTESTED: a wildcard in the service, or in the word that names the resource's type: one
    /// page forbids it, another warns of it.
    contested: bool,
    /// CONTESTED: the whole pattern with `*` crossing colons, where a `*` ends a segment. The
    /// newer text of the Resource page lets it expand beyond the colon.
    wide: Option<Box<Pattern>>,
}

/// What stands before the fifth colon of an ARN. Shared with other patterns that begin alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ArnScope {
    partition: Pattern,
    service: Pattern,
    region: Pattern,
    pub(super) account: Pattern,
}

/// CONTESTED: an empty NotResource list excludes nothing, or is no valid statement.
const NOT_RESOURCE_OF_NOTHING: Match = Match::Maybe;

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
            return if self.negated {
                NOT_RESOURCE_OF_NOTHING
            } else {
                Match::No
            };
        }
        match (resource, effect) {
            (Resource::Any, _) | (Resource::Unscoped(_), Effect::Allow) => self.without_resource(),
            (Resource::Unscoped(arn), Effect::Deny) => {
                self.without_resource().or(self.named(arn, context))
            }
            (Resource::Arn(arn), _) => self.named(arn, context),
            (Resource::Unknown, _) if self.has_everything() => Match::from(!self.negated),
            (Resource::Unknown, _) => Match::Maybe,
        }
    }

    pub(super) fn has_everything(&self) -> bool {
        self.patterns
            .iter()
            .any(|pattern| matches!(pattern, ResourcePattern::Everything))
    }

    fn without_resource(&self) -> Match {
        match (self.has_everything(), self.negated) {
            (true, negated) => Match::from(!negated),
            (false, true) => NOT_RESOURCE_WITHOUT_RESOURCE,
            (false, false) => Match::No,
        }
    }

    fn named(&self, arn: &Arn<'_>, context: &dyn Context) -> Match {
        let mut found = Match::No;
        for pattern in &self.patterns {
            found = found.or(pattern.matches(arn, self.negated, context));
            if found == Match::Yes {
                break;
            }
        }
        found.negate_if(self.negated)
    }
}

impl ResourcePattern {
    pub(super) fn compile(text: &str, variables: bool) -> Result<ResourcePattern, Problem> {
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
        let Some([_, partition, service, region, account, resource]) = segments(text, variables)
        else {
            return Err(Problem::new("resource-arn-short", format!("`{text}` has fewer than six parts"))
                .fix("write `arn:partition:service:region:account:resource`, with `*` for a part that may be anything"));
        };
        let before = [partition, service, region, account];
        if variables && before.iter().any(|part| part.contains("${")) {
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
        check_parts(text, partition, service, account)?;
        let syntax = Syntax {
            variables,
            wildcards: true,
        };
        let plain = Syntax {
            variables: false,
            wildcards: true,
        };
        let part = |text: &str| Pattern::parse(text, plain);
        let trailing = before.iter().any(|part| part.ends_with('*'));
        let wide = if trailing {
            Some(Box::new(Pattern::parse(text, syntax)?))
        } else {
            None
        };
        let word = resource.split(['/', ':']).next().unwrap_or(resource);
        let contested =
            service.contains(['*', '?']) || (resource != "*" && word_has_wildcard(word));
        Ok(ResourcePattern::Arn(Box::new(ArnPattern {
            scope: Arc::new(ArnScope {
                partition: part(partition)?,
                service: part(service)?,
                region: part(region)?,
                account: part(account)?,
            }),
            resource: Pattern::parse(resource, syntax)?,
            contested,
            wide,
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
        let narrow = self.by_segment(arn, negated, context);
        let found = if self.contested {
            narrow.at_most_maybe()
        } else {
            narrow
        };
        match (&self.wide, arn.text) {
            // Only a colon in the resource's name lets the two readings differ.
            (Some(wide), Some(text)) if found == Match::No && arn.resource.contains(':') => {
                wide.matches(text, context).at_most_maybe()
            }
            _ => found,
        }
    }

    fn by_segment(&self, arn: &Arn<'_>, negated: bool, context: &dyn Context) -> Match {
        let found = if arn.open {
            self.resource.matches_open(arn.resource, context)
        } else {
            self.resource.matches(arn.resource, context)
        };
        // CONTESTED: whether NotResource applies where a variable of a pattern has no value.
        let found = if negated && self.resource.may_be_null(context) {
            found.or(Match::Maybe)
        } else {
            found
        };
        if found == Match::No {
            return Match::No;
        }
        let ArnScope {
            partition,
            service,
            region,
            account,
        } = &*self.scope;
        let account = match (arn.account, account) {
            (Some(text), pattern) => segment(pattern, text),
            (None, Pattern::Everything) => Match::Yes,
            (None, _) => Match::Maybe,
        };
        found
            .and(account)
            .and(segment(region, arn.region))
            .and(segment(service, arn.service))
            .and(segment(partition, arn.partition))
    }

    pub(super) fn is_contested(&self) -> bool {
        self.contested
    }

    /// Does a part before the resource end in a `*` that is not the whole part?
    pub(super) fn ends_segment_in_part(&self) -> bool {
        let ArnScope {
            partition,
            service,
            region,
            account,
        } = &*self.scope;
        [partition, service, region, account]
            .into_iter()
            .any(|part| !matches!(part, Pattern::Everything) && part.is_open_ended())
    }

    pub(super) fn service_is(&self, service: &str) -> bool {
        segment(&self.scope.service, service) != Match::No
    }
}

/// CONTESTED: whether case counts before the resource part. Only a difference in case: `Maybe`.
fn segment(pattern: &Pattern, text: &str) -> Match {
    match pattern {
        Pattern::Everything => Match::Yes,
        Pattern::Literal(literal) if **literal == *text => Match::Yes,
        Pattern::Literal(literal) => {
            Match::from(literal.eq_ignore_ascii_case(text)).at_most_maybe()
        }
        pattern => pattern.matches(text, &crate::policy::request::EmptyContext),
    }
}

/// A wildcard in the type word; one inside of a variable's name is none.
fn word_has_wildcard(word: &str) -> bool {
    !word.contains("${") && word.contains(['*', '?'])
}

/// The partitions that AWS has.
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

fn check_parts(text: &str, partition: &str, service: &str, account: &str) -> Result<(), Problem> {
    let wild = |part: &str| part.contains(['*', '?']);
    if !wild(partition) && !PARTITIONS.contains(&partition) {
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
    if !account.is_empty() && account != "aws" && !wild(account) && !is_account(account) {
        return Err(Problem::new(
            "resource-account",
            format!("`{text}`: `{account}` is not an account id"),
        )
        .fix("write twelve digits, or `*`"));
    }
    Ok(())
}
