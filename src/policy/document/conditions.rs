//! The Condition element of a statement: blocks of operators, condition keys and values.
//!
//! IAM User Guide: reference_policies_elements_condition.

use crate::policy::condition::Condition;
use crate::policy::condition::operator::{Operator, OperatorKind, SetOperator};
use crate::policy::condition::values::ConditionValues;
use crate::policy::condition_key::{
    Key, OwnedKey, ValueType, check_form, check_registered, same_name,
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
        return Err(Problem::new("operator", message).fix(
            match Operator::name_in_any_case(name) {
                Some(meant) => format!("write `{meant}`"),
                None => "write one of the documentation's, such as `StringEquals`".to_owned(),
            },
        ));
    };
    if operator.kind == OperatorKind::Null && operator.if_exists {
        let message = "`Null` cannot have the suffix `IfExists`";
        return Err(Problem::new("null-if-exists", message).fix("write `Null`"));
    }
    Ok(operator)
}

fn refuse_duplicate_keys(keys: &[Member<'_>], reporter: &mut Reporter<'_>) {
    let mut order: Vec<(String, usize)> = keys
        .iter()
        .map(|key| (key.name.to_lowercase(), key.start))
        .collect();
    order.sort();
    for pair in order.windows(2) {
        if let [(first, _), (second, at)] = pair
            && same_name(first, second)
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
    let checked = check_form(&member.name).and_then(|()| match is_strict {
        true => check_registered(&member.name),
        false => Ok(()),
    });
    if let Err(problem) = checked {
        reporter.error(member.start, problem);
        return None;
    }
    let key = Key::of(&member.name);
    let lacks_set_operator = key.value_type() == Some(ValueType::Multivalued)
        && operator.set == SetOperator::None
        && operator.kind != OperatorKind::Null;
    if is_strict && lacks_set_operator {
        let problem = Problem::new(
            "missing-qualifier",
            format!("`{key}` can have several values"),
        );
        reporter.error(
            member.start,
            problem.fix(format!(
                "write `ForAnyValue:{operator}` or `ForAllValues:{operator}`"
            )),
        );
    }
    let list = member.value.list();
    let nodes = list.unwrap_or_else(|| std::slice::from_ref(&member.value));
    let mut values = Vec::with_capacity(nodes.len());
    for node in nodes {
        match &node.kind {
            NodeKind::String(text) => values.push(&**text),
            NodeKind::Number(text) => values.push(text),
            NodeKind::Bool(value) => values.push(if *value { "true" } else { "false" }),
            _ => reporter.wrong_type(node, "a string, a number or a boolean"),
        }
    }
    if values.len() < nodes.len() {
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
    if is_strict && is_boolean && values.len() > 1 {
        let message = format!("`{operator}` takes one boolean, not several");
        reporter.error(
            member.value.start,
            Problem::new("several-booleans", message).fix("keep one of them"),
        );
    }
    let mut report = |index: Option<usize>, problem: Problem| match index
        .and_then(|index| Some((index, list?.get(index)?)))
    {
        Some((index, node)) => {
            reporter.enter_index(index, |reporter| reporter.error(node.start, problem));
        }
        None => reporter.error(member.value.start, problem),
    };
    let parsed = ConditionValues::parse(operator, &values, scope.variables, |index, problem| {
        report(Some(index), problem);
    });
    if is_strict {
        check_values(operator, key, &values, &parsed, report);
    }
    Some(Condition {
        operator,
        key: OwnedKey::of(&member.name),
        values: parsed,
        lacks_set_operator,
        source_values: values.iter().map(|value| Box::from(*value)).collect(),
    })
}
