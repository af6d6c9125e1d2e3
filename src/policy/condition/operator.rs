//! The names of condition operators.
//!
//! IAM User Guide: reference_policies_elements_condition_operators.

use std::fmt;

/// A condition operator with its set prefix and suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Operator {
    pub(in crate::policy) set: Set,
    pub(in crate::policy) base: Base,
    pub(in crate::policy) if_exists: bool,
    name: &'static str,
}

/// The set prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Set {
    None,
    /// `ForAllValues:`
    All,
    /// `ForAnyValue:`
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Base {
    Text {
        negated: bool,
        folded: bool,
        wildcards: bool,
    },
    Arn {
        negated: bool,
    },
    Numeric(Comparison),
    Date(Comparison),
    Bool,
    Binary,
    Ip {
        negated: bool,
    },
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

const fn text(negated: bool, folded: bool, wildcards: bool) -> Base {
    Base::Text {
        negated,
        folded,
        wildcards,
    }
}

const OPERATORS: &[(&str, Base)] = &[
    ("StringEquals", text(false, false, false)),
    ("StringNotEquals", text(true, false, false)),
    ("StringEqualsIgnoreCase", text(false, true, false)),
    ("StringNotEqualsIgnoreCase", text(true, true, false)),
    ("StringLike", text(false, false, true)),
    ("StringNotLike", text(true, false, true)),
    ("NumericEquals", Base::Numeric(Comparison::Equal)),
    ("NumericNotEquals", Base::Numeric(Comparison::NotEqual)),
    ("NumericLessThan", Base::Numeric(Comparison::Less)),
    (
        "NumericLessThanEquals",
        Base::Numeric(Comparison::LessOrEqual),
    ),
    ("NumericGreaterThan", Base::Numeric(Comparison::Greater)),
    (
        "NumericGreaterThanEquals",
        Base::Numeric(Comparison::GreaterOrEqual),
    ),
    ("DateEquals", Base::Date(Comparison::Equal)),
    ("DateNotEquals", Base::Date(Comparison::NotEqual)),
    ("DateLessThan", Base::Date(Comparison::Less)),
    ("DateLessThanEquals", Base::Date(Comparison::LessOrEqual)),
    ("DateGreaterThan", Base::Date(Comparison::Greater)),
    (
        "DateGreaterThanEquals",
        Base::Date(Comparison::GreaterOrEqual),
    ),
    ("Bool", Base::Bool),
    ("BinaryEquals", Base::Binary),
    ("IpAddress", Base::Ip { negated: false }),
    ("NotIpAddress", Base::Ip { negated: true }),
    // ArnEquals and ArnLike behave identically.
    ("ArnEquals", Base::Arn { negated: false }),
    ("ArnLike", Base::Arn { negated: false }),
    ("ArnNotEquals", Base::Arn { negated: true }),
    ("ArnNotLike", Base::Arn { negated: true }),
    ("Null", Base::Null),
];

impl Operator {
    /// Reads a name; case counts, as in all documentation.
    pub(in crate::policy) fn parse(written: &str) -> Option<Operator> {
        let (set, rest) = match written.split_once(':') {
            None => (Set::None, written),
            Some(("ForAllValues", rest)) => (Set::All, rest),
            Some(("ForAnyValue", rest)) => (Set::Any, rest),
            Some(_) => return None,
        };
        let (bare, if_exists) = match rest.strip_suffix("IfExists") {
            Some(bare) => (bare, true),
            None => (rest, false),
        };
        let (name, base) = OPERATORS.iter().find(|(name, _)| *name == bare)?;
        Some(Operator {
            set,
            base: *base,
            if_exists,
            name,
        })
    }

    /// What a name may be meant for that differs in case alone.
    pub(in crate::policy) fn of_any_case(written: &str) -> Option<String> {
        ["", "ForAllValues:", "ForAnyValue:"]
            .iter()
            .flat_map(|set| {
                OPERATORS.iter().flat_map(move |(name, _)| {
                    ["", "IfExists"].map(|end| format!("{set}{name}{end}"))
                })
            })
            .find(|name| name.eq_ignore_ascii_case(written))
    }

    /// Is it the opposite of another operator? Such operators match where the key is missing.
    pub(in crate::policy) fn negated(self) -> bool {
        match self.base {
            Base::Text { negated, .. } | Base::Arn { negated } | Base::Ip { negated } => negated,
            Base::Numeric(comparison) | Base::Date(comparison) => {
                comparison == Comparison::NotEqual
            }
            Base::Bool | Base::Binary | Base::Null => false,
        }
    }

    pub(in crate::policy) fn has_wildcards(self) -> bool {
        matches!(
            self.base,
            Base::Text {
                wildcards: true,
                ..
            } | Base::Arn { .. }
        )
    }

    pub(in crate::policy) fn takes_variables(self) -> bool {
        matches!(self.base, Base::Text { .. } | Base::Arn { .. })
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.set {
            Set::None => "",
            Set::All => "ForAllValues:",
            Set::Any => "ForAnyValue:",
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
