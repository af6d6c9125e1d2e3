//! The Condition element of a statement: blocks of operators, condition keys and values.
//!
//! IAM User Guide: reference_policies_elements_condition.

use crate::policy::condition::Condition;
use crate::policy::condition::operator::{Operator, OperatorKind, SetOperator};
use crate::policy::condition::values::ConditionValues;
use crate::policy::condition_key::{
    Key, OwnedKey, ValueType, check_form, check_registered, eq_name,
};
use crate::policy::diagnostic::Problem;
use crate::policy::document::aws_validation::check_values;
use crate::policy::document::json::{Member, NodeKind};
use crate::policy::document::options::DocumentScope;
use crate::policy::document::reporter::Reporter;

pub(in crate::policy) fn compile_conditions(
    member: &Member<'_>,
    scope: &DocumentScope<'_>,
    reporter: &mut Reporter<'_>,
) -> Vec<Condition> {
    let mut conditions = Vec::new();
    reporter.enter("Condition", |reporter| {
        let NodeKind::Map(blocks) = &member.value.kind else {
            return reporter.wrong_type(&member.value, "an object of operators");
        };
        for block in blocks {
            reporter.enter(&block.name, |reporter| {
                let operator = match parse_operator(&block.name) {
                    Ok(operator) => operator,
                    Err(problem) => return reporter.error(block.start, problem),
                };
                let NodeKind::Map(keys) = &block.value.kind else {
                    return reporter.wrong_type(&block.value, "an object of condition keys");
                };
                refuse_duplicate_keys(keys, reporter);
                for key in keys {
                    reporter.enter(&key.name, |reporter| {
                        conditions.extend(compile_condition(operator, key, scope, reporter));
                    });
                }
            });
        }
    });
    conditions
}

fn parse_operator(name: &str) -> Result<Operator, Problem> {
    let Some(operator) = Operator::parse(name) else {
        let message = format!("there is no condition operator `{name}`");
        let fix = match Operator::name_in_any_case(name) {
            Some(name) => format!("write `{name}`"),
            None => "write one of the documentation's, such as `StringEquals`".to_owned(),
        };
        return Err(Problem::new("operator", message).fix(fix));
    };
    if operator.kind == OperatorKind::Null && operator.if_exists {
        let message = "`Null` cannot have the suffix `IfExists`";
        return Err(Problem::new("null-if-exists", message).fix("write `Null`"));
    }
    Ok(operator)
}

fn refuse_duplicate_keys(keys: &[Member<'_>], reporter: &mut Reporter<'_>) {
    let mut names: Vec<(String, usize)> = keys
        .iter()
        .map(|key| (key.name.to_lowercase(), key.start))
        .collect();
    names.sort();
    for pair in names.windows(2) {
        if let [(first, _), (second, at)] = pair
            && eq_name(first, second)
        {
            let message = format!("the condition key `{second}` is given twice, in different case");
            reporter.error(
                *at,
                Problem::new("duplicate-key", message).fix("join their values in one list"),
            );
        }
    }
}

fn compile_condition(
    operator: Operator,
    member: &Member<'_>,
    scope: &DocumentScope<'_>,
    reporter: &mut Reporter<'_>,
) -> Option<Condition> {
    let is_strict = scope.options.is_strict();
    let mut checked = check_form(&member.name);
    if is_strict {
        checked = checked.and_then(|()| check_registered(&member.name));
    }
    if let Err(problem) = checked {
        reporter.error(member.start, problem);
        return None;
    }
    let key = Key::of(&member.name);
    let lacks_set_operator = key.value_type() == Some(ValueType::Multivalued)
        && operator.set == SetOperator::None
        && operator.kind != OperatorKind::Null;
    if is_strict && lacks_set_operator {
        let message = format!("`{key}` can have several values");
        let fix = format!("write `ForAnyValue:{operator}` or `ForAllValues:{operator}`");
        let problem = Problem::new("missing-qualifier", message).fix(fix);
        reporter.error(member.start, problem);
    }
    let nodes = member.value.one_or_many();
    let mut texts = Vec::with_capacity(nodes.len());
    for node in nodes {
        match &node.kind {
            NodeKind::String(text) => texts.push(&**text),
            NodeKind::Number(text) => texts.push(text),
            NodeKind::Bool(value) => texts.push(if *value { "true" } else { "false" }),
            _ => reporter.wrong_type(node, "a string, a number or a boolean"),
        }
    }
    if texts.len() < nodes.len() {
        return None;
    }
    let mut types = nodes.iter().map(|node| node.describe());
    let first = types.next();
    if is_strict && types.any(|other| Some(other) != first) {
        reporter.error(
            member.value.start,
            Problem::new("mixed-types", "the values are of different JSON types")
                .fix("write them all as strings"),
        );
    }
    let is_boolean = matches!(operator.kind, OperatorKind::Bool | OperatorKind::Null);
    if is_strict && is_boolean && texts.len() > 1 {
        let message = format!("`{operator}` takes one boolean, not several");
        reporter.error(
            member.value.start,
            Problem::new("several-booleans", message).fix("keep one of them"),
        );
    }
    let list = member.value.list();
    let mut report = |index: Option<usize>, problem| match (index, list) {
        (Some(index), Some(nodes)) => {
            let at = nodes
                .get(index)
                .map_or(member.value.start, |node| node.start);
            reporter.enter_index(index, |reporter| reporter.error(at, problem));
        }
        _ => reporter.error(member.value.start, problem),
    };
    let values = ConditionValues::parse(operator, &texts, scope.variables, |index, problem| {
        report(Some(index), problem);
    });
    if is_strict {
        check_values(operator, key, &texts, &values, report);
    }
    Some(Condition {
        operator,
        key: OwnedKey::of(&member.name),
        values,
        lacks_set_operator,
        source_values: texts.into_iter().map(Box::from).collect(),
    })
}
