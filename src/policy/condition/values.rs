//! The values of a condition, as a document has them, typed for their operator.

use ipnet::IpNet;

use crate::policy::condition::arn::ArnTest;
use crate::policy::condition::base64;
use crate::policy::condition::date::Instant;
use crate::policy::condition::key::Key;
use crate::policy::condition::number::OwnedDecimal;
use crate::policy::condition::operator::{Base, Operator};
use crate::policy::condition::{Test, parse_bool};
use crate::policy::diagnostic::Problem;
use crate::policy::pattern::Pattern;

impl Test {
    /// Types the values of a policy for an operator.
    pub(in crate::policy) fn compile(
        operator: Operator,
        values: &[&str],
        variables: bool,
        mut problem: impl FnMut(usize, Problem),
    ) -> Test {
        let mut each = |of: &mut dyn FnMut(&str) -> Result<(), Problem>| {
            for (index, value) in values.iter().enumerate() {
                let checked = refuse_variable(operator, value, variables).and_then(|()| of(value));
                if let Err(found) = checked {
                    problem(index, found);
                }
            }
        };
        macro_rules! collect {
            ($parse:expr) => {{
                let mut out = Vec::with_capacity(values.len());
                each(&mut |value| {
                    out.push($parse(value)?);
                    Ok(())
                });
                out.into()
            }};
        }
        let text = |value: &str| {
            let syntax = crate::policy::template::Syntax {
                variables,
                wildcards: operator.has_wildcards(),
            };
            Pattern::parse(value, syntax)
        };
        match operator.base {
            Base::Text { folded: false, .. } => Test::Text(collect!(text)),
            Base::Text { folded: true, .. } => Test::FoldedText(collect!(text)),
            Base::Arn { .. } => Test::Arn(collect!(|value| ArnTest::compile(value, variables))),
            Base::Numeric(comparison) => Test::Number(
                comparison,
                collect!(|value: &str| OwnedDecimal::parse(value).ok_or_else(|| {
                    Problem::new("condition-number", format!("`{value}` is not a number"))
                        .fix("write an integer or a decimal, without exponent or blanks")
                })),
            ),
            Base::Date(comparison) => Test::Date(
                comparison,
                collect!(|value: &str| Instant::parse(value).ok_or_else(|| {
                    Problem::new("condition-date", format!("`{value}` is not a date"))
                        .fix("write `2026-01-31T00:00:00Z`, a date, or seconds since 1970")
                })),
            ),
            Base::Bool => Test::Bool(collect!(bool_value)),
            Base::Null => Test::Null(collect!(bool_value)),
            Base::Binary => Test::Binary(collect!(|value: &str| base64::decode(value).ok_or_else(
                || { Problem::new("condition-binary", format!("`{value}` is not base64")) }
            ))),
            Base::Ip { .. } => Test::Ip(collect!(network)),
        }
    }
}

/// Checks the form of a condition key's name.
pub(in crate::policy) fn check_key(name: &str) -> Result<(), Problem> {
    let bad_form = || {
        Problem::new(
            "condition-key-form",
            format!("`{name}` is not a condition key"),
        )
        .fix("write it as `service:key`")
    };
    let (service, rest) = name.split_once(':').ok_or_else(bad_form)?;
    if service.is_empty() || rest.is_empty() || name.contains(char::is_control) {
        return Err(bad_form());
    }
    if !service
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte))
    {
        return Err(bad_form());
    }
    if let Key::PrincipalTag("") | Key::RequestTag("") | Key::ResourceTag("") = Key::of(name) {
        return Err(
            Problem::new("condition-key-tag", format!("`{name}` names no tag"))
                .fix("write the tag's key after the slash"),
        );
    }
    Ok(())
}

/// Checks that a global or Kinesis condition key exists.
pub(in crate::policy) fn check_exists(name: &str) -> Result<(), Problem> {
    let service = name.split(':').next().unwrap_or(name);
    if let Key::Other(_) = Key::of(name) {
        if service.eq_ignore_ascii_case("aws") {
            return Err(Problem::new(
                "condition-key-unknown",
                format!("there is no global condition key `{name}`"),
            ));
        }
        if service.eq_ignore_ascii_case("kinesis") {
            return Err(Problem::new(
                "condition-key-unknown",
                format!("Kinesis has no condition key `{name}`"),
            ));
        }
    }
    Ok(())
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

fn bool_value(value: &str) -> Result<bool, Problem> {
    parse_bool(value).ok_or_else(|| {
        Problem::new("condition-boolean", format!("`{value}` is not a boolean"))
            .fix("write `true` or `false`")
    })
}

/// A CIDR block or a plain address, which stands for itself alone. Host bits may be set.
fn network(value: &str) -> Result<IpNet, Problem> {
    let refuse = || {
        Problem::new(
            "condition-address",
            format!("`{value}` is not an IP address or CIDR block"),
        )
        .fix("write `203.0.113.0/24` or `2001:db8::/32`")
    };
    let net: IpNet = match value.parse::<std::net::IpAddr>() {
        Ok(address) => address.into(),
        Err(_) => {
            let length = value.rsplit('/').next().unwrap_or("");
            if length.len() > 1 && length.starts_with('0')
                || !length.bytes().all(|b| b.is_ascii_digit())
            {
                return Err(refuse());
            }
            value.parse().map_err(|_| refuse())?
        }
    };
    // Addresses of requests are compared in their IPv4 form where they have one.
    if let IpNet::V6(v6) = net
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && v6.prefix_len() >= 96
    {
        let mapped = ipnet::Ipv4Net::new(v4, v6.prefix_len() - 96).map_err(|_| refuse())?;
        return Ok(mapped.into());
    }
    Ok(net)
}
