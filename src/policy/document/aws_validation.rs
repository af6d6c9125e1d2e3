//! AWS's validation: the errors of AWS's policy check in a document that can be evaluated.
//!
//! IAM User Guide: access-analyzer-reference-policy-checks.

use std::net::IpAddr;

use crate::policy::condition::arn::segments;
use crate::policy::condition::operator::{Operator, OperatorKind};
use crate::policy::condition::values::ConditionValues;
use crate::policy::condition_key::Key;
use crate::policy::diagnostic::Problem;

/// Checks the values of one condition against the format of its key. Calls `report` with the index
/// of the value, or with `None` for all values.
pub(in crate::policy) fn check_values(
    operator: Operator,
    key: Key<'_>,
    source_values: &[&str],
    values: &ConditionValues,
    mut report: impl FnMut(Option<usize>, Problem),
) {
    if let OperatorKind::String { .. } = operator.kind {
        for (index, value) in source_values.iter().enumerate() {
            let is_open =
                value.contains("${") || (operator.has_wildcards() && value.contains(['*', '?']));
            if !is_open && let Some(problem) = format_problem(key, value) {
                report(Some(index), problem);
            }
        }
    }
    if let (Key::SourceIp, ConditionValues::IpAddress(networks)) = (key, values)
        && !networks.is_empty()
        && networks.iter().all(|network| is_private(network.addr()))
    {
        let message = "`aws:SourceIp` is a public address, and these are private";
        report(
            None,
            Problem::new("private-source-ip", message)
                .fix("use `aws:VpcSourceIp` for addresses inside of a VPC"),
        );
    }
}

fn format_problem(key: Key<'_>, value: &str) -> Option<Problem> {
    let (code, what, fix) = match key {
        Key::SourceVpce if !is_id(value, "vpce-") => (
            "vpce-format",
            "the id of a VPC endpoint",
            "write `vpce-` and 8 or 17 letters and digits",
        ),
        Key::SourceVpc if !is_id(value, "vpc-") => (
            "vpc-format",
            "the id of a VPC",
            "write `vpc-` and 8 or 17 letters and digits",
        ),
        Key::RequestedRegion if !is_region(value) => {
            ("region-format", "a region", "write it as `us-east-1`")
        }
        _ => return None,
    };
    Some(Problem::new(code, format!("`{value}` is not {what}")).fix(fix))
}

/// Checks the region and the account of an ARN in a Resource element.
pub(in crate::policy) fn check_resource(text: &str, variables: bool) -> Result<(), Problem> {
    let Some([_, _, service, region, account, _]) = segments(text, variables) else {
        return Ok(());
    };
    let (code, message, fix) = if service == "kinesis" && region.is_empty() {
        (
            "resource-region",
            format!("`{text}` names no region"),
            "write a region, or `*`",
        )
    } else if service == "kinesis" && account.is_empty() {
        (
            "resource-account",
            format!("`{text}` names no account"),
            "write an account id, or `*`",
        )
    } else if !region.is_empty() && !region.contains(['*', '?']) && !is_region(region) {
        (
            "resource-region",
            format!("`{text}`: `{region}` is not a region"),
            "write it as `us-east-1`, or `*`",
        )
    } else {
        return Ok(());
    };
    Err(Problem::new(code, message).fix(fix))
}

fn is_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|id| {
        matches!(id.len(), 8 | 17) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// The shape of a region's name: `us-east-1`, `us-gov-west-1`, `eusc-de-east-1`.
fn is_region(text: &str) -> bool {
    let mut parts = text.split('-');
    let (Some(area), Some(number)) = (parts.next(), parts.next_back()) else {
        return false;
    };
    let word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let middle: Vec<&str> = parts.collect();
    matches!(area.len(), 2..=4)
        && word(area)
        && matches!(middle.len(), 1 | 2)
        && middle.into_iter().all(word)
        && matches!(number.len(), 1 | 2)
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_id, is_region};

    #[test]
    fn formats() {
        for region in [
            "us-east-1",
            "us-gov-west-1",
            "cn-northwest-1",
            "us-isob-east-1",
            "eusc-de-east-1",
        ] {
            assert!(is_region(region), "{region}");
        }
        for wrong in [
            "",
            "US-EAST-1",
            "us-east",
            "us-east-",
            "useast1",
            "us-east-1a",
            "-",
            "us--1",
        ] {
            assert!(!is_region(wrong), "{wrong}");
        }
        assert!(is_id("vpce-11aa22bb", "vpce-") && is_id("vpc-11223344556677889", "vpc-"));
        assert!(!is_id("vpce-1", "vpce-") && !is_id("vpc-11aa22bb", "vpce-"));
    }
}
