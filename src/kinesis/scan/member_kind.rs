//! Member kinds: which top-level members of a body the policy needs, and how to read their values.

use super::super::members::Member;
use super::malformed::{MalformedBody, Result};

/// How to read the value of a top-level member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberKind {
    /// A member that policy does not need.
    Ignored,
    /// A string.
    Text(Member),
    /// `Tags`: a map of strings.
    Tags,
    /// `TagKeys`: a list of strings.
    TagKeys,
    /// `StreamConfigurationList`: a list of structures with a `StreamARN`.
    StreamConfigurations,
    /// `StreamFilter`: such a list, or one such structure.
    StreamFilter,
}

pub(super) const STREAM_ARN: &str = "StreamARN";

impl MemberKind {
    /// The kind of a request's member.
    ///
    /// # Errors
    /// If the key differs only in case from the name of a member that policy needs.
    pub(super) fn of_request(key: &[u8]) -> Result<MemberKind> {
        of_key(key, &REQUEST_MEMBERS)
    }

    /// The kind of a response's member. Only the token called `token` is needed.
    ///
    /// # Errors
    /// If the key differs from `token` only in case.
    pub(super) fn of_response(key: &[u8], token: &'static str) -> Result<MemberKind> {
        of_key(key, &[(token, MemberKind::Text(Member::NextToken))])
    }
}

fn of_key(key: &[u8], members: &[(&str, MemberKind)]) -> Result<MemberKind> {
    let mut members = members.iter();
    match members.find(|(name, _)| key.eq_ignore_ascii_case(name.as_bytes())) {
        Some((name, kind)) if key == name.as_bytes() => Ok(*kind),
        Some(_) => Err(MalformedBody::KeyCase),
        None => Ok(MemberKind::Ignored),
    }
}

static REQUEST_MEMBERS: [(&str, MemberKind); Member::COUNT + 4] = [
    ("StreamName", MemberKind::Text(Member::StreamName)),
    (STREAM_ARN, MemberKind::Text(Member::StreamArn)),
    ("StreamId", MemberKind::Text(Member::StreamId)),
    ("ConsumerName", MemberKind::Text(Member::ConsumerName)),
    ("ConsumerARN", MemberKind::Text(Member::ConsumerArn)),
    ("ResourceARN", MemberKind::Text(Member::ResourceArn)),
    ("QueueName", MemberKind::Text(Member::QueueName)),
    ("QueueARN", MemberKind::Text(Member::QueueArn)),
    ("ChannelName", MemberKind::Text(Member::ChannelName)),
    ("ChannelARN", MemberKind::Text(Member::ChannelArn)),
    ("KeyId", MemberKind::Text(Member::KeyId)),
    ("ShardIterator", MemberKind::Text(Member::ShardIterator)),
    ("NextToken", MemberKind::Text(Member::NextToken)),
    ("Tags", MemberKind::Tags),
    ("TagKeys", MemberKind::TagKeys),
    ("StreamConfigurationList", MemberKind::StreamConfigurations),
    ("StreamFilter", MemberKind::StreamFilter),
];
