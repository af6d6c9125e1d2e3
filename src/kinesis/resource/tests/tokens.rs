//! Tokens and the streams that they are bound to.

use super::super::{ResolveContext, ResourceConflict, Resources, resolve_resources, stream_token};
use super::{OTHER, STREAM, context, scanned, shown, target};

#[test]
fn a_bound_token_resolves_to_its_stream() {
    let bound = |operation: &str, body: &str, stream: &str| {
        let mut out = Resources::default();
        let scanner = scanned(body);
        resolve_resources(
            &target(operation),
            scanner.members(),
            &context(),
            Some(stream),
            &mut out,
        )
        .map(|()| shown(&out))
    };
    let iterator = r#"{"ShardIterator":"AAAA"}"#;
    assert_eq!(bound("GetRecords", iterator, STREAM).unwrap(), [STREAM]);
    let agreeing = format!(r#"{{"ShardIterator":"AAAA","StreamARN":"{STREAM}"}}"#);
    assert_eq!(
        bound("GetRecords", &agreeing, STREAM).unwrap(),
        [STREAM, STREAM]
    );
    assert_eq!(
        bound("GetRecords", &agreeing, OTHER),
        Err(ResourceConflict::Token)
    );
    assert_eq!(
        bound(
            "ListShards",
            r#"{"NextToken":"t","StreamName":"x"}"#,
            STREAM
        ),
        Err(ResourceConflict::Token)
    );
    let abroad = "arn:aws:kinesis:eu-west-1:123456789012:stream/orders";
    assert_eq!(
        bound("GetRecords", iterator, abroad),
        Err(ResourceConflict::Token)
    );
    assert_eq!(
        bound("GetRecords", iterator, "nonsense"),
        Err(ResourceConflict::Token)
    );
    // Without a token there is nothing to be bound.
    assert_eq!(
        bound("PutRecord", r#"{"StreamName":"orders"}"#, OTHER).unwrap(),
        [STREAM]
    );

    for (operation, expected) in [
        ("GetRecords", Some("AAAA")),
        ("ListStreams", None),
        ("PutRecord", None),
        ("NewOne", Some("AAAA")),
    ] {
        let scanner = scanned(r#"{"ShardIterator":"AAAA","NextToken":"t"}"#);
        assert_eq!(
            stream_token(&target(operation), scanner.members()).map(|(_, token)| token),
            expected,
            "{operation}"
        );
    }
}

#[test]
fn the_single_stream_of_a_request_is_what_its_token_is_bound_to() {
    let hidden = ResolveContext {
        caller_account: None,
        ..context()
    };
    let unknown_owner = "arn:aws:kinesis:us-east-1::stream/orders";
    let both = format!(r#"{{"StreamName":"orders","StreamARN":"{STREAM}"}}"#);
    let consumer = format!(r#"{{"ConsumerARN":"{STREAM}/consumer/c:1700000000"}}"#);
    for (context, operation, body, expected) in [
        (
            context(),
            "GetShardIterator",
            r#"{"StreamName":"orders"}"#,
            Some(STREAM),
        ),
        (context(), "GetShardIterator", both.as_str(), Some(STREAM)),
        (
            hidden,
            "GetShardIterator",
            r#"{"StreamName":"orders"}"#,
            Some(unknown_owner),
        ),
        // The ARN's account, or the caller's, whichever that is.
        (
            hidden,
            "GetShardIterator",
            both.as_str(),
            Some(unknown_owner),
        ),
        (
            context(),
            "GetShardIterator",
            r#"{"StreamName":"orders","StreamId":"abcdefghij0123456789-abc"}"#,
            None,
        ),
        (context(), "GetRecords", r#"{"ShardIterator":"AAAA"}"#, None),
        (context(), "GetShardIterator", "{}", None),
        (context(), "ListStreams", "{}", None),
        (context(), "UpdateStreamMode", both.as_str(), None),
        (context(), "SubscribeToShard", consumer.as_str(), None),
    ] {
        let mut out = Resources::default();
        let scanner = scanned(body);
        resolve_resources(
            &target(operation),
            scanner.members(),
            &context,
            None,
            &mut out,
        )
        .unwrap();
        assert_eq!(out.single_stream(), expected, "{operation} {body}");
    }

    // With such a binding the stream's account is unknown, and every other name counts too.
    let mut out = Resources::default();
    let body = scanned(&format!(
        r#"{{"ShardIterator":"AAAA","StreamARN":"{STREAM}"}}"#
    ));
    let (operation, members) = (target("GetRecords"), body.members());
    resolve_resources(
        &operation,
        members,
        &context(),
        Some(unknown_owner),
        &mut out,
    )
    .unwrap();
    assert_eq!(
        shown(&out),
        [STREAM, "arn:aws:kinesis:us-east-1:?:stream/orders"]
    );
    assert_eq!(out.single_stream(), Some(unknown_owner));
}
