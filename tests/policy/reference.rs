//! A naive reference of the policy language, written after AWS's documentation: it evaluates every
//! statement with recursive globs and compiles nothing. Where the documentation is contested, a Deny
//! applies and an Allow does not.

use std::net::IpAddr;

use kinesis_gate::policy::Outcome;

use super::generate::{
    ConditionModel, OwnedFact, PolicyModel, RequestModel, ResourceModel, StatementModel,
};

/// The outcome, and the deciding statement: the first that matches under both readings, or the
/// first Deny that matches under the contested one.
pub fn decide(model: &PolicyModel, request: &RequestModel) -> (Outcome, Option<usize>) {
    let first = |allow: bool, readings: &[bool]| {
        model.statements.iter().position(|statement| {
            statement.is_allow == allow
                && readings
                    .iter()
                    .all(|&contested| matches(statement, contested, model, request))
        })
    };
    let deny = first(false, &[true, false]).or_else(|| first(false, &[true]));
    let allow = || first(true, &[true, false]);
    match (deny, allow()) {
        (Some(deny), _) => (Outcome::ExplicitDeny, Some(deny)),
        (None, Some(allow)) => (Outcome::Allow, Some(allow)),
        (None, None) => (Outcome::ImplicitDeny, None),
    }
}

/// Whether a statement matches; `contested` is the result if the documentation is contested.
fn matches(
    statement: &StatementModel,
    contested: bool,
    model: &PolicyModel,
    request: &RequestModel,
) -> bool {
    principal(statement, request)
        && action(statement, request)
        && resource(statement, contested, model, request)
        && statement
            .distinct_conditions()
            .into_iter()
            .all(|each| condition(each, model, request))
}

fn known_value<'a>(known: &'a OwnedFact<&'static str>) -> Option<&'a str> {
    match known {
        OwnedFact::Known(text) => Some(text),
        _ => None,
    }
}

fn principal(statement: &StatementModel, request: &RequestModel) -> bool {
    let (account, arn, session) = (
        known_value(&request.account),
        known_value(&request.arn),
        known_value(&request.session),
    );
    let is_account = |listed: &str| {
        let id = listed
            .strip_prefix("arn:aws:iam::")
            .and_then(|rest| rest.strip_suffix(":root"));
        account == Some(id.unwrap_or(listed))
    };
    let is_identity = |listed: &str| arn == Some(listed) || session == Some(listed);
    if !statement.not_principal {
        return statement
            .principals
            .iter()
            .any(|listed| *listed == "*" || is_account(listed) || is_identity(listed));
    }
    let any = |test: &dyn Fn(&str) -> bool| statement.principals.iter().any(|listed| test(listed));
    let is_root = arn.is_some_and(|arn| arn.ends_with(":root"));
    let exempt = any(&|listed| listed == "*")
        || (any(&is_account)
            && (is_root || any(&|listed| arn == Some(listed)))
            && (session.is_none() || any(&|listed| session == Some(listed))));
    !exempt
}

fn action(statement: &StatementModel, request: &RequestModel) -> bool {
    let requested = format!("{}:{}", request.service, request.action).to_lowercase();
    let listed = statement
        .actions
        .iter()
        .any(|pattern| *pattern == "*" || glob(&units(&pattern.to_lowercase()), &requested));
    listed != statement.not_action
}

fn resource(
    statement: &StatementModel,
    contested: bool,
    model: &PolicyModel,
    request: &RequestModel,
) -> bool {
    let everything = statement.resources.iter().any(|pattern| pattern == "*");
    let matches_no_resource = match (everything, statement.not_resource) {
        (true, not) => !not,
        (false, true) => contested,
        (false, false) => false,
    };
    let matches_arn = |text: &str| {
        let mut null = false;
        let listed = statement.resources.iter().any(|pattern| {
            if pattern == "*" {
                return true;
            }
            let parts: Vec<&str> = pattern.splitn(6, ':').collect();
            let segments: Vec<&str> = text.splitn(6, ':').collect();
            let before = (0..5).all(|at| glob(&units(parts[at]), segments[at]));
            match substitute(parts[5], model.variables, request, true) {
                None => {
                    null |= before;
                    false
                }
                Some(units) => {
                    // A wildcard in the word of the type is contested; `*` alone is not.
                    before && glob(&units, segments[5])
                }
            }
        });
        match (listed, statement.not_resource) {
            (true, not) => !not,
            (false, true) if null => contested,
            (false, not) => not,
        }
    };
    match &request.resource {
        ResourceModel::Any => matches_no_resource,
        ResourceModel::Arn {
            is_unscoped: true, ..
        } if statement.is_allow => matches_no_resource,
        ResourceModel::Arn {
            text,
            is_unscoped: true,
            ..
        } => matches_no_resource || matches_arn(text),
        ResourceModel::Arn { text, .. } => matches_arn(text),
        ResourceModel::Unknown => unreachable!("the reference knows everything"),
    }
}

fn condition(condition: &ConditionModel, model: &PolicyModel, request: &RequestModel) -> bool {
    let known = request.key(condition.key);
    let values: Option<&[&str]> = match known {
        OwnedFact::Known(values) => Some(values),
        _ => None,
    };
    if condition.operator == "Null" {
        return condition
            .values
            .iter()
            .any(|wanted| (*wanted == "true") == values.is_none());
    }
    let negated = condition.operator.contains("Not");
    let test = |value: &str| -> bool {
        // A variable without a value is null: nothing equals it.
        let any = condition.values.iter().any(|wanted| {
            compare(condition.operator, wanted, value, model, request).unwrap_or(false)
        });
        any != negated
    };
    match (condition.set_operator, values) {
        ("ForAllValues:", None) => true,
        ("ForAllValues:", Some(values)) => values.iter().all(|value| test(value)),
        ("ForAnyValue:", None) => false,
        ("ForAnyValue:", Some(values)) => values.iter().any(|value| test(value)),
        (_, None) => condition.if_exists || negated,
        (_, Some(values)) => test(values[0]),
    }
}

/// The positive comparison; `None` where a variable has no value.
fn compare(
    operator: &str,
    wanted: &str,
    value: &str,
    model: &PolicyModel,
    request: &RequestModel,
) -> Option<bool> {
    let operator = operator.replace("Not", "");
    let text = |wildcards| substitute(wanted, model.variables, request, wildcards);
    Some(match operator.as_str() {
        "StringEquals" => glob(&text(false)?, value),
        "StringEqualsIgnoreCase" => {
            let folded: Vec<Unit> = text(false)?
                .into_iter()
                .map(|unit| match unit {
                    Unit::Char(c) => Unit::Char(c.to_ascii_lowercase()),
                    other => other,
                })
                .collect();
            glob(&folded, &value.to_ascii_lowercase())
        }
        "StringLike" => glob(&text(true)?, value),
        "NumericEquals" => number(value) == number(wanted),
        "NumericLessThan" => number(value) < number(wanted),
        "NumericGreaterThanEquals" => number(value) >= number(wanted),
        "DateEquals" => date(value) == date(wanted),
        "DateLessThan" => date(value) < date(wanted),
        "DateGreaterThanEquals" => date(value) >= date(wanted),
        "Bool" => wanted == value,
        "IpAddress" => address(wanted, value),
        "ArnLike" | "ArnEquals" => {
            let mut equal = true;
            let parts: Vec<&str> = value.splitn(6, ':').collect();
            let mut wanted_parts: Vec<String> = Vec::new();
            let mut part = String::new();
            let mut inside = false;
            for c in wanted.chars() {
                inside = (inside || c == '{') && c != '}';
                // `${…}` hides a colon only under a version that has variables.
                if c == ':' && wanted_parts.len() < 5 && !(inside && model.variables) {
                    wanted_parts.push(std::mem::take(&mut part));
                } else {
                    part.push(c);
                }
            }
            wanted_parts.push(part);
            for (wanted, part) in wanted_parts.iter().zip(parts) {
                equal &= glob(&substitute(wanted, model.variables, request, true)?, part);
            }
            equal
        }
        other => panic!("no reference for `{other}`"),
    })
}

fn number(text: &str) -> f64 {
    text.parse().expect("a number")
}

/// Seconds since 1970 of the dates in `generate.rs`.
fn date(text: &str) -> i64 {
    match text {
        "2024-01-01" | "2024-01-01T00:00:00Z" | "1704067200" => 1_704_067_200,
        "2024-06-01T00:00:00Z" => 1_717_200_000,
        "2024-07-01T00:00:00Z" => 1_719_792_000,
        "2025-01-01T00:00:00+01:00" => 1_735_686_000,
        other => panic!("no reference for `{other}`"),
    }
}

fn address(block: &str, value: &str) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => (4, u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (6, v6.to_bits(), 128),
    };
    let (network, length) = block.split_once('/').unwrap_or((block, ""));
    let (family, network, width) = bits(network.parse().expect("an address"));
    let (other, value, _) = bits(value.parse().expect("an address"));
    let length: u32 = if length.is_empty() {
        width
    } else {
        length.parse().expect("a length")
    };
    family == other && (length == 0 || (network >> (width - length)) == (value >> (width - length)))
}

#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Char(char),
    AnyChar,
    AnyRun,
}

fn units(pattern: &str) -> Vec<Unit> {
    pattern
        .chars()
        .map(|c| match c {
            '*' => Unit::AnyRun,
            '?' => Unit::AnyChar,
            c => Unit::Char(c),
        })
        .collect()
}

/// A pattern with its variables replaced; `None` where one has no value and no default.
fn substitute(
    pattern: &str,
    variables: bool,
    request: &RequestModel,
    wildcards: bool,
) -> Option<Vec<Unit>> {
    let mut out = Vec::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        if variables && let Some(inside) = rest.strip_prefix("${") {
            let (variable, after) = inside.split_once('}').expect("a brace");
            rest = after;
            if let "*" | "?" | "$" = variable {
                out.extend(variable.chars().map(Unit::Char));
                continue;
            }
            let (key, default) = match variable.split_once(", ") {
                Some((key, default)) => (key, Some(default.trim_matches('\''))),
                None => (variable, None),
            };
            let text = match request.key(key) {
                OwnedFact::Known(values) => values[0],
                _ => default?,
            };
            out.extend(text.chars().map(Unit::Char));
            continue;
        }
        out.extend(if wildcards {
            units(&c.to_string())
        } else {
            vec![Unit::Char(c)]
        });
        rest = &rest[c.len_utf8()..];
    }
    Some(out)
}

fn glob(pattern: &[Unit], text: &str) -> bool {
    match (pattern.split_first(), text.chars().next()) {
        (None, first) => first.is_none(),
        (Some((Unit::AnyRun, rest)), None) => glob(rest, text),
        (Some((Unit::AnyRun, rest)), Some(c)) => {
            glob(rest, text) || glob(pattern, &text[c.len_utf8()..])
        }
        (Some((Unit::AnyChar, rest)), Some(c)) => glob(rest, &text[c.len_utf8()..]),
        (Some((Unit::Char(expected), rest)), Some(c)) => {
            *expected == c && glob(rest, &text[c.len_utf8()..])
        }
        (Some(_), None) => false,
    }
}
