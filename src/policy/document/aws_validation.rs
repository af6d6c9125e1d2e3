//! What AWS's policy check calls an error although the document could be evaluated.
//!
//! IAM User Guide: access-analyzer-reference-policy-checks.

use std::net::IpAddr;

use crate::policy::condition::Test;
use crate::policy::condition::arn::segments;
use crate::policy::condition::key::Key;
use crate::policy::condition::operator::{Base, Operator};
use crate::policy::diagnostic::Problem;

/// Checks the values of one condition against the format of its key.
pub(in crate::policy) fn check_condition(
    operator: Operator,
    key: Key<'_>,
    values: &[&str],
    test: &Test,
    mut report: impl FnMut(Option<usize>, Problem),
) {
    if let Base::Text { .. } = operator.base {
        for (index, value) in values.iter().enumerate() {
            let open =
                value.contains("${") || (operator.has_wildcards() && value.contains(['*', '?']));
            if !open && let Some(problem) = text_format(key, value) {
                report(Some(index), problem);
            }
        }
    }
    if let (Key::SourceIp, Test::Ip(networks)) = (key, test)
        && !networks.is_empty()
        && networks.iter().all(|network| is_private(network.addr()))
    {
        report(
            None,
            Problem::new(
                "private-source-ip",
                "`aws:SourceIp` is a public address, and these are private",
            )
            .fix("use `aws:VpcSourceIp` for addresses inside of a VPC"),
        );
    }
}

fn text_format(key: Key<'_>, value: &str) -> Option<Problem> {
    match key {
        Key::SourceVpce if !is_id(value, "vpce-") => Some(
            Problem::new(
                "vpce-format",
                format!("`{value}` is not the id of a VPC endpoint"),
            )
            .fix("write `vpce-` and 8 or 17 letters and digits"),
        ),
        Key::SourceVpc if !is_id(value, "vpc-") => Some(
            Problem::new("vpc-format", format!("`{value}` is not the id of a VPC"))
                .fix("write `vpc-` and 8 or 17 letters and digits"),
        ),
        Key::RequestedRegion if !is_region(value) => Some(
            Problem::new("region-format", format!("`{value}` is not a region"))
                .fix("write it as `us-east-1`"),
        ),
        _ => None,
    }
}

/// Checks the parts of a Kinesis ARN in a Resource element.
pub(in crate::policy) fn check_resource(text: &str, variables: bool) -> Result<(), Problem> {
    let Some([_, _, service, region, account, _]) = segments(text, variables) else {
        return Ok(());
    };
    if service == "kinesis" && region.is_empty() {
        return Err(
            Problem::new("resource-region", format!("`{text}` names no region"))
                .fix("write a region, or `*`"),
        );
    }
    if service == "kinesis" && account.is_empty() {
        return Err(
            Problem::new("resource-account", format!("`{text}` names no account"))
                .fix("write an account id, or `*`"),
        );
    }
    if !region.is_empty() && !region.contains(['*', '?']) && !is_region(region) {
        return Err(Problem::new(
            "resource-region",
            format!("`{text}`: `{region}` is not a region"),
        )
        .fix("write it as `us-east-1`, or `*`"));
    }
    Ok(())
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
