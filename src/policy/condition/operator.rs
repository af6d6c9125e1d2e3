//! Condition operators: their names, set operators and the suffix `IfExists`.
//!
//! IAM User Guide: reference_policies_elements_condition_operators.

use std::cmp::Ordering;
use std::fmt;

use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
use OperatorKind::{Arn, Date, IpAddress, Numeric};

/// A condition operator, with its set operator and its suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Operator {
    pub(in crate::policy) set: SetOperator,
    pub(in crate::policy) kind: OperatorKind,
    pub(in crate::policy) if_exists: bool,
    name: &'static str,
}

/// The prefix of a condition with a multivalued key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum SetOperator {
    None,
    ForAllValues,
    ForAnyValue,
}

/// The comparison of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum OperatorKind {
    String {
        negated: bool,
        ignore_case: bool,
        wildcards: bool,
    },
    Arn {
        negated: bool,
    },
    Numeric(Comparison),
    Date(Comparison),
    Bool,
    Binary,
    IpAddress {
        negated: bool,
    },
    Null,
}

/// The order that a Numeric or Date operator requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub(in crate::policy) fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal | Comparison::NotEqual => order.is_eq(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }
    }
}

const fn string(negated: bool, ignore_case: bool, wildcards: bool) -> OperatorKind {
    OperatorKind::String {
        negated,
        ignore_case,
        wildcards,
    }
}

const OPERATORS: &[(&str, OperatorKind)] = &[
    ("StringEquals", string(false, false, false)),
    ("StringNotEquals", string(true, false, false)),
    ("StringEqualsIgnoreCase", string(false, true, false)),
    ("StringNotEqualsIgnoreCase", string(true, true, false)),
    ("StringLike", string(false, false, true)),
    ("StringNotLike", string(true, false, true)),
    ("NumericEquals", Numeric(Equal)),
    ("NumericNotEquals", Numeric(NotEqual)),
    ("NumericLessThan", Numeric(Less)),
    ("NumericLessThanEquals", Numeric(LessOrEqual)),
    ("NumericGreaterThan", Numeric(Greater)),
    ("NumericGreaterThanEquals", Numeric(GreaterOrEqual)),
    ("DateEquals", Date(Equal)),
    ("DateNotEquals", Date(NotEqual)),
    ("DateLessThan", Date(Less)),
    ("DateLessThanEquals", Date(LessOrEqual)),
    ("DateGreaterThan", Date(Greater)),
    ("DateGreaterThanEquals", Date(GreaterOrEqual)),
    ("Bool", OperatorKind::Bool),
    ("BinaryEquals", OperatorKind::Binary),
    ("IpAddress", IpAddress { negated: false }),
    ("NotIpAddress", IpAddress { negated: true }),
    // ArnEquals and ArnLike behave identically.
    ("ArnEquals", Arn { negated: false }),
    ("ArnLike", Arn { negated: false }),
    ("ArnNotEquals", Arn { negated: true }),
    ("ArnNotLike", Arn { negated: true }),
    ("Null", OperatorKind::Null),
];

impl Operator {
    /// Parses a name. Case matters, as in all of AWS's documentation.
    pub(in crate::policy) fn parse(text: &str) -> Option<Operator> {
        let (set, rest) = match text.split_once(':') {
            None => (SetOperator::None, text),
            Some(("ForAllValues", rest)) => (SetOperator::ForAllValues, rest),
            Some(("ForAnyValue", rest)) => (SetOperator::ForAnyValue, rest),
            Some(_) => return None,
        };
        let (bare, if_exists) = match rest.strip_suffix("IfExists") {
            Some(bare) => (bare, true),
            None => (rest, false),
        };
        let (name, kind) = OPERATORS.iter().find(|(name, _)| *name == bare)?;
        Some(Operator {
            set,
            kind: *kind,
            if_exists,
            name,
        })
    }

    /// The operator's name that differs from `text` only in case.
    pub(in crate::policy) fn name_in_any_case(text: &str) -> Option<String> {
        ["", "ForAllValues:", "ForAnyValue:"]
            .iter()
            .flat_map(|set| {
                OPERATORS.iter().flat_map(move |(name, _)| {
                    ["", "IfExists"].map(|end| format!("{set}{name}{end}"))
                })
            })
            .find(|name| name.eq_ignore_ascii_case(text))
    }

    /// Whether the operator negates another operator. Negated operators match a missing key.
    pub(in crate::policy) fn is_negated(self) -> bool {
        match self.kind {
            OperatorKind::String { negated, .. } | Arn { negated } | IpAddress { negated } => {
                negated
            }
            Numeric(comparison) | Date(comparison) => comparison == NotEqual,
            OperatorKind::Bool | OperatorKind::Binary | OperatorKind::Null => false,
        }
    }

    pub(in crate::policy) fn has_wildcards(self) -> bool {
        matches!(
            self.kind,
            OperatorKind::String {
                wildcards: true,
                ..
            } | Arn { .. }
        )
    }

    pub(in crate::policy) fn takes_variables(self) -> bool {
        matches!(self.kind, OperatorKind::String { .. } | Arn { .. })
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.set {
            SetOperator::None => "",
            SetOperator::ForAllValues => "ForAllValues:",
            SetOperator::ForAnyValue => "ForAnyValue:",
        })?;
        f.write_str(self.name)?;
        f.write_str(if self.if_exists { "IfExists" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::{OPERATORS, Operator};

    #[test]
    fn every_operator_is_read_and_written() {
        for (name, _) in OPERATORS {
            for prefix in ["", "ForAllValues:", "ForAnyValue:"] {
                for suffix in ["", "IfExists"] {
                    let written = format!("{prefix}{name}{suffix}");
                    assert_eq!(
                        Operator::parse(&written).expect(&written).to_string(),
                        written
                    );
                }
            }
        }
        for wrong in [
            "stringEquals",
            "StringEqual",
            "ForEach:StringEquals",
            "StringEqualsifExists",
            "",
            "Not",
        ] {
            assert!(Operator::parse(wrong).is_none(), "{wrong}");
        }
    }
}
