//! Warnings about conditions.

use crate::policy::Effect;
use crate::policy::condition::arn::{ArnTest, segments};
use crate::policy::condition::key::{Count, Key, Kind};
use crate::policy::condition::operator::{Base, Operator, Set};
use crate::policy::condition::{Condition, Test};
use crate::policy::diagnostic::Problem;
use crate::policy::document::compile::Reporter;
use crate::policy::document::json::{Node, NodeKind};
use crate::policy::lint::{Document, unknowable};
use crate::policy::statement::Statement;

/// Global keys that hold identifiers which AWS makes: endpoint policies take no wildcards and no
/// numeric operators with them. PrivateLink Guide, vpc-endpoints-access.
const IDENTIFIERS: &[Key<'static>] = &[
    Key::PrincipalAccount,
    Key::PrincipalOrgId,
    Key::ResourceAccount,
    Key::ResourceOrgId,
    Key::SourceAccount,
    Key::SourceOrgId,
    Key::SourceVpc,
    Key::SourceVpce,
    Key::VpceAccount,
    Key::VpceOrgId,
];

/// Literal characters that an endpoint policy needs before or after each wildcard.
const BESIDE_WILDCARD: usize = 6;

pub(in crate::policy) fn conditions(
    document: &Document<'_>,
    node: &Node<'_>,
    statement: &Statement,
    reporter: &mut Reporter<'_>,
) {
    let NodeKind::Map(blocks) = &node.kind else {
        return;
    };
    let mut compiled = statement.conditions.iter();
    for block in blocks {
        let NodeKind::Map(keys) = &block.value.kind else {
            continue;
        };
        reporter.enter(&block.name, |reporter| {
            for member in keys {
                let Some(condition) = compiled.next() else {
                    return;
                };
                reporter.enter(&member.name, |reporter| {
                    of_condition(document, member.start, condition, statement, reporter);
                    let nodes = match &member.value.kind {
                        NodeKind::List(nodes) => nodes.as_slice(),
                        _ => std::slice::from_ref(&member.value),
                    };
                    for (index, value) in condition.written.iter().enumerate() {
                        let at = nodes.get(index).map_or(member.start, |node| node.start);
                        of_value(document, at, condition, value, index, reporter);
                    }
                });
            }
        });
    }
}

fn of_condition(
    document: &Document<'_>,
    at: usize,
    condition: &Condition,
    statement: &Statement,
    reporter: &mut Reporter<'_>,
) {
    let Condition { operator, test, .. } = condition;
    let key = condition.key.key();
    if operator.base == Base::Null && operator.set != Set::None {
        let always = if operator.set == Set::All {
            "always true"
        } else {
            "always false"
        };
        reporter.warn(
            at,
            Problem::new("null-with-set", format!("`{operator}` is {always}")).fix("write `Null`"),
        );
    } else if operator.set == Set::All {
        for_all_values(at, key, statement, reporter);
    }
    if let Some(kind) = key.kind()
        && !fits(*operator, key, kind)
    {
        reporter.warn(
            at,
            Problem::new(
                "type-mismatch",
                format!("`{operator}` is not for `{key}`, which is {}", noun(kind)),
            )
            .fix(format!("use {} operator", suited(kind))),
        );
    }
    if let Key::Referer | Key::UserAgent = key {
        reporter.warn(
            at,
            Problem::new(
                "untrustworthy-key",
                format!("`{key}` is whatever the caller says it is"),
            )
            .fix("do not let access depend on it"),
        );
    }
    if operator.negated()
        && let Some(variable) = test.bare_variable()
    {
        reporter.warn(
            at,
            Problem::new(
                "negated-variable",
                format!("where `{variable}` has no value, `{operator}` matches"),
            )
            .fix(format!("give it a default, `${{{variable}, 'none'}}`")),
        );
    }
    if condition.written.is_empty() {
        reporter.warn(
            at,
            Problem::new(
                "empty-list",
                format!("`{operator}` has no values to compare `{key}` with"),
            ),
        );
    }
    if let Some(listener) = document.listener {
        let mut unknown: Vec<Key<'_>> = std::iter::once(key)
            .chain(test.variables())
            .filter(|key| !(listener.knows)(*key))
            .collect();
        unknown.dedup();
        for key in unknown {
            reporter.warn(at, unknowable(&format!("`{key}`"), statement.effect));
        }
    }
    let numeric = matches!(operator.base, Base::Numeric(_));
    if document.is_endpoint() && numeric && IDENTIFIERS.contains(&key) {
        reporter.warn(
            at,
            Problem::new(
                "identifier-operator",
                format!("AWS takes no numeric operator with `{key}` in an endpoint policy"),
            )
            .fix("use `StringEquals`"),
        );
    }
}

fn for_all_values(at: usize, key: Key<'_>, statement: &Statement, reporter: &mut Reporter<'_>) {
    let guarded = statement.conditions.iter().any(|other| {
        other.key.key().same(key)
            && other.operator.set == Set::None
            && matches!(&other.test, Test::Null(wanted) if **wanted == [false])
    });
    if statement.effect == Effect::Allow && !guarded {
        reporter.warn(
            at,
            Problem::new("for-all-values-allow", format!("`ForAllValues` is true where `{key}` is missing, so the Allow applies without it"))
                .fix(format!("add `\"Null\":{{\"{key}\":\"false\"}}`")),
        );
    } else if key.count() == Some(Count::Single) {
        reporter.warn(
            at,
            Problem::new(
                "for-all-values-single",
                format!(
                    "`{key}` has one value at most, and `ForAllValues` is true where it is missing"
                ),
            )
            .fix("leave the prefix out"),
        );
    }
}

fn of_value(
    document: &Document<'_>,
    at: usize,
    condition: &Condition,
    value: &str,
    index: usize,
    reporter: &mut Reporter<'_>,
) {
    let operator = condition.operator;
    let key = condition.key.key();
    let wild = value.contains(['*', '?']) && !value.contains("${");
    let text = matches!(operator.base, Base::Text { .. });
    if operator.takes_variables() && !document.variables && value.contains("${") {
        reporter.warn(at, needs_version());
    }
    if text && !operator.has_wildcards() && wild {
        reporter.warn(
            at,
            Problem::new(
                "wildcard-without-like",
                format!("`*` and `?` are ordinary characters under `{operator}`"),
            )
            .fix("use `StringLike` or `StringNotLike`"),
        );
    }
    if let Test::Date(_, instants) = &condition.test
        && instants
            .get(index)
            .is_some_and(|instant| instant.is_ambiguous())
    {
        reporter.warn(
            at,
            Problem::new(
                "date-ambiguous",
                format!("`{value}` may be a year, or seconds since 1970"),
            )
            .fix(format!("write `{value}-01-01T00:00:00Z`")),
        );
    }
    if let Test::Arn(tests) = &condition.test
        && tests.get(index).is_some_and(ArnTest::is_shapeless)
    {
        reporter.warn(
            at,
            Problem::new(
                "arn-form",
                format!("`{value}` is not an ARN: what it matches is not documented"),
            )
            .fix("write six parts, `arn:aws:iam::*:role/*`"),
        );
    }
    if !document.is_endpoint() {
        return;
    }
    if text && operator.has_wildcards() && wild {
        if IDENTIFIERS.contains(&key) {
            reporter.warn(
                at,
                Problem::new(
                    "identifier-wildcard",
                    format!("AWS takes no wildcards with `{key}` in an endpoint policy"),
                )
                .fix("list the values in full"),
            );
        } else if !wildcards_have_neighbours(value) {
            reporter.warn(
                at,
                Problem::new("wildcard-neighbours", format!("AWS wants {BESIDE_WILDCARD} characters before or after each wildcard in an endpoint policy"))
                    .fix("write more of the value"),
            );
        }
    }
    if matches!(operator.base, Base::Arn { .. }) && mixed_account(value, document.variables) {
        reporter.warn(at, mixed_account_problem(value));
    }
}

pub(in crate::policy) fn needs_version() -> Problem {
    Problem::new(
        "variable-version",
        "without `\"Version\":\"2012-10-17\"` a variable is plain text",
    )
    .fix("add the version")
}

/// Does the account part of an ARN hold both digits and wildcards?
pub(in crate::policy) fn mixed_account(text: &str, variables: bool) -> bool {
    segments(text, variables).is_some_and(|[_, _, _, _, account, _]| {
        account.contains(['*', '?']) && account.contains(|c: char| c.is_ascii_alphanumeric())
    })
}

pub(in crate::policy) fn mixed_account_problem(text: &str) -> Problem {
    Problem::new(
        "account-wildcard",
        format!("`{text}`: AWS takes an account id or a wildcard, not both"),
    )
    .fix("write the account id in full, or `*`")
}

fn wildcards_have_neighbours(value: &str) -> bool {
    let runs: Vec<usize> = value
        .split(['*', '?'])
        .map(|run| run.chars().count())
        .collect();
    runs.windows(2)
        .all(|pair| pair.iter().any(|&run| run >= BESIDE_WILDCARD))
}

fn fits(operator: Operator, key: Key<'_>, kind: Kind) -> bool {
    match operator.base {
        Base::Null => true,
        Base::Text { .. } => matches!(kind, Kind::String | Kind::Arn),
        Base::Arn { .. } => kind == Kind::Arn,
        Base::Numeric(_) => kind == Kind::Numeric || key == Key::EpochTime,
        Base::Date(_) => kind == Kind::Date,
        Base::Bool => kind == Kind::Bool,
        Base::Binary => false,
        Base::Ip { .. } => kind == Kind::Ip,
    }
}

fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::String => "a string",
        Kind::Arn => "an ARN",
        Kind::Bool => "a boolean",
        Kind::Numeric => "a number",
        Kind::Date => "a date",
        Kind::Ip => "an IP address",
    }
}

fn suited(kind: Kind) -> &'static str {
    match kind {
        Kind::String => "a String",
        Kind::Arn => "an Arn",
        Kind::Bool => "the Bool",
        Kind::Numeric => "a Numeric",
        Kind::Date => "a Date",
        Kind::Ip => "an IpAddress",
    }
}
