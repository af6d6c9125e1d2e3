//! The grammar of Kinesis endpoint host names.
//!
//! It follows the endpoint rules that ship with the service model (botocore 1.44.5) and the regions
//! and suffixes of its `partitions.json`; `vpce-` names are those of interface endpoints
//! (<https://docs.aws.amazon.com/vpc/latest/privatelink/privatelink-access-aws-services.html>).

use std::borrow::Cow;
use std::net::Ipv6Addr;

use super::arn::{is_account, is_label};
use super::operation::Plane;

/// The parts of a Kinesis endpoint's host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host<'a> {
    /// `aws`, `aws-cn`, …
    pub partition: &'static str,
    /// The DNS suffix, `amazonaws.com` or, dual-stack, `api.aws`.
    pub suffix: &'static str,
    /// `us-east-1`, …
    pub region: &'a str,
    /// The account of an account-id host: `123456789012.data-kinesis.…`.
    pub account: Option<&'a str>,
    /// The plane, if the host name has one.
    pub plane: Option<Plane>,
    /// The VPC endpoint id, `vpce-<hex>`, in `vpce-<hex>-….kinesis.<region>.vpce.…`.
    pub vpce: Option<&'a str>,
    /// Whether the host is a FIPS endpoint.
    pub is_fips: bool,
    /// Whether the host is a dual-stack endpoint: IPv4 and IPv6.
    pub is_dual_stack: bool,
    /// Whether the host is an endpoint of queues, `kinesis-queues`.
    pub is_queues: bool,
    /// The two halves of a stream id: `<20 characters>.<3 characters>.data-kinesis.…`.
    pub stream_id: Option<(&'a str, &'a str)>,
    /// The id of a channel or queue: `<id>.control-kinesis.…`.
    pub resource_id: Option<&'a str>,
}

impl<'a> Host<'a> {
    /// Parses a host name without port, in the form that [`canonical_host`] returns. `None` for any other
    /// spelling and for any other host.
    pub fn parse(name: &'a str) -> Option<Host<'a>> {
        PARTITIONS.iter().find_map(|partition| {
            let plain =
                strip_domain(name, partition.suffix).map(|rest| (rest, partition.suffix, false));
            let dual = || {
                strip_domain(name, partition.dual_stack_suffix)
                    .map(|rest| (rest, partition.dual_stack_suffix, true))
            };
            let (rest, suffix, is_dual_stack) = plain.or_else(dual)?;
            let (rest, private) = match strip_domain(rest, "vpce") {
                Some(rest) if !is_dual_stack => (rest, true),
                _ => (rest, false),
            };
            let (labels, region) = rest.rsplit_once('.')?;
            if partition_of(region)? != partition.name {
                return None;
            }
            let (ids, service) = match labels.rsplit_once('.') {
                Some((ids, service)) => (Some(ids), service),
                None => (None, labels),
            };
            let (plane, is_fips, is_queues) = parse_service(service)?;
            let host = Host {
                partition: partition.name,
                suffix,
                region,
                account: None,
                plane,
                vpce: None,
                is_fips,
                is_dual_stack,
                is_queues,
                stream_id: None,
                resource_id: None,
            };
            match (ids, plane, private) {
                (None, None, false) => Some(host),
                (Some(label), None, true) => Some(Host {
                    vpce: Some(parse_vpce(label, region)?),
                    ..host
                }),
                (Some(ids), Some(_), false) => host.with_ids(ids),
                _ => None,
            }
        })
    }

    fn with_ids(self, ids: &'a str) -> Option<Host<'a>> {
        match ids.split_once('.') {
            None if is_account(ids) => Some(Host {
                account: Some(ids),
                ..self
            }),
            None => is_label(ids).then_some(Host {
                resource_id: Some(ids),
                ..self
            }),
            Some((prefix, suffix)) => {
                let alphanumeric = |text: &str| {
                    text.bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
                };
                let is_stream_id = prefix.len() == 20
                    && suffix.len() == 3
                    && alphanumeric(prefix)
                    && alphanumeric(suffix)
                    && !self.is_queues;
                is_stream_id.then_some(Host {
                    stream_id: Some((prefix, suffix)),
                    ..self
                })
            }
        }
    }
}

/// A host name in the form that [`Host::parse`] reads: lower case, without the root's dot.
pub fn canonical_host(name: &str) -> Cow<'_, str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// Splits an authority into its host, without the brackets of an IPv6 address, and its port.
///
/// `None` for user information, an empty port, port zero, and characters that no host name has.
pub fn split_authority(authority: &str) -> Option<(&str, Option<u16>)> {
    if let Some(bracketed) = authority.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        return match port {
            "" => Some((address, None)),
            port => Some((address, Some(parse_port(port.strip_prefix(':')?)?))),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(parse_port(port)?)),
        None => (authority, None),
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    (name.len() <= 253 && is_host_name(name)).then_some((host, port))
}

/// Whether a name consists of labels of 1 to 63 characters, separated by dots.
fn is_host_name(name: &str) -> bool {
    let mut length = 0;
    let are_valid = name.bytes().all(|byte| {
        let is_dot = byte == b'.';
        let is_valid = match is_dot {
            true => length > 0,
            false => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
        };
        length = if is_dot { 0 } else { length + 1 };
        is_valid && length <= 63
    });
    are_valid && length > 0
}

/// The host name of a region's endpoint, `kinesis.<region>.<suffix>`; `None` for an unknown region.
pub fn regional_endpoint(region: &str) -> Option<String> {
    let name = partition_of(region)?;
    let partition = PARTITIONS.iter().find(|partition| partition.name == name)?;
    Some(format!("kinesis.{region}.{}", partition.suffix))
}

/// The partition of a region, by the patterns of the SDKs, so that it also knows new regions.
pub fn partition_of(region: &str) -> Option<&'static str> {
    if region.len() > 63 {
        return None;
    }
    let mut parts = region.as_bytes().split(|byte| *byte == b'-');
    let head = (parts.next()?, parts.next()?, parts.next()?);
    let (partition, word, number) = match (head, parts.next()) {
        ((area, word, number), None) => {
            let partition = match area {
                b"us" | b"eu" | b"ap" | b"sa" | b"ca" | b"me" | b"af" | b"il" | b"mx" => "aws",
                b"cn" => "aws-cn",
                _ => return None,
            };
            (partition, word, number)
        }
        ((area, kind, word), Some(number)) => {
            let partition = match (area, kind) {
                (b"us", b"gov") => "aws-us-gov",
                (b"us", b"iso") => "aws-iso",
                (b"us", b"isob") => "aws-iso-b",
                (b"eu", b"isoe") => "aws-iso-e",
                (b"us", b"isof") => "aws-iso-f",
                (b"eusc", b"de") => "aws-eusc",
                _ => return None,
            };
            (partition, word, number)
        }
    };
    let is_valid = parts.next().is_none()
        && !word.is_empty()
        && word.iter().all(u8::is_ascii_lowercase)
        && !number.is_empty()
        && number.iter().all(u8::is_ascii_digit);
    is_valid.then_some(partition)
}

struct Partition {
    name: &'static str,
    suffix: &'static str,
    dual_stack_suffix: &'static str,
}

static PARTITIONS: [Partition; 8] = [
    Partition {
        name: "aws",
        suffix: "amazonaws.com",
        dual_stack_suffix: "api.aws",
    },
    Partition {
        name: "aws-cn",
        suffix: "amazonaws.com.cn",
        dual_stack_suffix: "api.amazonwebservices.com.cn",
    },
    Partition {
        name: "aws-us-gov",
        suffix: "amazonaws.com",
        dual_stack_suffix: "api.aws",
    },
    Partition {
        name: "aws-iso",
        suffix: "c2s.ic.gov",
        dual_stack_suffix: "api.aws.ic.gov",
    },
    Partition {
        name: "aws-iso-b",
        suffix: "sc2s.sgov.gov",
        dual_stack_suffix: "api.aws.scloud",
    },
    Partition {
        name: "aws-iso-e",
        suffix: "cloud.adc-e.uk",
        dual_stack_suffix: "api.cloud-aws.adc-e.uk",
    },
    Partition {
        name: "aws-iso-f",
        suffix: "csp.hci.ic.gov",
        dual_stack_suffix: "api.aws.hci.ic.gov",
    },
    Partition {
        name: "aws-eusc",
        suffix: "amazonaws.eu",
        dual_stack_suffix: "api.amazonwebservices.eu",
    },
];

/// The name without `suffix` and the dot before it.
fn strip_domain<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    name.strip_suffix(suffix)?.strip_suffix('.')
}

/// Parses a label such as `data-kinesis-fips`: the plane, whether FIPS, whether queues.
fn parse_service(label: &str) -> Option<(Option<Plane>, bool, bool)> {
    let (plane, label) = if let Some(rest) = label.strip_prefix("data-") {
        (Some(Plane::Data), rest)
    } else if let Some(rest) = label.strip_prefix("control-") {
        (Some(Plane::Control), rest)
    } else {
        (None, label)
    };
    match label {
        "kinesis" => Some((plane, false, false)),
        "kinesis-fips" => Some((plane, true, false)),
        "kinesis-queues" => Some((plane, false, true)),
        "kinesis-queues-fips" => Some((plane, true, true)),
        _ => None,
    }
}

/// The VPC endpoint id of `vpce-<hex>-<8 characters>[-<zone>]`.
fn parse_vpce<'a>(label: &'a str, region: &str) -> Option<&'a str> {
    let after = label.strip_prefix("vpce-")?;
    let (hex, rest) = after.split_once('-')?;
    let (random, zone) = match rest.split_once('-') {
        Some((random, zone)) => (random, Some(zone)),
        None => (rest, None),
    };
    // A zone is the region and a letter; a local zone has a location between them.
    let is_zone = zone.is_none_or(|zone| {
        is_label(label)
            && zone.strip_prefix(region).is_some_and(|end| {
                end.ends_with(|last: char| last.is_ascii_lowercase())
                    && (end.len() == 1 || end.starts_with('-'))
            })
    });
    let is_valid = matches!(hex.len(), 8 | 17)
        && hex
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && random.len() == 8
        && random
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && is_zone;
    if !is_valid {
        return None;
    }
    label.get(.."vpce-".len() + hex.len())
}

fn parse_port(text: &str) -> Option<u16> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

#[cfg(test)]
mod tests;
