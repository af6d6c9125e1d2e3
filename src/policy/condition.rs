//! Conditions: an operator, a condition key and values, evaluated in the condition context.
//!
//! IAM User Guide: reference_policies_elements_condition, …_condition_operators,
//! …_multi-value-conditions.

pub(super) mod arn;
pub(super) mod date;
mod decimal;
pub(super) mod operator;
pub(super) mod values;

use date::DateValue;
use decimal::Decimal;
use operator::{Operator, SetOperator};
use values::{ConditionValues, is_base64_of, parse_bool};

use crate::policy::condition_key::OwnedKey;
use crate::policy::pattern::Pattern;
use crate::policy::request::{Context, Fact, Value};
use crate::policy::template::eq_ignore_case;
use crate::policy::ternary::Match;
use crate::policy::value_text::ValueText;

/// One operator with one condition key and its values.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) operator: Operator,
    pub(super) key: OwnedKey,
    pub(super) values: ConditionValues,
    /// CONTESTED: the key is multivalued and the operator has no `ForAllValues` or `ForAnyValue`.
    /// AWS's policy check calls that an error and does not say what it decides.
    pub(super) lacks_set_operator: bool,
    /// The values as in the document, for explanations.
    pub(super) source_values: Box<[Box<str>]>,
}

/// CONTESTED: several values of the request with an operator without `ForAllValues` or
/// `ForAnyValue`. AWS's documentation calls the policy an error and does not say what it decides.
const SEVERAL_VALUES_WITHOUT_SET: Match = Match::Maybe;

/// CONTESTED: a request value that is not of the operator's type (text with `NumericEquals`).
const VALUE_OF_ANOTHER_TYPE: Match = Match::Maybe;

/// CONTESTED: `Null` with a key that is present but empty.
const NULL_OF_EMPTY: Match = Match::Maybe;

/// CONTESTED: an empty list of values with an operator without set operator or `IfExists`.
const NO_POLICY_VALUES: Match = Match::Maybe;

impl Condition {
    /// Whether the context meets the condition. Allocates nothing.
    pub(super) fn matches(&self, context: &dyn Context) -> Match {
        let result = self.evaluate(context);
        if self.lacks_set_operator {
            result.at_most_maybe()
        } else {
            result
        }
    }

    fn evaluate(&self, context: &dyn Context) -> Match {
        let fact = context.value(self.key.key());
        if let ConditionValues::Null(values) = &self.values {
            return self.evaluate_null(values, fact);
        }
        if self.values.is_empty() {
            return self.evaluate_without_values(fact);
        }
        let (set, is_negated) = (self.operator.set, self.operator.is_negated());
        match (set, fact) {
            (_, Fact::Unknown) => Match::Maybe,
            // Observed in AWS, where the documented rules collide: `IfExists` does not save
            // `ForAnyValue` from a missing key.
            (SetOperator::ForAnyValue, Fact::Absent) => Match::No,
            (SetOperator::ForAllValues, Fact::Absent) => Match::Yes,
            (SetOperator::None, Fact::Absent) => Match::from(self.operator.if_exists || is_negated),
            (SetOperator::None, Fact::Known(Value::Many(values))) => {
                match (values.at(0), values.at(1)) {
                    // CONTESTED: present without a value may count as absent.
                    (None, _) if is_negated => Match::Yes,
                    (None, _) if self.operator.if_exists => Match::Maybe,
                    (None, _) => Match::No,
                    (Some(only), None) => self.match_value(Value::Text(only), context),
                    (Some(_), Some(_)) => SEVERAL_VALUES_WITHOUT_SET,
                }
            }
            (SetOperator::None, Fact::Known(value)) => self.match_value(value, context),
            (set, Fact::Known(value)) => {
                let result = self.match_set(set, value, context);
                match set {
                    // CONTESTED: a set whose only member is the empty string may count as the
                    // empty set.
                    SetOperator::ForAllValues if is_empty_text(value) => result.max(Match::Maybe),
                    _ if is_empty_text(value) => result.at_most_maybe(),
                    _ => result,
                }
            }
        }
    }

    fn match_set(&self, set: SetOperator, value: Value<'_>, context: &dyn Context) -> Match {
        let Value::Many(values) = value else {
            return self.match_value(value, context);
        };
        let texts = (0..).map_while(|index| values.at(index));
        let results = texts.map(|text| self.match_value(Value::Text(text), context));
        match set {
            SetOperator::ForAllValues => results.fold(Match::Yes, Match::and),
            _ => results.fold(Match::No, Match::or),
        }
    }

    /// One request value against all values of the policy: OR, or NOR for a negated operator. A
    /// policy value whose variable has no value is null: nothing equals null, so a negated operator
    /// matches (reference_policies_variables, policy variables with no value).
    fn match_value(&self, value: Value<'_>, context: &dyn Context) -> Match {
        if matches!(value, Value::Opaque) {
            return Match::Maybe;
        }
        self.equals_any(value, context)
            .unwrap_or(VALUE_OF_ANOTHER_TYPE)
            .negate_if(self.operator.is_negated())
    }

    /// Whether one of the policy's values equals `value`; `None` if `value` is of another type.
    fn equals_any(&self, value: Value<'_>, context: &dyn Context) -> Option<Match> {
        let text = || ValueText::of(value, self.key.key());
        Some(match &self.values {
            ConditionValues::Null(_) => Match::No,
            ConditionValues::Bool(values) => {
                let value = match value {
                    Value::Bool(value) => value,
                    _ => parse_bool(text()?.as_str())?,
                };
                values.contains(&value).into()
            }
            ConditionValues::Numeric(comparison, numbers) => {
                let text = text()?;
                let value = Decimal::parse(text.as_str())?;
                any_match(numbers, |number| {
                    comparison.holds(value.compare(number)).into()
                })
            }
            ConditionValues::Date(comparison, dates) => {
                let value = match value {
                    Value::Time(millis) => DateValue::from_millis(millis),
                    Value::Number(seconds) => DateValue::from_seconds(seconds),
                    _ => DateValue::parse(text()?.as_str())?,
                };
                any_match(dates, |date| {
                    value.compare(*date, |order| comparison.holds(order))
                })
            }
            ConditionValues::IpAddress(networks) => {
                let address = match value {
                    Value::Ip(address) => address,
                    _ => text()?.as_str().parse().ok()?,
                };
                // An IPv4-mapped IPv6 address counts as IPv4.
                let address = address.to_canonical();
                any_match(networks, |network| network.contains(&address).into())
            }
            ConditionValues::String(patterns) => {
                let text = text()?;
                any_match(patterns, |pattern| pattern.matches(text.as_str(), context))
            }
            ConditionValues::StringIgnoreCase(patterns) => {
                let text = text()?;
                any_match(patterns, |pattern| {
                    equals_ignore_case(pattern, text.as_str(), context)
                })
            }
            ConditionValues::Arn(arns) => {
                let text = text()?;
                any_match(arns, |arn| arn.matches(text.as_str(), context))
            }
            ConditionValues::Binary(values) => {
                let text = text()?;
                any_match(values, |bytes| match text.as_str() {
                    text if **bytes == *text.as_bytes() => Match::Yes,
                    // CONTESTED: whether the request's value reaches the policy decoded.
                    text => Match::from(is_base64_of(text, bytes)).at_most_maybe(),
                })
            }
        })
    }

    /// The operator `Null`: `true` matches an absent key, `false` a key that is not null.
    fn evaluate_null(&self, values: &[bool], fact: Fact<Value<'_>>) -> Match {
        match self.operator.set {
            SetOperator::ForAllValues => return Match::Yes,
            SetOperator::ForAnyValue => return Match::No,
            SetOperator::None if values.is_empty() => return NO_POLICY_VALUES,
            SetOperator::None => {}
        }
        let is_null = match fact {
            Fact::Unknown => Match::Maybe,
            Fact::Absent => Match::Yes,
            Fact::Known(Value::Many(values)) if values.at(0).is_none() => NULL_OF_EMPTY,
            Fact::Known(value) if is_empty_text(value) => NULL_OF_EMPTY,
            Fact::Known(_) => Match::No,
        };
        any_match(values, |&value| is_null.negate_if(!value))
    }

    /// The empty list as the policy's values (access-analyzer-reference-policy-checks).
    fn evaluate_without_values(&self, fact: Fact<Value<'_>>) -> Match {
        let is_missing = match fact {
            Fact::Unknown => Match::Maybe,
            Fact::Absent => Match::Yes,
            Fact::Known(Value::Many(values)) if values.at(0).is_none() => Match::Maybe,
            Fact::Known(_) => Match::No,
        };
        match self.operator.set {
            SetOperator::ForAnyValue => Match::No,
            SetOperator::ForAllValues => is_missing,
            SetOperator::None if self.operator.if_exists => is_missing,
            SetOperator::None => NO_POLICY_VALUES,
        }
    }
}

/// Whether the empty string is the only value.
fn is_empty_text(value: Value<'_>) -> bool {
    match value {
        Value::Text(text) => text.is_empty(),
        Value::Many(values) => values.at(0) == Some("") && values.at(1).is_none(),
        _ => false,
    }
}

fn equals_ignore_case(pattern: &Pattern, text: &str, context: &dyn Context) -> Match {
    match pattern {
        Pattern::Dynamic(template) => match template.matches_ignore_case(text, context) {
            Match::No if !text.is_ascii() => Match::Maybe,
            result => result,
        },
        Pattern::Literal(literal) => eq_ignore_case(literal, text),
        _ => Match::No,
    }
}

fn any_match<T>(values: &[T], test: impl Fn(&T) -> Match) -> Match {
    let mut result = Match::No;
    for value in values {
        result = result.or(test(value));
        if result == Match::Yes {
            break;
        }
    }
    result
}
