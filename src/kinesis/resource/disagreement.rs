//! What a request names does not fit together.

use std::fmt;

use super::super::members::Member;

/// Why a request's names were refused. The service would refuse most of these too; where one of its
/// implementations would pick one name and another the other, nobody is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disagreement {
    /// A name has characters or a length that the service's model does not admit.
    InvalidName(Member),
    /// A member that holds an ARN holds something else.
    NotAnArn(Member),
    /// An ARN of another service, or of another kind of resource than the member names.
    WrongKind(Member),
    /// An ARN of another partition than the endpoint's.
    Partition(Member),
    /// An ARN of another region than the endpoint's.
    Region(Member),
    /// An ARN of another account than the one in the endpoint's name.
    HostAccount(Member),
    /// A name alone, at the endpoint of another account than the caller's.
    CallerAccount(Member),
    /// `StreamName` and `StreamARN` name different streams.
    Stream,
    /// `ConsumerARN` is not a consumer of `StreamARN`, or not the one called `ConsumerName`.
    Consumer,
    /// A token was handed out for another stream than the one named beside it.
    Token,
}

impl Disagreement {
    /// The AWS error type that the client gets: what two readers could read differently is refused
    /// like a body that is malformed.
    pub fn error_type(&self) -> &'static str {
        match self {
            Disagreement::InvalidName(_) | Disagreement::NotAnArn(_) => "ValidationException",
            Disagreement::Partition(_)
            | Disagreement::Region(_)
            | Disagreement::HostAccount(_)
            | Disagreement::CallerAccount(_)
            | Disagreement::Stream => "SerializationException",
            Disagreement::WrongKind(_) | Disagreement::Consumer | Disagreement::Token => {
                "InvalidArgumentException"
            }
        }
    }

    /// The message that the client gets. The value is left out, as AWS does for values that it does
    /// not show.
    pub fn message(&self) -> String {
        match self {
            Disagreement::InvalidName(member) | Disagreement::NotAnArn(member) => format!(
                "1 validation error detected: Value at '{}' failed to satisfy constraint: Member \
                 must satisfy regular expression pattern: {}",
                lower_first(member.name()),
                pattern(*member),
            ),
            Disagreement::WrongKind(member) => {
                format!("{} is not the ARN of such a resource.", member.name())
            }
            Disagreement::Partition(member)
            | Disagreement::Region(member)
            | Disagreement::HostAccount(member)
            | Disagreement::CallerAccount(member) => format!(
                "{} belongs to another partition, region or account than the endpoint of this \
                 request.",
                member.name()
            ),
            Disagreement::Stream => {
                "StreamName and StreamARN do not name the same stream.".to_owned()
            }
            Disagreement::Consumer => {
                "ConsumerARN does not fit the StreamARN and ConsumerName.".to_owned()
            }
            Disagreement::Token => {
                "The token does not belong to the stream that the request names.".to_owned()
            }
        }
    }
}

/// The rule, for the log.
impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (member, rule) = match self {
            Disagreement::InvalidName(member) => (member, "has characters that no such name has"),
            Disagreement::NotAnArn(member) => (member, "is not an ARN"),
            Disagreement::WrongKind(member) => (member, "is an ARN of another kind of resource"),
            Disagreement::Partition(member) => {
                (member, "is of another partition than the endpoint")
            }
            Disagreement::Region(member) => (member, "is of another region than the endpoint"),
            Disagreement::HostAccount(member) => {
                (member, "is of another account than the endpoint's name")
            }
            Disagreement::CallerAccount(member) => (
                member,
                "was sent to the endpoint of another account than the caller's",
            ),
            Disagreement::Stream => {
                return f.write_str("`StreamName` and `StreamARN` name different streams");
            }
            Disagreement::Consumer => {
                return f.write_str("`ConsumerARN` does not fit `StreamARN` and `ConsumerName`");
            }
            Disagreement::Token => {
                return f
                    .write_str("the token was handed out for another stream than the named one");
            }
        };
        write!(f, "`{}` {rule}", member.name())
    }
}

impl std::error::Error for Disagreement {}

/// Members in validation messages begin in lower case.
fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    chars
        .next()
        .map(|first| first.to_ascii_lowercase())
        .into_iter()
        .chain(chars)
        .collect()
}

/// The model's patterns, for the message.
fn pattern(member: Member) -> &'static str {
    match member {
        Member::StreamArn => r"arn:aws.*:kinesis:.*:\d{12}:stream/\S+",
        Member::ConsumerArn => {
            r"^(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+"
        }
        Member::ResourceArn => r"arn:aws.*:kinesis:.*:\d{12}:.*(stream|channel|queue)/\S+",
        Member::QueueArn => r"arn:aws.*:kinesis:.*:\d{12}:queue/\S+",
        Member::ChannelArn => r"arn:aws.*:kinesis:.*:\d{12}:channel/\S+",
        Member::StreamName
        | Member::StreamId
        | Member::ConsumerName
        | Member::QueueName
        | Member::ChannelName
        | Member::KeyId
        | Member::ShardIterator
        | Member::NextToken => "[a-zA-Z0-9_.-]+",
    }
}
