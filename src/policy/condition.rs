//! The Condition element: operators over condition keys, compiled to typed values.
//!
//! IAM User Guide: reference_policies_elements_condition, …_condition_operators,
//! …_multi-value-conditions.

pub(super) mod arn;
pub(super) mod base64;
pub(super) mod date;
pub(super) mod element;
pub(super) mod key;
pub(super) mod number;
pub(super) mod operator;
pub(super) mod value;
pub(super) mod values;

use std::cmp::Ordering;

use ipnet::IpNet;

use crate::policy::condition::arn::ArnTest;
use crate::policy::condition::date::Instant;
use crate::policy::condition::key::{Key, OwnedKey};
use crate::policy::condition::number::OwnedDecimal;
use crate::policy::condition::operator::{Comparison, Operator, Set};
use crate::policy::condition::value::{address, instant, number, render};
use crate::policy::pattern::Pattern;
use crate::policy::request::{Context, Fact, Value};
use crate::policy::template::equal_folded;
use crate::policy::ternary::Match;

/// One operator over one key.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) operator: Operator,
    pub(super) key: OwnedKey,
    pub(super) test: Test,
    /// CONTESTED: the key can have several values and the operator has no `ForAllValues` or
    /// `ForAnyValue`. The policy check calls that an error and does not say what it decides.
    pub(super) needs_set: bool,
    /// The values as written, for explanations.
    pub(super) written: Box<[Box<str>]>,
}

/// The policy's values, by type.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Text(Box<[Pattern]>),
    FoldedText(Box<[Pattern]>),
    Arn(Box<[ArnTest]>),
    Number(Comparison, Box<[OwnedDecimal]>),
    Date(Comparison, Box<[Instant]>),
    Bool(Box<[bool]>),
    Binary(Box<[Box<[u8]>]>),
    Ip(Box<[IpNet]>),
    Null(Box<[bool]>),
}

/// CONTESTED: a key that has several values under an operator without `ForAllValues` or
/// `ForAnyValue`. Documents call the policy an error and do not say what it decides.
const SEVERAL_VALUES_WITHOUT_SET: Match = Match::Maybe;

/// CONTESTED: a request value that is not of the operator's type (text under `NumericEquals`).
const VALUE_OF_ANOTHER_TYPE: Match = Match::Maybe;

/// CONTESTED: `Null` on a key that is present but empty.
const NULL_OF_EMPTY: Match = Match::Maybe;

/// CONTESTED: an empty list of values under an operator without set or `IfExists`.
const NO_POLICY_VALUES: Match = Match::Maybe;

impl Condition {
    pub(super) fn matches(&self, context: &dyn Context) -> Match {
        let found = self.literally(context);
        if self.needs_set {
            found.at_most_maybe()
        } else {
            found
        }
    }

    fn literally(&self, context: &dyn Context) -> Match {
        let fact = context.value(self.key.key());
        if let Test::Null(wanted) = &self.test {
            return self.null(wanted, fact);
        }
        if self.test.is_empty() {
            return self.without_values(fact);
        }
        match (self.operator.set, fact) {
            (_, Fact::Unknown) => Match::Maybe,
            // Observed in AWS, where the documented rules collide: `IfExists` does not save
            // `ForAnyValue` from a missing key.
            (Set::Any, Fact::Absent) => Match::No,
            (Set::All, Fact::Absent) => Match::Yes,
            (Set::None, Fact::Absent) => {
                Match::from(self.operator.if_exists || self.operator.negated())
            }
            (Set::None, Fact::Known(Value::Many(values))) => match (values.at(0), values.at(1)) {
                // CONTESTED: present without a value may count as absent.
                (None, _) if self.operator.negated() => Match::Yes,
                (None, _) if self.operator.if_exists => Match::Maybe,
                (None, _) => Match::No,
                (Some(only), None) => self.one(Value::Text(only), context),
                (Some(_), Some(_)) => SEVERAL_VALUES_WITHOUT_SET,
            },
            (Set::None, Fact::Known(value)) => self.one(value, context),
            (set, Fact::Known(Value::Many(values))) => {
                let mut found = Match::from(set == Set::All);
                let mut index = 0;
                while let Some(text) = values.at(index) {
                    let one = self.one(Value::Text(text), context);
                    found = if set == Set::All {
                        found.and(one)
                    } else {
                        found.or(one)
                    };
                    index += 1;
                }
                if index == 1 && values.at(0) == Some("") {
                    or_null(set, found)
                } else {
                    found
                }
            }
            (set, Fact::Known(value)) => {
                let found = self.one(value, context);
                if matches!(value, Value::Text("")) {
                    or_null(set, found)
                } else {
                    found
                }
            }
        }
    }

    /// One request value against all values of the policy: OR, or NOR for a negated operator. A
    /// policy value whose variable has no value is null: nothing equals it, so that a negated
    /// operator matches (reference_policies_variables, policy variables with no value).
    fn one(&self, value: Value<'_>, context: &dyn Context) -> Match {
        if matches!(value, Value::Opaque) {
            return Match::Maybe;
        }
        self.any(value, context).negate_if(self.operator.negated())
    }

    fn any(&self, value: Value<'_>, context: &dyn Context) -> Match {
        let key = self.key.key();
        match &self.test {
            Test::Null(_) => Match::No,
            Test::Bool(wanted) => match value {
                Value::Bool(value) => Match::from(wanted.contains(&value)),
                value => match render(value, key).and_then(|text| parse_bool(text.as_str())) {
                    Some(value) => Match::from(wanted.contains(&value)),
                    None => VALUE_OF_ANOTHER_TYPE,
                },
            },
            Test::Number(comparison, wanted) => {
                let rendered = render(value, key);
                let Some(value) = rendered.as_ref().and_then(number) else {
                    return VALUE_OF_ANOTHER_TYPE;
                };
                best(wanted, |wanted| {
                    comparison.holds(value.compare(wanted.as_decimal())).into()
                })
            }
            Test::Date(comparison, wanted) => {
                let Some(value) = instant(value, key) else {
                    return VALUE_OF_ANOTHER_TYPE;
                };
                best(wanted, |wanted| {
                    value.test(*wanted, |order| comparison.holds(order))
                })
            }
            Test::Ip(wanted) => {
                let Some(value) = address(value, key) else {
                    return VALUE_OF_ANOTHER_TYPE;
                };
                best(wanted, |wanted| wanted.contains(&value).into())
            }
            Test::Text(wanted) => {
                let Some(text) = render(value, key) else {
                    return VALUE_OF_ANOTHER_TYPE;
                };
                best(wanted, |wanted| wanted.matches(text.as_str(), context))
            }
            Test::FoldedText(wanted) => {
                let Some(text) = render(value, key) else {
                    return VALUE_OF_ANOTHER_TYPE;
                };
                best(wanted, |wanted| match wanted {
                    Pattern::Dynamic(template) => {
                        let found = template.matches_folded(text.as_str(), context);
                        let plain = found != Match::No || text.as_str().is_ascii();
                        if plain { found } else { Match::Maybe }
                    }
                    Pattern::Literal(literal) => equal_folded(literal, text.as_str()),
                    _ => Match::No,
                })
            }
            Test::Arn(wanted) => {
                let Some(text) = render(value, key) else {
                    return VALUE_OF_ANOTHER_TYPE;
                };
                best(wanted, |wanted| wanted.matches(text.as_str(), context))
            }
            Test::Binary(wanted) => {
                let Some(text) = render(value, key) else {
                    return VALUE_OF_ANOTHER_TYPE;
                };
                best(wanted, |wanted| {
                    if **wanted == *text.as_str().as_bytes() {
                        return Match::Yes;
                    }
                    // CONTESTED: whether the request's value reaches the policy decoded.
                    Match::from(base64::decodes_to(text.as_str(), wanted)).at_most_maybe()
                })
            }
        }
    }

    /// `true` = absent, `false` = present and not null.
    fn null(&self, wanted: &[bool], fact: Fact<Value<'_>>) -> Match {
        match self.operator.set {
            Set::All => return Match::Yes,
            Set::Any => return Match::No,
            Set::None if wanted.is_empty() => return NO_POLICY_VALUES,
            Set::None => {}
        }
        let is_null = match fact {
            Fact::Unknown => Match::Maybe,
            Fact::Absent => Match::Yes,
            Fact::Known(Value::Text("")) => NULL_OF_EMPTY,
            Fact::Known(Value::Many(values)) => match (values.at(0), values.at(1)) {
                (None, _) | (Some(""), None) => NULL_OF_EMPTY,
                _ => Match::No,
            },
            Fact::Known(_) => Match::No,
        };
        best(wanted, |&wanted| is_null.negate_if(!wanted))
    }

    /// `[]` as the policy's values, as the policy-check reference tells it.
    fn without_values(&self, fact: Fact<Value<'_>>) -> Match {
        let missing = match fact {
            Fact::Unknown => Match::Maybe,
            Fact::Absent => Match::Yes,
            Fact::Known(Value::Many(values)) if values.at(0).is_none() => Match::Maybe,
            Fact::Known(_) => Match::No,
        };
        match self.operator.set {
            Set::Any => Match::No,
            Set::All => missing,
            Set::None if self.operator.if_exists => missing,
            Set::None => NO_POLICY_VALUES,
        }
    }
}

/// CONTESTED: a set whose only member is the empty string may count as the empty set.
fn or_null(set: Set, literally: Match) -> Match {
    match set {
        Set::All => literally.max(Match::Maybe),
        Set::Any => literally.at_most_maybe(),
        Set::None => literally,
    }
}

fn best<T>(wanted: &[T], test: impl Fn(&T) -> Match) -> Match {
    let mut found = Match::No;
    for wanted in wanted {
        found = found.or(test(wanted));
        if found == Match::Yes {
            break;
        }
    }
    found
}

pub(super) fn parse_bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

impl Test {
    fn is_empty(&self) -> bool {
        match self {
            Test::Text(values) | Test::FoldedText(values) => values.is_empty(),
            Test::Arn(values) => values.is_empty(),
            Test::Number(_, values) => values.is_empty(),
            Test::Date(_, values) => values.is_empty(),
            Test::Bool(values) | Test::Null(values) => values.is_empty(),
            Test::Binary(values) => values.is_empty(),
            Test::Ip(values) => values.is_empty(),
        }
    }

    /// The keys that the values use as variables.
    pub(super) fn variables(&self) -> Vec<Key<'_>> {
        match self {
            Test::Text(values) | Test::FoldedText(values) => {
                values.iter().flat_map(Pattern::variables).collect()
            }
            Test::Arn(values) => values.iter().flat_map(ArnTest::variables).collect(),
            _ => Vec::new(),
        }
    }

    /// A variable without a default in one of the values.
    pub(super) fn bare_variable(&self) -> Option<Key<'_>> {
        match self {
            Test::Text(values) | Test::FoldedText(values) => {
                values.iter().find_map(Pattern::bare_variable)
            }
            Test::Arn(values) => values.iter().find_map(ArnTest::bare_variable),
            _ => None,
        }
    }
}

impl Comparison {
    pub(super) fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal | Comparison::NotEqual => order.is_eq(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }
    }
}
