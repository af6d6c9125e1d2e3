//! Amazon Resource Names (ARNs) in a request.

use std::fmt;

/// The parts of an ARN. They are data: a `*` is a character and not a pattern.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, …
    pub partition: &'a str,
    /// `kinesis`, `kms`, …
    pub service: &'a str,
    /// `us-east-1`, …
    pub region: &'a str,
    /// Twelve digits.
    pub account: &'a str,
    /// The part after the fifth colon, `stream/MyStream`.
    pub resource: &'a str,
}

/// The text is not an ARN of a regional resource that an account owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidArn;

/// The model's limit for every ARN that names a resource.
const MAX_ARN_BYTES: usize = 2048;

impl<'a> Arn<'a> {
    /// Parses `arn:partition:service:region:account:resource`.
    ///
    /// # Errors
    /// If a part is missing or has a character that no such part has: an empty region or account,
    /// upper case before the resource, anything but printable ASCII in the resource.
    pub fn parse(text: &'a str) -> Result<Arn<'a>, InvalidArn> {
        if text.len() > MAX_ARN_BYTES {
            return Err(InvalidArn);
        }
        let mut parts = text.splitn(6, ':');
        let mut part = || parts.next().ok_or(InvalidArn);
        let (scheme, partition, service, region, account, resource) =
            (part()?, part()?, part()?, part()?, part()?, part()?);
        let is_valid = scheme == "arn"
            && (partition == "aws" || partition.starts_with("aws-"))
            && [partition, service, region].into_iter().all(is_label)
            && is_account(account)
            && !resource.is_empty()
            && resource.bytes().all(|byte| byte.is_ascii_graphic());
        if is_valid {
            Ok(Arn {
                partition,
                service,
                region,
                account,
                resource,
            })
        } else {
            Err(InvalidArn)
        }
    }
}

impl fmt::Display for Arn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Arn {
            partition,
            service,
            region,
            account,
            resource,
        } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

impl fmt::Display for InvalidArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an ARN of a regional resource")
    }
}

impl std::error::Error for InvalidArn {}

/// Whether the text is an account id.
pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the text is a lower-case host label, as partitions, services and regions are.
pub(super) fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, proptest};

    use super::{Arn, InvalidArn};

    #[test]
    fn parses_the_arns_of_requests() {
        for text in [
            "arn:aws:kinesis:us-east-1:123456789012:stream/MyStream",
            "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/s/consumer/c:1700000000",
            "arn:aws-us-gov:kms:us-gov-west-1:000000000000:key/12345678-1234-1234-1234-123456789012",
            "arn:aws:kinesis:us-east-1:123456789012:stream/*",
        ] {
            assert_eq!(
                Arn::parse(text).map(|arn| arn.to_string()).as_deref(),
                Ok(text)
            );
        }
    }

    #[test]
    fn refuses_other_text() {
        for text in [
            "",
            "arn",
            "arn:aws:kinesis:us-east-1:123456789012",
            "arn:aws:kinesis:us-east-1:123456789012:",
            "arn:aws:kinesis::123456789012:stream/s",
            "arn:aws:kinesis:us-east-1::stream/s",
            "arn:aws:kinesis:us-east-1:12345678901:stream/s",
            "arn:aws:kinesis:us-east-1:12345678901x:stream/s",
            "arn:aws:kinesis:US-EAST-1:123456789012:stream/s",
            "arn:aws:kinesis:*:123456789012:stream/s",
            "ARN:aws:kinesis:us-east-1:123456789012:stream/s",
            "arn:gcp:kinesis:us-east-1:123456789012:stream/s",
            "arn:awsx:kinesis:us-east-1:123456789012:stream/s",
            " arn:aws:kinesis:us-east-1:123456789012:stream/s",
            "arn:aws:kinesis:us-east-1:123456789012:stream/s\n",
            "arn:aws:kinesis:us-east-1:123456789012:stream/a b",
            "arn:aws:kinesis:us-east-1:123456789012:stream/\u{e9}",
        ] {
            assert_eq!(Arn::parse(text), Err(InvalidArn), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn an_arn_displays_as_its_text(text in "(arn|aws|:|[a-z0-9/*-]|[ -~]|\\PC){0,40}") {
            if let Ok(arn) = Arn::parse(&text) {
                assert_eq!(arn.to_string(), text);
            }
        }

        #[test]
        fn parts_are_as_written(name in "[!-~]{1,60}", account in "[0-9]{12}", region in "[a-z]{2}-[a-z]{4}-[0-9]") {
            let text = format!("arn:aws:kinesis:{region}:{account}:{name}");
            let arn = Arn::parse(&text).unwrap();
            assert_eq!((arn.region, arn.account, arn.resource), (&*region, &*account, &*name));
        }
    }
}
