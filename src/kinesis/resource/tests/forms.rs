//! Every form in which a request names its resources.

use super::{CONSUMER, KEY, OTHER, STREAM, named};

#[test]
fn resources_of_each_form() {
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
