//! The separator cache of the JSON scanner.

use super::super::{MalformedBody, WireFormat};
use super::scan;

#[test]
fn records_of_another_shape_are_parsed() {
    // What a cached separator must not hide: another depth, a missing comma, other keys.
    let records = [
        r#"{"Data":"aaaa","PartitionKey":"p"}"#,
        r#"{"Data":"aaaa","PartitionKey":"p"}"#,
        r#"{"PartitionKey":"p","Data":"aaaa"}"#,
        r#"{"Data":"aaaa","ExplicitHashKey":"1","PartitionKey":"p"}"#,
        r#"{"Data":"aaaa","PartitionKey":"p","N":[{"Data":"x","PartitionKey":"y"},{"Data":"x","PartitionKey":"y"}]}"#,
        r#"{"Data":"aaaa","PartitionKey":"p"}"#,
        r#"{"Data" : "aaaa" , "PartitionKey" : "p"}"#,
    ];
    let tail = format!("{:64}", "");
    for first in records {
        for second in records {
            for third in records {
                let good = format!(
                    r#"{{"Records":[{first},{first},{second},{third},{first},{second}],"StreamName":"s"}}{tail}"#
                );
                let scanner = scan(WireFormat::Json, &[good.as_bytes()]).unwrap();
                assert_eq!(scanner.members().stream_name(), Some("s"), "{good}");
            }
        }
        // The separator between two records, where none may be.
        for (at, _) in first.match_indices(['{', '}', '[', ']', ',', ':', '"']) {
            let mut broken = first.to_owned();
            broken.remove(at);
            let body = format!(
                r#"{{"Records":[{first},{first},{broken},{first}],"StreamName":"s"}}{tail}"#
            );
            let ours = scan(WireFormat::Json, &[body.as_bytes()]).is_ok();
            assert_eq!(
                ours,
                serde_json::from_str::<serde_json::Value>(&body).is_ok(),
                "{body}"
            );
        }
    }
    let closes_early = format!(
        r#"{{"R":[{{"D":"a","P":"p"}},{{"D":"a","P":"p"}}],"Q":{{"D":"a","P":"p"}},{{"D":"a"}}],"StreamName":"s"}}{tail}"#
    );
    assert_eq!(
        scan(WireFormat::Json, &[closes_early.as_bytes()]).err(),
        Some(MalformedBody::Unexpected)
    );
}

#[test]
fn a_cached_separator_never_crosses_the_top_level() {
    let tail = format!("{:64}", "");
    // If the separator between members were cached, the third would be taken for a string.
    for (between, rule) in [
        (r#""},"B":{"x":""#, MalformedBody::DuplicateKey),
        (r#""]  ,"B":[""#, MalformedBody::DuplicateKey),
        (r#""},"B":[{"x":""#, MalformedBody::Unexpected),
    ] {
        let body = format!(r#"{{"A":{{"x":"1{between}1{between}1{between}1"}}}}{tail}"#);
        let body = if between.contains("]") {
            body.replacen(r#"{"x":"#, "[", 1).replace("\"}}", "\"]}")
        } else {
            body
        };
        assert_eq!(
            scan(WireFormat::Json, &[body.as_bytes()]).err(),
            Some(rule),
            "{body}"
        );
    }
    let body =
        format!(r#"{{"A":{{"x":"1"}},"StreamName":"a","B":{{"x":"1"}},"StreamName":"b"}}{tail}"#);
    assert_eq!(
        scan(WireFormat::Json, &[body.as_bytes()]).err(),
        Some(MalformedBody::DuplicateKey)
    );
}
