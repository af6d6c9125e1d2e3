//! Bodies in, resources out.

use super::super::{Scanner, Target, WireFormat, operations};
use super::{
    Member, ResolveContext, Resource, ResourceConflict, Resources, resolve_resources, stream_token,
};

const CALLER: &str = "123456789012";

fn context<'a>() -> ResolveContext<'a> {
    ResolveContext {
        partition: "aws",
        region: "us-east-1",
        host_account: None,
        caller_account: Some(CALLER),
    }
}

fn scanned(body: &str) -> Scanner {
    let mut scanner = Scanner::new(WireFormat::Json);
    scanner
        .push(body.as_bytes())
        .unwrap_or_else(|rule| panic!("{body}: {rule}"));
    scanner.finish().unwrap();
    scanner
}

fn target(name: &str) -> Target<'static> {
    Target::parse(Box::leak(
        format!("Kinesis_20131202.{name}").into_boxed_str(),
    ))
    .unwrap()
}

/// Resources as text: `*` any, `?` unknown, an open end as `…`, an unknown account as `?`, and
/// `unscoped` before those the authorization reference does not know.
fn shown(out: &Resources) -> Vec<String> {
    out.iter()
        .map(|resource| match resource {
            Resource::Any => "*".to_owned(),
            Resource::Unknown => "?".to_owned(),
            Resource::Arn(arn) | Resource::Unscoped(arn) => {
                let text = format!(
                    "arn:{}:{}:{}:{}:{}{}",
                    arn.partition,
                    arn.service,
                    arn.region,
                    arn.account.unwrap_or("?"),
                    arn.resource,
                    if arn.is_prefix { "…" } else { "" },
                );
                match arn.text {
                    Some(whole) => assert_eq!(whole, text),
                    None => assert!(arn.is_prefix || arn.account.is_none()),
                }
                let unscoped = matches!(resource, Resource::Unscoped(_));
                if unscoped {
                    format!("unscoped {text}")
                } else {
                    text
                }
            }
        })
        .collect()
}

fn named_in(
    context: &ResolveContext<'_>,
    operation: &str,
    body: &str,
) -> Result<Vec<String>, ResourceConflict> {
    let mut out = Resources::default();
    resolve_resources(
        &target(operation),
        scanned(body).members(),
        context,
        None,
        &mut out,
    )?;
    assert!(!out.is_empty());
    assert_eq!(out.len(), out.iter().count());
    Ok(shown(&out))
}

fn named(operation: &str, body: &str) -> Result<Vec<String>, ResourceConflict> {
    named_in(&context(), operation, body)
}

const STREAM: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/orders";
const OTHER: &str = "arn:aws:kinesis:us-east-1:999999999999:stream/orders";
const CONSUMER: &str =
    "arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/app:1700000000";
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/0a-1";

#[test]
fn what_each_form_names() {
    let cases: &[(&str, String, &[&str])] = &[
        ("PutRecord", r#"{"StreamName":"orders"}"#.into(), &[STREAM]),
        (
            "PutRecords",
            format!(r#"{{"StreamARN":"{STREAM}"}}"#),
            &[STREAM],
        ),
        (
            "PutRecords",
            format!(r#"{{"StreamARN":"{OTHER}"}}"#),
            &[OTHER],
        ),
        (
            "PutRecords",
            format!(r#"{{"StreamARN":"{STREAM}","StreamName":"orders"}}"#),
            &[STREAM],
        ),
        (
            "CreateStream",
            r#"{"StreamName":"orders"}"#.into(),
            &[STREAM],
        ),
        ("PutRecord", "{}".into(), &["?"]),
        // Reserved, and never resolved here, whatever stands beside it.
        (
            "PutRecord",
            r#"{"StreamId":"abcdefghij0123456789-x1y"}"#.into(),
            &["?"],
        ),
        (
            "PutRecord",
            r#"{"StreamName":"orders","StreamId":"x"}"#.into(),
            &[STREAM, "?"],
        ),
        // No resource to name.
        (
            "ListStreams",
            r#"{"NextToken":"t","ExclusiveStartStreamName":"a"}"#.into(),
            &["*"],
        ),
        ("DescribeLimits", "{}".into(), &["*"]),
        ("DescribeAccountSettings", "{}".into(), &["*"]),
        (
            "ListChannels",
            format!(r#"{{"StreamFilter":{{"StreamARN":"{OTHER}"}}}}"#),
            &["*", &format!("unscoped {OTHER}")],
        ),
        (
            "ListQueues",
            format!(r#"{{"StreamFilter":[{{"StreamARN":"{STREAM}"}}]}}"#),
            &["*", &format!("unscoped {STREAM}")],
        ),
        // A stream that the authorization reference leaves out.
        (
            "UpdateShardCount",
            r#"{"StreamName":"orders"}"#.into(),
            &[&format!("unscoped {STREAM}")],
        ),
        (
            "UpdateStreamMode",
            format!(r#"{{"StreamARN":"{STREAM}"}}"#),
            &[&format!("unscoped {STREAM}")],
        ),
        ("EnableEnhancedMonitoring", "{}".into(), &["?"]),
        // Consumers.
        (
            "SubscribeToShard",
            format!(r#"{{"ConsumerARN":"{CONSUMER}"}}"#),
            &[CONSUMER],
        ),
        (
            "DescribeStreamConsumer",
            format!(
                r#"{{"ConsumerARN":"{CONSUMER}","StreamARN":"{STREAM}","ConsumerName":"app"}}"#
            ),
            &[CONSUMER],
        ),
        (
            "DescribeStreamConsumer",
            format!(r#"{{"StreamARN":"{STREAM}","ConsumerName":"app"}}"#),
            &[&format!("{STREAM}/consumer/app:…")],
        ),
        (
            "DeregisterStreamConsumer",
            r#"{"ConsumerName":"app"}"#.into(),
            &["?"],
        ),
        (
            "DeregisterStreamConsumer",
            format!(r#"{{"StreamARN":"{STREAM}"}}"#),
            &["?"],
        ),
        (
            "RegisterStreamConsumer",
            format!(r#"{{"StreamARN":"{STREAM}","ConsumerName":"app"}}"#),
            &[STREAM],
        ),
        // Whatever ResourceARN is of.
        (
            "TagResource",
            format!(r#"{{"ResourceARN":"{STREAM}","Tags":{{}}}}"#),
            &[STREAM],
        ),
        (
            "PutResourcePolicy",
            format!(r#"{{"ResourceARN":"{CONSUMER}","Policy":"{{}}"}}"#),
            &[CONSUMER],
        ),
        (
            "ListTagsForResource",
            r#"{"ResourceARN":"arn:aws:kinesis:us-east-1:123456789012:queue/q-1"}"#.into(),
            &["arn:aws:kinesis:us-east-1:123456789012:queue/q-1"],
        ),
        (
            "DescribeChannel",
            r#"{"ChannelARN":"arn:aws:kinesis:us-east-1:123456789012:channel/c:1"}"#.into(),
            &["arn:aws:kinesis:us-east-1:123456789012:channel/c:1"],
        ),
        (
            "ReceiveQueueRecords",
            r#"{"QueueARN":"arn:aws:kinesis:us-east-1:123456789012:queue/q-1"}"#.into(),
            &["arn:aws:kinesis:us-east-1:123456789012:queue/q-1"],
        ),
        // Streams hidden in a list.
        (
            "CreateQueue",
            format!(
                r#"{{"QueueName":"q","StreamConfigurationList":[{{"StreamARN":"{STREAM}"}}]}}"#
            ),
            &["arn:aws:kinesis:us-east-1:123456789012:queue/…", STREAM],
        ),
        (
            "CreateChannel",
            format!(
                r#"{{"StreamConfigurationList":[{{"StreamARN":"{STREAM}"}},{{"StreamARN":"{OTHER}"}}],"ChannelName":"c"}}"#
            ),
            &[
                "arn:aws:kinesis:us-east-1:123456789012:channel/…",
                STREAM,
                OTHER,
            ],
        ),
        (
            "CreateChannel",
            r#"{"StreamConfigurationList":[{}],"ChannelName":"c"}"#.into(),
            &["arn:aws:kinesis:us-east-1:123456789012:channel/…", "?"],
        ),
        // Keys.
        (
            "StartStreamEncryption",
            r#"{"StreamName":"orders","KeyId":"0a-1"}"#.into(),
            &[STREAM, KEY],
        ),
        (
            "StopStreamEncryption",
            format!(r#"{{"StreamName":"orders","KeyId":"{KEY}"}}"#),
            &[STREAM, KEY],
        ),
        (
            "StartStreamEncryption",
            r#"{"StreamName":"orders","KeyId":"alias/aws/kinesis"}"#.into(),
            &[STREAM, "arn:aws:kms:us-east-1:123456789012:key/…"],
        ),
        (
            "StartStreamEncryption",
            r#"{"StreamName":"orders","KeyId":"arn:aws:kms:us-east-1:999999999999:alias/a"}"#
                .into(),
            &[STREAM, "arn:aws:kms:us-east-1:999999999999:key/…"],
        ),
        // Opaque tokens.
        ("GetRecords", r#"{"ShardIterator":"AAAA"}"#.into(), &["?"]),
        (
            "GetRecords",
            format!(r#"{{"ShardIterator":"AAAA","StreamARN":"{STREAM}"}}"#),
            &[STREAM, "?"],
        ),
        ("GetRecords", "{}".into(), &["?"]),
        ("ListShards", r#"{"NextToken":"t"}"#.into(), &["?"]),
        (
            "ListShards",
            r#"{"StreamName":"orders","NextToken":"t"}"#.into(),
            &[STREAM, "?"],
        ),
        (
            "ListShards",
            r#"{"StreamName":"orders","NextToken":null}"#.into(),
            &[STREAM],
        ),
        (
            "ListStreamConsumers",
            format!(r#"{{"StreamARN":"{STREAM}","NextToken":"t"}}"#),
            &[STREAM, "?"],
        ),
        (
            "ListStreamConsumers",
            format!(r#"{{"StreamARN":"{STREAM}"}}"#),
            &[STREAM],
        ),
        // Members that are none of the operation's.
        (
            "GetRecords",
            r#"{"ShardIterator":"AAAA","StreamName":"orders"}"#.into(),
            &[STREAM, "?"],
        ),
        (
            "ListStreamConsumers",
            format!(r#"{{"StreamARN":"{STREAM}","StreamName":"orders"}}"#),
            &[STREAM, "?"],
        ),
        (
            "PutRecord",
            format!(r#"{{"StreamName":"orders","ConsumerARN":"{CONSUMER}"}}"#),
            &[STREAM, "?"],
        ),
        (
            "ListStreams",
            r#"{"StreamName":"orders"}"#.into(),
            &["*", "?"],
        ),
        (
            "PutRecord",
            format!(
                r#"{{"StreamName":"orders","StreamConfigurationList":[{{"StreamARN":"{STREAM}"}}]}}"#
            ),
            &[STREAM, "?"],
        ),
        // Operations to come.
        ("MergeStreams", "{}".into(), &["?"]),
        (
            "MergeStreams",
            r#"{"StreamName":"orders"}"#.into(),
            &[STREAM],
        ),
        (
            "MergeStreams",
            format!(r#"{{"ResourceARN":"{CONSUMER}","StreamARN":"{STREAM}"}}"#),
            &[STREAM, CONSUMER],
        ),
        (
            "MergeStreams",
            format!(r#"{{"StreamARN":"{STREAM}","ConsumerName":"app"}}"#),
            &[STREAM, &format!("{STREAM}/consumer/app:…")],
        ),
        (
            "MergeStreams",
            r#"{"StreamName":"orders","NextToken":"t"}"#.into(),
            &[STREAM, "?"],
        ),
        (
            "MergeStreams",
            r#"{"QueueName":"q"}"#.into(),
            &["arn:aws:kinesis:us-east-1:123456789012:queue/…"],
        ),
    ];
    for (operation, body, expected) in cases {
        assert_eq!(
            named(operation, body).as_deref(),
            Ok(&*expected.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()),
            "{operation} {body}"
        );
    }
}

#[test]
fn what_disagrees_is_refused() {
    let arn = |text: &str| format!(r#"{{"StreamARN":"{text}"}}"#);
    let cases: &[(&str, String, ResourceConflict)] = &[
        (
            "PutRecord",
            format!(r#"{{"StreamARN":"{STREAM}","StreamName":"order"}}"#),
            ResourceConflict::Stream,
        ),
        (
            "PutRecord",
            format!(r#"{{"StreamARN":"{OTHER}","StreamName":"orders"}}"#),
            ResourceConflict::Stream,
        ),
        (
            "PutRecord",
            r#"{"StreamName":""}"#.into(),
            ResourceConflict::InvalidName(Member::StreamName),
        ),
        (
            "PutRecord",
            r#"{"StreamName":"*"}"#.into(),
            ResourceConflict::InvalidName(Member::StreamName),
        ),
        (
            "PutRecord",
            r#"{"StreamName":"a/b"}"#.into(),
            ResourceConflict::InvalidName(Member::StreamName),
        ),
        (
            "PutRecord",
            r#"{"StreamName":"orders "}"#.into(),
            ResourceConflict::InvalidName(Member::StreamName),
        ),
        (
            "PutRecord",
            r#"{"StreamName":"\u006frd\u00e9rs"}"#.into(),
            ResourceConflict::InvalidName(Member::StreamName),
        ),
        (
            "PutRecord",
            format!(r#"{{"StreamName":"{STREAM}"}}"#),
            ResourceConflict::InvalidName(Member::StreamName),
        ),
        (
            "PutRecord",
            format!(r#"{{"StreamName":"{}"}}"#, "n".repeat(129)),
            ResourceConflict::InvalidName(Member::StreamName),
        ),
        (
            "RegisterStreamConsumer",
            format!(r#"{{"StreamARN":"{STREAM}","ConsumerName":"a:1"}}"#),
            ResourceConflict::InvalidName(Member::ConsumerName),
        ),
        (
            "CreateQueue",
            r#"{"QueueName":"a b"}"#.into(),
            ResourceConflict::InvalidName(Member::QueueName),
        ),
        (
            "PutRecord",
            arn("orders"),
            ResourceConflict::InvalidArn(Member::StreamArn),
        ),
        (
            "PutRecord",
            arn("arn:aws:kinesis:us-east-1:*:stream/orders"),
            ResourceConflict::InvalidArn(Member::StreamArn),
        ),
        (
            "PutRecord",
            arn("arn:aws:kinesis:us-east-1:123456789012:stream/*"),
            ResourceConflict::WrongKind(Member::StreamArn),
        ),
        (
            "PutRecord",
            arn("arn:aws:kinesis:us-east-1:123456789012:stream/"),
            ResourceConflict::WrongKind(Member::StreamArn),
        ),
        (
            "PutRecord",
            arn("arn:aws:kinesis:us-east-1:123456789012:queue/q"),
            ResourceConflict::WrongKind(Member::StreamArn),
        ),
        (
            "PutRecord",
            arn(CONSUMER),
            ResourceConflict::WrongKind(Member::StreamArn),
        ),
        (
            "PutRecord",
            arn("arn:aws:firehose:us-east-1:123456789012:stream/s"),
            ResourceConflict::WrongKind(Member::StreamArn),
        ),
        (
            "PutRecord",
            arn("arn:aws:kinesis:eu-west-1:123456789012:stream/s"),
            ResourceConflict::Region(Member::StreamArn),
        ),
        (
            "PutRecord",
            arn("arn:aws-cn:kinesis:us-east-1:123456789012:stream/s"),
            ResourceConflict::Partition(Member::StreamArn),
        ),
        (
            "SubscribeToShard",
            format!(r#"{{"ConsumerARN":"{STREAM}"}}"#),
            ResourceConflict::WrongKind(Member::ConsumerArn),
        ),
        (
            "SubscribeToShard",
            format!(r#"{{"ConsumerARN":"{STREAM}/consumer/app"}}"#),
            ResourceConflict::WrongKind(Member::ConsumerArn),
        ),
        (
            "SubscribeToShard",
            format!(r#"{{"ConsumerARN":"{STREAM}/consumer/app:1x"}}"#),
            ResourceConflict::WrongKind(Member::ConsumerArn),
        ),
        (
            "DescribeStreamConsumer",
            format!(r#"{{"ConsumerARN":"{CONSUMER}","ConsumerName":"ap"}}"#),
            ResourceConflict::Consumer,
        ),
        (
            "DescribeStreamConsumer",
            format!(r#"{{"ConsumerARN":"{CONSUMER}","StreamARN":"{OTHER}"}}"#),
            ResourceConflict::Consumer,
        ),
        (
            "DescribeStreamConsumer",
            format!(r#"{{"ConsumerARN":"{CONSUMER}","StreamARN":"{STREAM}2"}}"#),
            ResourceConflict::Consumer,
        ),
        (
            "TagResource",
            r#"{"ResourceARN":"arn:aws:kinesis:us-east-1:123456789012:table/t"}"#.into(),
            ResourceConflict::WrongKind(Member::ResourceArn),
        ),
        (
            "DescribeQueue",
            r#"{"QueueARN":"arn:aws:kinesis:us-east-1:123456789012:channel/t"}"#.into(),
            ResourceConflict::WrongKind(Member::QueueArn),
        ),
        (
            "StartStreamEncryption",
            r#"{"StreamName":"s","KeyId":"a b"}"#.into(),
            ResourceConflict::InvalidName(Member::KeyId),
        ),
        (
            "StartStreamEncryption",
            r#"{"StreamName":"s","KeyId":"alias/"}"#.into(),
            ResourceConflict::InvalidName(Member::KeyId),
        ),
        (
            "StartStreamEncryption",
            r#"{"StreamName":"s","KeyId":"arn:aws:kms:us-east-1:1:key/a"}"#.into(),
            ResourceConflict::InvalidArn(Member::KeyId),
        ),
        (
            "StartStreamEncryption",
            format!(r#"{{"StreamName":"s","KeyId":"{STREAM}"}}"#),
            ResourceConflict::WrongKind(Member::KeyId),
        ),
        (
            "CreateQueue",
            r#"{"StreamConfigurationList":[{"StreamARN":"x"}]}"#.into(),
            ResourceConflict::InvalidArn(Member::StreamArn),
        ),
        (
            "MergeStreams",
            r#"{"StreamName":"a b"}"#.into(),
            ResourceConflict::InvalidName(Member::StreamName),
        ),
    ];
    for (operation, body, expected) in cases {
        assert_eq!(named(operation, body), Err(*expected), "{operation} {body}");
        assert!(!expected.message().is_empty() && !expected.to_string().is_empty());
    }
}

#[test]
fn a_name_means_the_callers_account_and_no_other() {
    let body = r#"{"StreamName":"orders"}"#;
    let unknown = ResolveContext {
        caller_account: None,
        ..context()
    };
    assert_eq!(
        named_in(&unknown, "PutRecord", body).unwrap(),
        ["arn:aws:kinesis:us-east-1:?:stream/orders"]
    );
    // Name and ARN, where it cannot be known whether they are one stream: both count.
    let both = format!(r#"{{"StreamARN":"{STREAM}","StreamName":"orders"}}"#);
    assert_eq!(
        named_in(&unknown, "PutRecord", &both).unwrap(),
        [STREAM, "arn:aws:kinesis:us-east-1:?:stream/orders"]
    );
    let china = ResolveContext {
        partition: "aws-cn",
        region: "cn-north-1",
        ..context()
    };
    assert_eq!(
        named_in(&china, "PutRecord", body).unwrap(),
        ["arn:aws-cn:kinesis:cn-north-1:123456789012:stream/orders"]
    );
}

#[test]
fn an_account_in_the_host_binds() {
    let own = ResolveContext {
        host_account: Some(CALLER),
        ..context()
    };
    let foreign = ResolveContext {
        host_account: Some("999999999999"),
        ..context()
    };
    let name = r#"{"StreamName":"orders"}"#;
    assert_eq!(named_in(&own, "PutRecord", name).unwrap(), [STREAM]);
    assert_eq!(
        named_in(&foreign, "PutRecord", name),
        Err(ResourceConflict::CallerAccount(Member::StreamName))
    );
    let unknown = ResolveContext {
        caller_account: None,
        ..foreign
    };
    assert_eq!(
        named_in(&unknown, "PutRecord", name).unwrap(),
        ["arn:aws:kinesis:us-east-1:?:stream/orders"]
    );
    for (context, arn, agrees) in [
        (own, STREAM, true),
        (own, OTHER, false),
        (foreign, OTHER, true),
        (foreign, STREAM, false),
    ] {
        let named = named_in(
            &context,
            "PutRecord",
            &format!(r#"{{"StreamARN":"{arn}"}}"#),
        );
        let expected = if agrees {
            Ok(vec![arn.to_owned()])
        } else {
            Err(ResourceConflict::HostAccount(Member::StreamArn))
        };
        assert_eq!(named, expected);
    }
}

#[test]
fn a_token_that_is_known_stands_for_its_stream() {
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
fn the_one_stream_of_a_request_is_what_its_token_will_stand_for() {
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

    // Bound so, it is a stream of nobody knows whom, and whatever is named beside it counts too.
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

#[test]
fn every_operation_names_something_and_a_reused_buffer_forgets() {
    let mut out = Resources::default();
    let empty = scanned("{}");
    let full = scanned(&format!(
        r#"{{"StreamName":"orders","StreamARN":"{STREAM}"}}"#
    ));
    for operation in operations() {
        let target = Target::Operation(operation);
        resolve_resources(&target, full.members(), &context(), None, &mut out).unwrap();
        resolve_resources(&target, empty.members(), &context(), None, &mut out).unwrap();
        let alone = shown(&out);
        assert!(
            alone == ["?"] || alone == ["*"],
            "{}: {alone:?}",
            operation.name
        );
    }
}
