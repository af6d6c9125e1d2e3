//! The members of a request body that the policy decision needs.

use std::fmt;

/// A top-level member whose value is a string: the name, ARN or id of a resource, or an opaque token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "each is the member of that name in the service model"
)]
pub enum Member {
    StreamName,
    StreamArn,
    StreamId,
    ConsumerName,
    ConsumerArn,
    ResourceArn,
    QueueName,
    QueueArn,
    ChannelName,
    ChannelArn,
    KeyId,
    ShardIterator,
    NextToken,
}

impl Member {
    /// The number of members.
    pub(super) const COUNT: usize = 13;

    /// The member's name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Member::StreamName => "StreamName",
            Member::StreamArn => "StreamARN",
            Member::StreamId => "StreamId",
            Member::ConsumerName => "ConsumerName",
            Member::ConsumerArn => "ConsumerARN",
            Member::ResourceArn => "ResourceARN",
            Member::QueueName => "QueueName",
            Member::QueueArn => "QueueARN",
            Member::ChannelName => "ChannelName",
            Member::ChannelArn => "ChannelARN",
            Member::KeyId => "KeyId",
            Member::ShardIterator => "ShardIterator",
            Member::NextToken => "NextToken",
        }
    }
}

/// The members of a body that name resources and tags. A `null` means that the member is absent, as
/// SDKs and the service read AWS JSON 1.1.
///
/// While the body is still arriving, these are the members that are complete so far.
#[derive(Default, Clone)]
pub struct Members {
    /// All retained strings, one after the other, each valid UTF-8.
    pub(super) arena: Vec<u8>,
    pub(super) texts: [Option<Span>; Member::COUNT],
    pub(super) entries: Vec<Entry>,
    /// Whether an element of a list of streams has no `StreamARN`.
    pub(super) has_unnamed_stream: bool,
}

/// A string in the arena, whose size is capped far below 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// An entry of a list or map member.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Tag { key: Span, value: Span },
    TagKey(Span),
    ConfigurationArn(Span),
    FilterArn(Span),
}

impl Members {
    /// The value of a member.
    pub fn text(&self, member: Member) -> Option<&str> {
        let span = self.texts.get(member as usize).copied().flatten()?;
        self.string(span)
    }

    /// `StreamName`.
    pub fn stream_name(&self) -> Option<&str> {
        self.text(Member::StreamName)
    }

    /// `StreamARN`.
    pub fn stream_arn(&self) -> Option<&str> {
        self.text(Member::StreamArn)
    }

    /// `StreamId`, reserved by the service.
    pub fn stream_id(&self) -> Option<&str> {
        self.text(Member::StreamId)
    }

    /// `ConsumerName`.
    pub fn consumer_name(&self) -> Option<&str> {
        self.text(Member::ConsumerName)
    }

    /// `ConsumerARN`.
    pub fn consumer_arn(&self) -> Option<&str> {
        self.text(Member::ConsumerArn)
    }

    /// `ResourceARN`.
    pub fn resource_arn(&self) -> Option<&str> {
        self.text(Member::ResourceArn)
    }

    /// `QueueName`.
    pub fn queue_name(&self) -> Option<&str> {
        self.text(Member::QueueName)
    }

    /// `QueueARN`.
    pub fn queue_arn(&self) -> Option<&str> {
        self.text(Member::QueueArn)
    }

    /// `ChannelName`.
    pub fn channel_name(&self) -> Option<&str> {
        self.text(Member::ChannelName)
    }

    /// `ChannelARN`.
    pub fn channel_arn(&self) -> Option<&str> {
        self.text(Member::ChannelArn)
    }

    /// `KeyId`: the id, ARN or alias of a KMS key.
    pub fn key_id(&self) -> Option<&str> {
        self.text(Member::KeyId)
    }

    /// `ShardIterator`, opaque.
    pub fn shard_iterator(&self) -> Option<&str> {
        self.text(Member::ShardIterator)
    }

    /// `NextToken`, opaque.
    pub fn next_token(&self) -> Option<&str> {
        self.text(Member::NextToken)
    }

    /// The keys and values of `Tags`.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().filter_map(|entry| match *entry {
            Entry::Tag { key, value } => Some((self.string(key)?, self.string(value)?)),
            _ => None,
        })
    }

    /// The tag keys that a request names: of `Tags` and of `TagKeys`.
    pub fn tag_keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|entry| match *entry {
            Entry::Tag { key, .. } | Entry::TagKey(key) => self.string(key),
            _ => None,
        })
    }

    /// `StreamConfigurationList[].StreamARN`: the streams that a channel or queue will read.
    pub fn stream_configuration_arns(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|entry| match *entry {
            Entry::ConfigurationArn(arn) => self.string(arn),
            _ => None,
        })
    }

    /// `StreamFilter.StreamARN`, one or several: the streams whose channels or queues are listed.
    pub fn stream_filter_arns(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|entry| match *entry {
            Entry::FilterArn(arn) => self.string(arn),
            _ => None,
        })
    }

    /// Whether an element of a list of streams has no `StreamARN`: the element names its stream in
    /// a way unknown to this version.
    pub fn has_unnamed_stream(&self) -> bool {
        self.has_unnamed_stream
    }

    /// Whether a member names a resource; opaque tokens do not count.
    pub fn has_resource(&self) -> bool {
        let tokens = [Member::ShardIterator as usize, Member::NextToken as usize];
        let mut texts = self.texts.iter().enumerate();
        texts.any(|(index, text)| text.is_some() && !tokens.contains(&index))
            || self.stream_configuration_arns().next().is_some()
            || self.stream_filter_arns().next().is_some()
            || self.has_unnamed_stream
    }

    fn string(&self, span: Span) -> Option<&str> {
        // INVARIANT: every string was validated when it was complete, so `ok` drops nothing.
        std::str::from_utf8(self.arena.get(span.start as usize..span.end as usize)?).ok()
    }
}

/// Shows names and ARNs. Tokens and tag values are secrets.
impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Members");
        for member in [
            Member::StreamName,
            Member::StreamArn,
            Member::StreamId,
            Member::ConsumerName,
            Member::ConsumerArn,
            Member::ResourceArn,
            Member::QueueName,
            Member::QueueArn,
            Member::ChannelName,
            Member::ChannelArn,
            Member::KeyId,
        ] {
            if let Some(text) = self.text(member) {
                out.field(member.name(), &text);
            }
        }
        out.field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}
