//! The Condition element as it is written: blocks of operators, keys and values.

use crate::policy::condition::key::{Count, Key, OwnedKey, same_name};
use crate::policy::condition::operator::{Base, Operator, Set};
use crate::policy::condition::values::{check_exists, check_key};
use crate::policy::condition::{Condition, Test};
use crate::policy::diagnostic::Problem;
use crate::policy::document::aws_validation;
use crate::policy::document::compile::{Reporter, Strictness};
use crate::policy::document::element::Scope;
use crate::policy::document::json::{Member, NodeKind};

pub(in crate::policy) fn conditions(
    member: &Member<'_>,
    scope: &Scope<'_>,
    reporter: &mut Reporter<'_>,
) -> Vec<Condition> {
    let mut conditions = Vec::new();
    reporter.enter("Condition", |reporter| {
        let NodeKind::Map(operators) = &member.value.kind else {
            return reporter.wrong_type(&member.value, "an object of operators");
        };
        for block in operators {
            reporter.enter(&block.name, |reporter| {
                let operator = match operator(&block.name) {
                    Ok(operator) => operator,
                    Err(problem) => return reporter.error(block.start, problem),
                };
                let NodeKind::Map(keys) = &block.value.kind else {
                    return reporter.wrong_type(&block.value, "an object of condition keys");
                };
                refuse_same_keys(keys, reporter);
                for key in keys {
                    reporter.enter(&key.name, |reporter| {
                        conditions.extend(condition(operator, key, scope, reporter));
                    });
                }
            });
        }
    });
    conditions
}

fn operator(name: &str) -> Result<Operator, Problem> {
    let Some(operator) = Operator::parse(name) else {
        return Err(Problem::new(
            "operator",
            format!("there is no condition operator `{name}`"),
        )
        .fix(match Operator::of_any_case(name) {
            Some(meant) => format!("write `{meant}`"),
            None => "write one of the documentation's, such as `StringEquals`".to_owned(),
        }));
    };
    if operator.base == Base::Null && operator.if_exists {
        return Err(
            Problem::new("null-if-exists", "`Null` cannot have the suffix `IfExists`")
                .fix("write `Null`"),
        );
    }
    Ok(operator)
}

fn refuse_same_keys(keys: &[Member<'_>], reporter: &mut Reporter<'_>) {
    let mut order: Vec<(String, usize)> = keys
        .iter()
        .map(|key| (key.name.to_lowercase(), key.start))
        .collect();
    order.sort();
    for pair in order.windows(2) {
        if let [(first, _), (second, at)] = pair
            && same_name(first, second)
        {
            reporter.error(
                *at,
                Problem::new(
                    "duplicate-key",
                    format!("the condition key `{second}` is given twice, in different case"),
                )
                .fix("join their values in one list"),
            );
        }
    }
}

fn condition(
    operator: Operator,
    member: &Member<'_>,
    scope: &Scope<'_>,
    reporter: &mut Reporter<'_>,
) -> Option<Condition> {
    let strict = scope.strictness == Strictness::Aws;
    let checked = check_key(&member.name).and_then(|()| {
        if strict {
            check_exists(&member.name)
        } else {
            Ok(())
        }
    });
    if let Err(problem) = checked {
        reporter.error(member.start, problem);
        return None;
    }
    let key = Key::of(&member.name);
    let needs_set = key.count() == Some(Count::Multi)
        && operator.set == Set::None
        && operator.base != Base::Null;
    if strict && needs_set {
        reporter.error(
            member.start,
            Problem::new(
                "missing-qualifier",
                format!("`{key}` can have several values"),
            )
            .fix(format!(
                "write `ForAnyValue:{operator}` or `ForAllValues:{operator}`"
            )),
        );
    }
    let nodes = match &member.value.kind {
        NodeKind::List(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(&member.value),
    };
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
    let of_one_type = nodes.windows(2).all(|pair| match pair {
        [a, b] => a.describe() == b.describe(),
        _ => true,
    });
    if strict && !of_one_type {
        reporter.error(
            member.value.start,
            Problem::new("mixed-types", "the values are of different JSON types")
                .fix("write them all as strings"),
        );
    }
    if strict && matches!(operator.base, Base::Bool | Base::Null) && values.len() > 1 {
        reporter.error(
            member.value.start,
            Problem::new(
                "several-booleans",
                format!("`{operator}` takes one boolean, not several"),
            )
            .fix("keep one of them"),
        );
    }
    let listed = matches!(member.value.kind, NodeKind::List(_));
    let mut at_value = |index: Option<usize>, problem: Problem| match index
        .and_then(|index| nodes.get(index).map(|node| (index, node)))
    {
        Some((index, node)) if listed => {
            reporter.enter_index(index, |reporter| reporter.error(node.start, problem));
        }
        _ => reporter.error(member.value.start, problem),
    };
    let test = Test::compile(operator, &values, scope.variables, |index, problem| {
        at_value(Some(index), problem);
    });
    if strict {
        aws_validation::check_condition(operator, key, &values, &test, at_value);
    }
    let written = values.iter().map(|value| Box::from(*value)).collect();
    Some(Condition {
        operator,
        key: OwnedKey::of(&member.name),
        test,
        needs_set,
        written,
    })
}
