//! Request heads: a request line, then one header on each line. A head that the gate accepts is read
//! again from the text, and has one meaning only.

use http::Request;
use kinesis_gate::gate::{RequestHead, check_form};
use kinesis_gate::kinesis::WireFormat;

const REGION: &str = "us-east-1";

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let mut lines = text.split('\n');
    let Some((method, target)) = lines.next().and_then(|line| line.split_once(' ')) else {
        return;
    };
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in &headers {
        request = request.header(*name, value.trim_matches([' ', '\t']));
    }
    let Ok(request) = request.body(()) else {
        return;
    };
    let (parts, ()) = request.into_parts();
    let form = check_form(&parts);
    let Ok(head) = RequestHead::parse(&parts, REGION) else {
        return;
    };
    if form.is_err() {
        return;
    }
    let all = |name: &str| -> Vec<&str> {
        let matching = headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name));
        matching
            .map(|(_, value)| value.trim_matches([' ', '\t']))
            .collect()
    };
    let name = head.target.name();
    assert_eq!(method, "POST");
    assert!(name.bytes().all(|b| b.is_ascii_alphanumeric()));
    let path = parts.uri.path();
    let targets = all("x-amz-target");
    match all("smithy-protocol")[..] {
        [] => {
            assert_eq!(path, "/");
            assert_eq!(targets, [format!("Kinesis_20131202.{name}")]);
            assert_ne!(head.format, WireFormat::RpcV2Cbor);
        }
        ["rpc-v2-cbor"] => {
            assert_eq!(path, format!("/service/Kinesis_20131202/operation/{name}"));
            assert!(targets.is_empty());
            assert_eq!(head.format, WireFormat::RpcV2Cbor);
        }
        _ => panic!("`smithy-protocol` passed"),
    }
    let [content_type] = all("content-type")[..] else {
        panic!("content types passed");
    };
    let media_type = content_type.split(';').next().unwrap_or_default();
    let media_type = media_type.trim_matches([' ', '\t']).to_ascii_lowercase();
    assert_eq!(media_type, head.format.content_type());
    for single in [
        "host",
        "authorization",
        "content-length",
        "x-amz-date",
        "x-amz-security-token",
    ] {
        assert!(all(single).len() <= 1, "`{single}` passed twice");
    }
    for forbidden in ["content-encoding", "x-amzn-target"] {
        assert!(all(forbidden).is_empty(), "`{forbidden}` passed");
    }
    for coding in all("transfer-encoding") {
        assert!(coding.eq_ignore_ascii_case("chunked"));
    }
    let query = parts.uri.query().unwrap_or_default();
    assert!(!query.contains("Action=") && !query.contains("Target"));
    let signature = match (&head.caller, &all("authorization")[..]) {
        // Without a signature, the caller is identified in another way or refused.
        (None, []) if query.is_empty() => return,
        (Some(_), [header]) if query.is_empty() => (*header).to_owned(),
        (Some(_), []) => query.replace("%2F", "/").replace("%2f", "/"),
        _ => panic!("a signature was ignored"),
    };
    assert!(signature.contains("/us-east-1/kinesis/aws4_request"));
}
