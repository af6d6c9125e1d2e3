//! Warnings about the conditions of a statement.

use crate::policy::Effect;
use crate::policy::condition::Condition;
use crate::policy::condition::arn::ArnValue;
use crate::policy::condition::operator::{Operator, OperatorKind, SetOperator};
use crate::policy::condition::values::ConditionValues;
use crate::policy::condition_key::{DataType, Key, ValueType};
use crate::policy::diagnostic::Problem;
use crate::policy::document::json::{Node, NodeKind};
use crate::policy::document::reporter::Reporter;
use crate::policy::lint::context::{LintContext, unknowable};
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

impl LintContext<'_> {
    pub(in crate::policy) fn check_conditions(
        &self,
        element: &Node<'_>,
        statement: &Statement,
        reporter: &mut Reporter<'_>,
    ) {
        let NodeKind::Map(blocks) = &element.kind else {
            return;
        };
        let mut conditions = statement.conditions.iter();
        reporter.enter("Condition", |reporter| {
            for block in blocks {
                let NodeKind::Map(keys) = &block.value.kind else {
                    continue;
                };
                reporter.enter(&block.name, |reporter| {
                    for (member, condition) in keys.iter().zip(&mut conditions) {
                        reporter.enter(&member.name, |reporter| {
                            let at = member.start;
                            self.check_condition(at, condition, statement, reporter);
                            for (index, node) in member.value.one_or_many().iter().enumerate() {
                                self.check_value(node.start, condition, index, reporter);
                            }
                        });
                    }
                });
            }
        });
    }

    fn check_condition(
        &self,
        at: usize,
        condition: &Condition,
        statement: &Statement,
        reporter: &mut Reporter<'_>,
    ) {
        let Condition {
            operator, values, ..
        } = condition;
        let key = condition.key.key();
        let mut warn = |problem| reporter.warn(at, problem);
        match operator.set {
            SetOperator::None => {}
            set if operator.kind == OperatorKind::Null => {
                let result = set == SetOperator::ForAllValues;
                let problem =
                    Problem::new("null-with-set", format!("`{operator}` is always {result}"));
                warn(problem.fix("write `Null`"));
            }
            SetOperator::ForAllValues => for_all_values(key, statement)
                .into_iter()
                .for_each(&mut warn),
            SetOperator::ForAnyValue => {}
        }
        if let Some(data_type) = key.data_type()
            && !fits(*operator, key, data_type)
        {
            let (noun, suited) = describe(data_type);
            let message = format!("`{operator}` is not for `{key}`, which is {noun}");
            warn(Problem::new("type-mismatch", message).fix(format!("use {suited} operator")));
        }
        if let Key::Referer | Key::UserAgent = key {
            let message = format!("`{key}` is whatever the caller says it is");
            warn(Problem::new("untrustworthy-key", message).fix("do not let access depend on it"));
        }
        if operator.is_negated()
            && let Some(variable) = values.bare_variable()
        {
            let message = format!("where `{variable}` has no value, `{operator}` matches");
            let fix = format!("give it a default, `${{{variable}, 'none'}}`");
            warn(Problem::new("negated-variable", message).fix(fix));
        }
        if condition.source_values.is_empty() {
            let message = format!("`{operator}` has no values to compare `{key}` with");
            warn(Problem::new("empty-list", message));
        }
        if let Some(listener) = self.listener {
            let mut unknown: Vec<Key<'_>> = std::iter::once(key)
                .chain(values.variables())
                .filter(|key| !(listener.knows)(*key))
                .collect();
            unknown.dedup();
            for key in unknown {
                warn(unknowable(&format!("`{key}`"), statement.effect));
            }
        }
        let is_numeric = matches!(operator.kind, OperatorKind::Numeric(_));
        if self.is_endpoint() && is_numeric && IDENTIFIERS.contains(&key) {
            let message =
                format!("AWS takes no numeric operator with `{key}` in an endpoint policy");
            warn(Problem::new("identifier-operator", message).fix("use `StringEquals`"));
        }
    }

    fn check_value(
        &self,
        at: usize,
        condition: &Condition,
        index: usize,
        reporter: &mut Reporter<'_>,
    ) {
        let operator = condition.operator;
        let key = condition.key.key();
        let Some(value) = condition.source_values.get(index) else {
            return;
        };
        let has_wildcard = value.contains(['*', '?']) && !value.contains("${");
        let is_string = matches!(operator.kind, OperatorKind::String { .. });
        if operator.takes_variables() {
            self.check_variables(at, value, reporter);
        }
        if is_string && !operator.has_wildcards() && has_wildcard {
            let message = format!("`*` and `?` are ordinary characters under `{operator}`");
            let problem = Problem::new("wildcard-without-like", message);
            reporter.warn(at, problem.fix("use `StringLike` or `StringNotLike`"));
        }
        if let ConditionValues::Date(_, dates) = &condition.values
            && dates.get(index).is_some_and(|date| date.is_ambiguous())
        {
            let message = format!("`{value}` may be a year, or seconds since 1970");
            let fix = format!("write `{value}-01-01T00:00:00Z`");
            reporter.warn(at, Problem::new("date-ambiguous", message).fix(fix));
        }
        if let ConditionValues::Arn(arns) = &condition.values
            && arns.get(index).is_some_and(ArnValue::is_malformed)
        {
            let message = format!("`{value}` is not an ARN: what it matches is not documented");
            let problem = Problem::new("arn-form", message);
            reporter.warn(at, problem.fix("write six parts, `arn:aws:iam::*:role/*`"));
        }
        if self.is_endpoint() && is_string && operator.has_wildcards() && has_wildcard {
            if IDENTIFIERS.contains(&key) {
                let message = format!("AWS takes no wildcards with `{key}` in an endpoint policy");
                let problem = Problem::new("identifier-wildcard", message);
                reporter.warn(at, problem.fix("list the values in full"));
            } else if !wildcards_have_neighbours(value) {
                reporter.warn(
                    at,
                    Problem::new("wildcard-neighbours", format!("AWS wants {BESIDE_WILDCARD} characters before or after each wildcard in an endpoint policy"))
                        .fix("write more of the value"),
                );
            }
        }
        if matches!(operator.kind, OperatorKind::Arn { .. }) {
            self.check_account(at, value, reporter);
        }
    }
}

fn for_all_values(key: Key<'_>, statement: &Statement) -> Option<Problem> {
    let has_null_check = statement.conditions.iter().any(|other| {
        other.key.key().is_same(key)
            && other.operator.set == SetOperator::None
            && matches!(&other.values, ConditionValues::Null(wanted) if **wanted == [false])
    });
    if statement.effect == Effect::Allow && !has_null_check {
        let message = format!(
            "`ForAllValues` is true where `{key}` is missing, so the Allow applies without it"
        );
        let fix = format!("add `\"Null\":{{\"{key}\":\"false\"}}`");
        Some(Problem::new("for-all-values-allow", message).fix(fix))
    } else if key.value_type() == Some(ValueType::SingleValued) {
        let message = format!(
            "`{key}` has one value at most, and `ForAllValues` is true where it is missing"
        );
        Some(Problem::new("for-all-values-single", message).fix("leave the prefix out"))
    } else {
        None
    }
}

fn wildcards_have_neighbours(value: &str) -> bool {
    let runs = value.split(['*', '?']).map(|run| run.chars().count());
    let runs: Vec<usize> = runs.collect();
    runs.windows(2)
        .all(|pair| pair.iter().any(|&run| run >= BESIDE_WILDCARD))
}

fn fits(operator: Operator, key: Key<'_>, data_type: DataType) -> bool {
    match operator.kind {
        OperatorKind::Null => true,
        OperatorKind::String { .. } => matches!(data_type, DataType::String | DataType::Arn),
        OperatorKind::Arn { .. } => data_type == DataType::Arn,
        OperatorKind::Numeric(_) => data_type == DataType::Numeric || key == Key::EpochTime,
        OperatorKind::Date(_) => data_type == DataType::Date,
        OperatorKind::Bool => data_type == DataType::Bool,
        OperatorKind::Binary => false,
        OperatorKind::IpAddress { .. } => data_type == DataType::Ip,
    }
}

/// A data type in words, and the operators that fit it.
fn describe(data_type: DataType) -> (&'static str, &'static str) {
    match data_type {
        DataType::String => ("a string", "a String"),
        DataType::Arn => ("an ARN", "an Arn"),
        DataType::Bool => ("a boolean", "the Bool"),
        DataType::Numeric => ("a number", "a Numeric"),
        DataType::Date => ("a date", "a Date"),
        DataType::Ip => ("an IP address", "an IpAddress"),
    }
}
