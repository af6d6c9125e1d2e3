//! Conflicts between the names in a request, the endpoint and the caller.

use std::fmt;

use super::super::members::Member;

/// The reason that the names in a request are refused. The service refuses most of these too. Where
/// its implementations pick different names, the gate picks none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceConflict {
    /// A name has characters or a length that the service's model does not allow.
    InvalidName(Member),
    /// A member for an ARN holds something else.
    InvalidArn(Member),
    /// An ARN of another service, or of another kind of resource than the member names.
    WrongKind(Member),
    /// An ARN of another partition than the endpoint's.
    Partition(Member),
    /// An ARN of another region than the endpoint's.
    Region(Member),
    /// An ARN of another account than the one in the endpoint's name.
    HostAccount(Member),
    /// A bare name, at the endpoint of another account than the caller's.
    CallerAccount(Member),
    /// `StreamName` and `StreamARN` name different streams.
    Stream,
    /// `ConsumerARN` is not a consumer of `StreamARN`, or not the one called `ConsumerName`.
    Consumer,
    /// The token was issued for another stream than the one that the request names.
    Token,
}

impl ResourceConflict {
    /// The AWS error type for the client. A request with more than one reading is refused like a
    /// malformed body.
    pub fn error_type(&self) -> &'static str {
        match self {
            ResourceConflict::InvalidName(_) | ResourceConflict::InvalidArn(_) => {
                "ValidationException"
            }
            ResourceConflict::Partition(_)
            | ResourceConflict::Region(_)
            | ResourceConflict::HostAccount(_)
            | ResourceConflict::CallerAccount(_)
            | ResourceConflict::Stream => "SerializationException",
            ResourceConflict::WrongKind(_)
            | ResourceConflict::Consumer
            | ResourceConflict::Token => "InvalidArgumentException",
        }
    }

    /// The message for the client, without the value: AWS also omits values from such messages.
    pub fn message(&self) -> String {
        match self {
            ResourceConflict::InvalidName(member) | ResourceConflict::InvalidArn(member) => {
                format!(
                    "1 validation error detected: Value at '{}' failed to satisfy constraint: Member \
                 must satisfy regular expression pattern: {}",
                    lower_first(member.name()),
                    pattern(*member),
                )
            }
            ResourceConflict::WrongKind(member) => {
                format!("{} is not the ARN of such a resource.", member.name())
            }
            ResourceConflict::Partition(member)
            | ResourceConflict::Region(member)
            | ResourceConflict::HostAccount(member)
            | ResourceConflict::CallerAccount(member) => format!(
                "{} belongs to another partition, region or account than the endpoint of this \
                 request.",
                member.name()
            ),
            ResourceConflict::Stream => {
                "StreamName and StreamARN do not name the same stream.".to_owned()
            }
            ResourceConflict::Consumer => {
                "ConsumerARN does not fit the StreamARN and ConsumerName.".to_owned()
            }
            ResourceConflict::Token => {
                "The token does not belong to the stream that the request names.".to_owned()
            }
        }
    }
}

/// Writes the reason for the decision log.
impl fmt::Display for ResourceConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (member, rule) = match self {
            ResourceConflict::InvalidName(member) => {
                (member, "has characters that no such name has")
            }
            ResourceConflict::InvalidArn(member) => (member, "is not an ARN"),
            ResourceConflict::WrongKind(member) => {
                (member, "is an ARN of another kind of resource")
            }
            ResourceConflict::Partition(member) => {
                (member, "is of another partition than the endpoint")
            }
            ResourceConflict::Region(member) => (member, "is of another region than the endpoint"),
            ResourceConflict::HostAccount(member) => {
                (member, "is of another account than the endpoint's name")
            }
            ResourceConflict::CallerAccount(member) => (
                member,
                "was sent to the endpoint of another account than the caller's",
            ),
            ResourceConflict::Stream => {
                return f.write_str("`StreamName` and `StreamARN` name different streams");
            }
            ResourceConflict::Consumer => {
                return f.write_str("`ConsumerARN` does not fit `StreamARN` and `ConsumerName`");
            }
            ResourceConflict::Token => {
                return f
                    .write_str("the token was handed out for another stream than the named one");
            }
        };
        write!(f, "`{}` {rule}", member.name())
    }
}

impl std::error::Error for ResourceConflict {}

/// Validation messages write members with a lower-case first letter.
fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    chars
        .next()
        .map(|first| first.to_ascii_lowercase())
        .into_iter()
        .chain(chars)
        .collect()
}

/// The model's pattern for a member, for the message.
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
