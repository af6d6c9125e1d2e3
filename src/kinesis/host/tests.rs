use proptest::prelude::{ProptestConfig, proptest};

use super::{Host, Plane, canonical_host, partition_of, regional_endpoint, split_authority};

/// The regions in AWS's page about Kinesis and interface endpoints.
const PAGE: [(&str, &str); 22] = [
    ("us-west-2", "amazonaws.com"),
    ("eu-west-3", "amazonaws.com"),
    ("eu-west-1", "amazonaws.com"),
    ("us-east-1", "amazonaws.com"),
    ("eu-north-1", "amazonaws.com"),
    ("ap-south-1", "amazonaws.com"),
    ("us-east-2", "amazonaws.com"),
    ("eu-central-1", "amazonaws.com"),
    ("sa-east-1", "amazonaws.com"),
    ("ap-northeast-2", "amazonaws.com"),
    ("eu-west-2", "amazonaws.com"),
    ("ap-northeast-1", "amazonaws.com"),
    ("us-west-1", "amazonaws.com"),
    ("ap-southeast-1", "amazonaws.com"),
    ("ap-southeast-2", "amazonaws.com"),
    ("ca-central-1", "amazonaws.com"),
    ("cn-north-1", "amazonaws.com.cn"),
    ("cn-northwest-1", "amazonaws.com.cn"),
    ("ap-east-1", "amazonaws.com"),
    ("me-south-1", "amazonaws.com"),
    ("eu-south-1", "amazonaws.com"),
    ("af-south-1", "amazonaws.com"),
];

/// One region of every other partition, with its two suffixes.
const OTHERS: [(&str, &str, &str, &str); 8] = [
    ("mx-central-1", "aws", "amazonaws.com", "api.aws"),
    (
        "cn-north-1",
        "aws-cn",
        "amazonaws.com.cn",
        "api.amazonwebservices.com.cn",
    ),
    ("us-gov-west-1", "aws-us-gov", "amazonaws.com", "api.aws"),
    ("us-iso-east-1", "aws-iso", "c2s.ic.gov", "api.aws.ic.gov"),
    (
        "us-isob-east-1",
        "aws-iso-b",
        "sc2s.sgov.gov",
        "api.aws.scloud",
    ),
    (
        "eu-isoe-west-1",
        "aws-iso-e",
        "cloud.adc-e.uk",
        "api.cloud-aws.adc-e.uk",
    ),
    (
        "us-isof-south-1",
        "aws-iso-f",
        "csp.hci.ic.gov",
        "api.aws.hci.ic.gov",
    ),
    (
        "eusc-de-east-1",
        "aws-eusc",
        "amazonaws.eu",
        "api.amazonwebservices.eu",
    ),
];

fn parse(name: &str) -> Host<'_> {
    Host::parse(name).unwrap_or_else(|| panic!("`{name}` was not read"))
}

#[test]
fn the_regions_of_the_page_one_by_one() {
    for (region, suffix) in PAGE {
        let name = format!("kinesis.{region}.{suffix}");
        let partition = if region.starts_with("cn-") {
            "aws-cn"
        } else {
            "aws"
        };
        let host = parse(&name);
        assert_eq!(
            (host.region, host.suffix, host.partition),
            (region, suffix, partition)
        );
        assert_eq!((host.account, host.plane, host.vpce), (None, None, None));
        assert!(!host.is_fips && !host.is_dual_stack && !host.is_queues);
        assert_eq!(regional_endpoint(region), Some(name));
    }
}

#[test]
fn every_form_in_every_partition() {
    for (region, partition, suffix, dual) in OTHERS {
        assert_eq!(partition_of(region), Some(partition));
        for (suffix, dual_stack) in [(suffix, false), (dual, true)] {
            for fips in [false, true] {
                for queues in [false, true] {
                    let service = match (queues, fips) {
                        (false, false) => "kinesis",
                        (false, true) => "kinesis-fips",
                        (true, false) => "kinesis-queues",
                        (true, true) => "kinesis-queues-fips",
                    };
                    let name = format!("{service}.{region}.{suffix}");
                    let plain = parse(&name);
                    assert_eq!(
                        (plain.region, plain.partition),
                        (region, partition),
                        "{name}"
                    );
                    assert_eq!(
                        (
                            plain.is_fips,
                            plain.is_queues,
                            plain.is_dual_stack,
                            plain.suffix
                        ),
                        (fips, queues, dual_stack, suffix),
                        "{name}"
                    );
                    for (word, plane) in [("data", Plane::Data), ("control", Plane::Control)] {
                        let name = format!("123456789012.{word}-{service}.{region}.{suffix}");
                        let host = parse(&name);
                        assert_eq!(
                            host,
                            Host {
                                account: Some("123456789012"),
                                plane: Some(plane),
                                ..plain
                            }
                        );
                        let name = format!("abc-123.{word}-{service}.{region}.{suffix}");
                        let host = parse(&name);
                        assert_eq!(
                            host,
                            Host {
                                resource_id: Some("abc-123"),
                                plane: Some(plane),
                                ..plain
                            }
                        );
                        let name =
                            format!("abcdefghij0123456789.x1y.{word}-{service}.{region}.{suffix}");
                        let host = Host::parse(&name);
                        let stream_id = Some(("abcdefghij0123456789", "x1y"));
                        let expected = (!queues).then_some(Host {
                            stream_id,
                            plane: Some(plane),
                            ..plain
                        });
                        assert_eq!(host, expected, "{name}");
                    }
                }
            }
        }
    }
}

#[test]
fn names_of_interface_endpoints() {
    for (name, vpce) in [
        (
            "vpce-11aa22bb-a1b2c3d4.kinesis.us-east-1.vpce.amazonaws.com",
            "vpce-11aa22bb",
        ),
        (
            "vpce-0123456789abcdef0-a1b2c3d4-us-east-1a.kinesis.us-east-1.vpce.amazonaws.com",
            "vpce-0123456789abcdef0",
        ),
        (
            "vpce-0123456789abcdef0-a1b2c3d4-us-west-2-lax-1a.kinesis-fips.us-west-2.vpce.amazonaws.com",
            "vpce-0123456789abcdef0",
        ),
        (
            "vpce-11aa22bb-a1b2c3d4.kinesis.cn-north-1.vpce.amazonaws.com.cn",
            "vpce-11aa22bb",
        ),
    ] {
        assert_eq!(parse(name).vpce, Some(vpce), "{name}");
    }
}

#[test]
fn anything_else_is_no_endpoint() {
    for name in [
        "",
        ".",
        "localhost",
        "127.0.0.1",
        "kinesis",
        "kinesis.amazonaws.com",
        "kinesis.us-east-1",
        "kinesis.us-east-1.amazonaws.com.",
        "Kinesis.us-east-1.amazonaws.com",
        "kinesis.us-east-1.amazonaws.com.cn",
        "kinesis.cn-north-1.amazonaws.com",
        "kinesis.us-gov-west-1.c2s.ic.gov",
        "kinesis.us-east-1.amazonaws.com.evil.example",
        "kinesis.us-east-1.evil.amazonaws.com",
        "kinesisxus-east-1.amazonaws.com",
        "evil-kinesis.us-east-1.amazonaws.com",
        "evil.kinesis.us-east-1.amazonaws.com",
        "123456789012.kinesis.us-east-1.amazonaws.com",
        "data-kinesis.us-east-1.amazonaws.com",
        "a.b.data-kinesis.us-east-1.amazonaws.com",
        "a.abcdefghij0123456789.x1y.data-kinesis.us-east-1.amazonaws.com",
        "-.data-kinesis.us-east-1.amazonaws.com",
        ".data-kinesis.us-east-1.amazonaws.com",
        "*.data-kinesis.us-east-1.amazonaws.com",
        "a_b.data-kinesis.us-east-1.amazonaws.com",
        "123456789012.meta-kinesis.us-east-1.amazonaws.com",
        "dynamodb.us-east-1.amazonaws.com",
        "firehose.us-east-1.amazonaws.com",
        "kinesisvideo.us-east-1.amazonaws.com",
        "kinesis.us-east.amazonaws.com",
        "kinesis.us-east-x.amazonaws.com",
        "kinesis.us--1.amazonaws.com",
        "kinesis.xx-east-1.amazonaws.com",
        "kinesis.us-east-1-2-3.amazonaws.com",
        "kinesis..us-east-1.amazonaws.com",
        "kinesis.us-east-1..amazonaws.com",
        "kinesis.us-east-1.vpce.amazonaws.com",
        "vpce-11aa22bb-a1b2c3d4.kinesis.us-east-1.amazonaws.com",
        "vpce-11aa22bb-a1b2c3d4.kinesis.us-east-1.vpce.api.aws",
        "vpce-11aa22bb.kinesis.us-east-1.vpce.amazonaws.com",
        "vpce-11aa22bg-a1b2c3d4.kinesis.us-east-1.vpce.amazonaws.com",
        "vpce-11aa22bb-a1b2c3d4-eu-west-1a.kinesis.us-east-1.vpce.amazonaws.com",
        "vpce-11aa22bb-a1b2c3d4-us-east-1.kinesis.us-east-1.vpce.amazonaws.com",
        "vpce-11aa22bb-a1b2c3d4.data-kinesis.us-east-1.vpce.amazonaws.com",
        "vpce-11aa22bb-a1b2c3d4.dynamodb.us-east-1.vpce.amazonaws.com",
        "kinesis.us-\u{212a}ast-1.amazonaws.com",
    ] {
        assert_eq!(Host::parse(name), None, "{name}");
    }
}

#[test]
fn spelling_is_made_canonical() {
    assert_eq!(
        canonical_host("Kinesis.US-East-1.AmazonAWS.com."),
        "kinesis.us-east-1.amazonaws.com"
    );
    assert_eq!(
        canonical_host("kinesis.us-east-1.amazonaws.com"),
        "kinesis.us-east-1.amazonaws.com"
    );
    assert_eq!(canonical_host("a.."), "a.");
}

#[test]
fn authorities() {
    for (authority, parts) in [
        (
            "kinesis.us-east-1.amazonaws.com",
            Some(("kinesis.us-east-1.amazonaws.com", None)),
        ),
        (
            "kinesis.us-east-1.amazonaws.com:443",
            Some(("kinesis.us-east-1.amazonaws.com", Some(443))),
        ),
        ("localhost:4567", Some(("localhost", Some(4567)))),
        ("LOCALHOST.", Some(("LOCALHOST.", None))),
        ("my_service:80", Some(("my_service", Some(80)))),
        ("127.0.0.1:4567", Some(("127.0.0.1", Some(4567)))),
        ("[::1]", Some(("::1", None))),
        ("[::1]:4567", Some(("::1", Some(4567)))),
        ("", None),
        (":443", None),
        (".", None),
        ("a..b", None),
        ("a..", None),
        ("a:", None),
        ("a:0", None),
        ("a:+1", None),
        ("a:65536", None),
        ("a:000443", None),
        ("a:443:443", None),
        ("user@a", None),
        ("a/b", None),
        ("a b", None),
        ("a%2eb", None),
        ("::1", None),
        ("[::1", None),
        ("[::1]x", None),
        ("[::1]:", None),
        ("[localhost]", None),
        ("b\u{fc}cher.example", None),
    ] {
        assert_eq!(split_authority(authority), parts, "{authority}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_text_is_read_without_harm(text in "(kinesis|data-|control-|vpce|us-east-1|amazonaws\\.com|api\\.aws|-fips|[.:-]|[a-z0-9]|\\PC){0,12}") {
        if let Some(host) = Host::parse(&text) {
            assert_eq!(partition_of(host.region), Some(host.partition));
            assert!(text.ends_with(host.suffix));
            assert_eq!(canonical_host(&text), text);
        }
        if let Some((host, _)) = split_authority(&text) {
            assert!(text.contains(host));
        }
        partition_of(&text);
        regional_endpoint(&text);
    }

    #[test]
    fn case_and_the_root_dot_do_not_matter(
        upper in proptest::collection::vec(proptest::bool::ANY, 80),
        index in 0..PAGE.len(),
        dot in proptest::bool::ANY,
    ) {
        let (region, suffix) = PAGE[index];
        let plain = format!("123456789012.data-kinesis.{region}.{suffix}");
        let mut spelt: String = plain
            .chars()
            .zip(&upper)
            .map(|(c, up)| if *up { c.to_ascii_uppercase() } else { c })
            .collect();
        if dot {
            spelt.push('.');
        }
        assert_eq!(Host::parse(&canonical_host(&spelt)), Host::parse(&plain));
        assert!(Host::parse(&plain).is_some());
    }
}
