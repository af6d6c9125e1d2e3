//! The values of a condition in a document, each in the type of the operator.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;

use crate::policy::condition::arn::ArnValue;
use crate::policy::condition::date::DateValue;
use crate::policy::condition::decimal::Decimal;
use crate::policy::condition::operator::{Comparison, Operator, OperatorKind};
use crate::policy::condition_key::Key;
use crate::policy::diagnostic::Problem;
use crate::policy::pattern::Pattern;
use crate::policy::template::Syntax;

/// The values of one condition, by type.
#[derive(Clone, Debug)]
pub(in crate::policy) enum ConditionValues {
    String(Box<[Pattern]>),
    StringIgnoreCase(Box<[Pattern]>),
    Arn(Box<[ArnValue]>),
    Numeric(Comparison, Box<[Decimal<Box<str>>]>),
    Date(Comparison, Box<[DateValue]>),
    Bool(Box<[bool]>),
    Binary(Box<[Box<[u8]>]>),
    IpAddress(Box<[IpNet]>),
    Null(Box<[bool]>),
}

impl ConditionValues {
    /// Parses the values of a document for `operator`. Calls `report` with the index of each value
    /// that has a problem.
    pub(in crate::policy) fn parse(
        operator: Operator,
        values: &[&str],
        variables: bool,
        mut report: impl FnMut(usize, Problem),
    ) -> ConditionValues {
        let mut each = |parse_one: &mut dyn FnMut(&str) -> Result<(), Problem>| {
            for (index, value) in values.iter().enumerate() {
                let checked = refuse_variable(operator, value, variables);
                if let Err(problem) = checked.and_then(|()| parse_one(value)) {
                    report(index, problem);
                }
            }
        };
        macro_rules! collect {
            ($parse:expr) => {{
                let mut parsed = Vec::with_capacity(values.len());
                each(&mut |value| {
                    parsed.push($parse(value)?);
                    Ok(())
                });
                parsed.into()
            }};
        }
        let pattern = |value: &str| {
            let syntax = Syntax {
                has_variables: variables,
                has_wildcards: operator.has_wildcards(),
            };
            Pattern::parse(value, syntax)
        };
        match operator.kind {
            OperatorKind::String {
                ignore_case: false, ..
            } => ConditionValues::String(collect!(pattern)),
            OperatorKind::String {
                ignore_case: true, ..
            } => ConditionValues::StringIgnoreCase(collect!(pattern)),
            OperatorKind::Arn { .. } => {
                ConditionValues::Arn(collect!(|value| ArnValue::parse(value, variables)))
            }
            OperatorKind::Numeric(comparison) => {
                ConditionValues::Numeric(comparison, collect!(parse_number))
            }
            OperatorKind::Date(comparison) => {
                ConditionValues::Date(comparison, collect!(parse_date))
            }
            OperatorKind::Bool => ConditionValues::Bool(collect!(parse_boolean)),
            OperatorKind::Null => ConditionValues::Null(collect!(parse_boolean)),
            OperatorKind::Binary => ConditionValues::Binary(collect!(parse_base64)),
            OperatorKind::IpAddress { .. } => ConditionValues::IpAddress(collect!(parse_network)),
        }
    }

    pub(in crate::policy) fn is_empty(&self) -> bool {
        match self {
            ConditionValues::String(values) | ConditionValues::StringIgnoreCase(values) => {
                values.is_empty()
            }
            ConditionValues::Arn(values) => values.is_empty(),
            ConditionValues::Numeric(_, values) => values.is_empty(),
            ConditionValues::Date(_, values) => values.is_empty(),
            ConditionValues::Bool(values) | ConditionValues::Null(values) => values.is_empty(),
            ConditionValues::Binary(values) => values.is_empty(),
            ConditionValues::IpAddress(values) => values.is_empty(),
        }
    }

    /// The patterns of the String and Arn operators. Only these operators accept variables.
    fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        let (strings, arns): (&[Pattern], &[ArnValue]) = match self {
            ConditionValues::String(values) | ConditionValues::StringIgnoreCase(values) => {
                (values, &[])
            }
            ConditionValues::Arn(values) => (&[], values),
            _ => (&[], &[]),
        };
        strings
            .iter()
            .chain(arns.iter().flat_map(ArnValue::patterns))
    }

    /// The keys of the variables in the values.
    pub(in crate::policy) fn variables(&self) -> Vec<Key<'_>> {
        self.patterns().flat_map(Pattern::variables).collect()
    }

    /// The first variable in the values that has no default.
    pub(in crate::policy) fn bare_variable(&self) -> Option<Key<'_>> {
        self.patterns().find_map(Pattern::bare_variable)
    }
}

/// Parses `true` or `false` in any case.
pub(in crate::policy) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// Whether `text` is the base64 text of `bytes`. Allocates nothing.
///
/// Padded base64 without stray bits has one text for each value, so that the texts can be compared.
pub(in crate::policy) fn is_base64_of(text: &str, bytes: &[u8]) -> bool {
    let mut encoded = [0; 64];
    let mut rest = text.as_bytes();
    for chunk in bytes.chunks(48) {
        let length = STANDARD.encode_slice(chunk, &mut encoded).unwrap_or(0);
        let expected = encoded.get(..length).unwrap_or(&[]);
        match rest.strip_prefix(expected) {
            Some(after) if length > 0 => rest = after,
            _ => return false,
        }
    }
    rest.is_empty()
}

fn refuse_variable(operator: Operator, value: &str, variables: bool) -> Result<(), Problem> {
    if variables && value.contains("${") && !operator.takes_variables() {
        return Err(Problem::new(
            "variable-operator",
            format!("`{operator}` takes no variables; only String and Arn operators do"),
        ));
    }
    Ok(())
}

fn parse_number(value: &str) -> Result<Decimal<Box<str>>, Problem> {
    Decimal::parse(value)
        .map(Decimal::into_owned)
        .ok_or_else(|| {
            Problem::new("condition-number", format!("`{value}` is not a number"))
                .fix("write an integer or a decimal, without exponent or blanks")
        })
}

fn parse_date(value: &str) -> Result<DateValue, Problem> {
    DateValue::parse(value).ok_or_else(|| {
        Problem::new("condition-date", format!("`{value}` is not a date"))
            .fix("write `2026-01-31T00:00:00Z`, a date, or seconds since 1970")
    })
}

fn parse_boolean(value: &str) -> Result<bool, Problem> {
    parse_bool(value).ok_or_else(|| {
        Problem::new("condition-boolean", format!("`{value}` is not a boolean"))
            .fix("write `true` or `false`")
    })
}

fn parse_base64(value: &str) -> Result<Box<[u8]>, Problem> {
    let decoded = STANDARD.decode(value).map(Vec::into_boxed_slice);
    decoded.map_err(|_| Problem::new("condition-binary", format!("`{value}` is not base64")))
}

/// Parses a CIDR block, with or without host bits, or an address, which is a block by itself.
fn parse_network(value: &str) -> Result<IpNet, Problem> {
    let refuse = || {
        let message = format!("`{value}` is not an IP address or CIDR block");
        Problem::new("condition-address", message).fix("write `203.0.113.0/24` or `2001:db8::/32`")
    };
    let net: IpNet = match value.parse::<std::net::IpAddr>() {
        Ok(address) => address.into(),
        Err(_) => {
            let length = value.rsplit('/').next().unwrap_or("");
            let is_padded = length.len() > 1 && length.starts_with('0');
            if is_padded || !length.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(refuse());
            }
            value.parse().map_err(|_| refuse())?
        }
    };
    // An address of a request is compared in its IPv4 form if it has one.
    if let IpNet::V6(v6) = net
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && v6.prefix_len() >= 96
    {
        let mapped = ipnet::Ipv4Net::new(v4, v6.prefix_len() - 96).map_err(|_| refuse())?;
        return Ok(mapped.into());
    }
    Ok(net)
}

#[cfg(test)]
mod tests {
    use super::{is_base64_of, parse_base64};

    #[test]
    fn base64_is_strict() {
        let decoded = parse_base64("QmluYXJ5VmFsdWVJbkJhc2U2NA==").expect("base64");
        assert_eq!(*decoded, *b"BinaryValueInBase64");
        assert_eq!(*parse_base64("").expect("base64"), *b"");
        for wrong in [
            "A", "AB", "AB=", "A===", "AB==\n", "A-==", "AB=C", "AR==", "AAA=AAA=",
        ] {
            assert!(parse_base64(wrong).is_err(), "{wrong}");
        }
        assert!(is_base64_of("AQI=", &[1, 2]) && is_base64_of("", &[]));
        for other in ["AQI=", "AQI", "AQJ=", "AQIDBA==", ""] {
            assert!(!is_base64_of(other, &[1, 2, 3]), "{other}");
        }
        for length in 0..200 {
            let text = "A".repeat(length);
            let expected = length == 4 * 48 / 3 * 2;
            assert_eq!(is_base64_of(&text, &[0; 96]), expected, "{length}");
        }
    }
}
