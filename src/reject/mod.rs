//! The only map from an error (a refusal, a denial, overload) to a wire response.
//!
//! Every [`Rejection`] has a status, an AWS error type and a message, in the encoding of the request;
//! no arm stands for "all others".
//!
//! Statuses follow the behaviour of SDKs: an error that a retry can cure is 5xx or a throttle, any
//! other is 4xx. The gate itself never retries. The detailed reason goes to the decision log under
//! the same request id, and not to the client.

mod access_denied;
mod rate_limited;
mod response;

use std::borrow::Cow;

use http::StatusCode;

use crate::kinesis::{MalformedBody, Member, ResourceConflict};
use crate::sigv4::{ParseError, VerifyError};
use crate::upstream::UpstreamError;

pub use access_denied::{AccessDenied, PolicyType};
pub use rate_limited::RateLimited;

/// The error with which the gate answers a request in place of Kinesis.
#[derive(Debug)]
pub enum Rejection {
    /// The method is not `POST`.
    MethodNotAllowed,
    /// The request's head has more than one reading.
    Ambiguous(&'static str),
    /// The authority is no Kinesis endpoint of this listener (RFC 9110 section 15.5.20).
    MisdirectedRequest(String),
    /// The content type is neither AWS JSON 1.1, CBOR 1.1 nor Smithy RPC v2 CBOR.
    UnsupportedContentType,
    /// Neither `X-Amz-Target` nor, under Smithy RPC v2, the path names a Kinesis operation.
    UnknownOperation,
    /// The request has no signature, or none that tells who signed.
    Unauthenticated(ParseError),
    /// The request's signature does not verify.
    InvalidSignature(VerifyError),
    /// The endpoint authenticates its clients, and does not know this client.
    UnknownClient(&'static str),
    /// The endpoint signs with roles only, and has no role for the principal.
    NoRole,
    /// The request is allowed, but there are no credentials to sign it with.
    NoCredentials,
    /// The credential scope is of another region or service than the endpoint.
    WrongCredentialScope {
        /// The endpoint's region.
        region: String,
    },
    /// The body does not parse as its content type, or is ambiguous.
    MalformedBody(MalformedBody),
    /// Two names in the request contradict each other.
    ResourceConflict(ResourceConflict),
    /// The gate has not issued the opaque token in this member in the last 300 seconds, and the
    /// policy distinguishes the streams that the token may stand for.
    UnknownToken(Member),
    /// The body is longer than `limits.body-bytes`.
    BodyTooLarge,
    /// The body timeout: the body stalled, or was too slow.
    BodyTimeout,
    /// The body ended early.
    IncompleteBody,
    /// Overload: a limit of the whole gate is reached.
    Overloaded(Overloaded),
    /// A `[[rate]]` rule throttles the request.
    RateLimited(RateLimited),
    /// The policy denies the request.
    AccessDenied(AccessDenied),
    /// The request is allowed, but Kinesis cannot be reached or does not answer.
    Upstream(UpstreamError),
}

/// The limit that an overloaded gate has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overloaded {
    /// The buffer budget, `limits.buffered-bytes`.
    BufferBudget,
    /// `limits.requests`.
    Requests,
}

/// The service's message for an iterator that is older than 300 seconds.
const EXPIRED_ITERATOR: &str =
    "The shard iterator has expired. Shard iterators are only valid for 300 seconds";
/// The message for an expired `NextToken`; not verified against Kinesis itself.
const EXPIRED_NEXT_TOKEN: &str =
    "The next token has expired. Next tokens are only valid for 300 seconds";

impl Rejection {
    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        self.status_and_type().0
    }

    /// The AWS error type of the response.
    pub fn error_type(&self) -> &'static str {
        self.status_and_type().1
    }

    fn status_and_type(&self) -> (StatusCode, &'static str) {
        const BAD: StatusCode = StatusCode::BAD_REQUEST;
        const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
        match self {
            Rejection::MethodNotAllowed => (StatusCode::FORBIDDEN, "AccessDeniedException"),
            Rejection::NoRole | Rejection::AccessDenied(_) => (BAD, "AccessDeniedException"),
            Rejection::Ambiguous(_) | Rejection::MalformedBody(_) | Rejection::IncompleteBody => {
                (BAD, "SerializationException")
            }
            Rejection::MisdirectedRequest(_) => (
                StatusCode::MISDIRECTED_REQUEST,
                "MisdirectedRequestException",
            ),
            Rejection::UnsupportedContentType => {
                (StatusCode::NOT_FOUND, "UnknownOperationException")
            }
            Rejection::UnknownOperation => (BAD, "UnknownOperationException"),
            Rejection::Unauthenticated(why) => (BAD, why.error_type()),
            Rejection::InvalidSignature(why) => (BAD, why.error_type()),
            Rejection::UnknownClient(_) => (BAD, "UnrecognizedClientException"),
            Rejection::WrongCredentialScope { .. } => (BAD, "InvalidSignatureException"),
            Rejection::ResourceConflict(why) => (BAD, why.error_type()),
            Rejection::UnknownToken(Member::ShardIterator) => (BAD, "ExpiredIteratorException"),
            Rejection::UnknownToken(_) => (BAD, "ExpiredNextTokenException"),
            Rejection::BodyTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLargeException",
            ),
            Rejection::BodyTimeout => (BAD, "RequestTimeoutException"),
            // A throttle to SDKs, which back off longer before they retry.
            Rejection::Overloaded(_) => (UNAVAILABLE, "ThrottlingException"),
            Rejection::RateLimited(limited) => (BAD, limited.error_type()),
            Rejection::NoCredentials | Rejection::Upstream(_) => {
                (UNAVAILABLE, "ServiceUnavailable")
            }
        }
    }

    /// The message for the client; none where AWS sends none.
    fn message(&self) -> Option<Cow<'static, str>> {
        Some(match self {
            Rejection::Ambiguous(_)
            | Rejection::UnsupportedContentType
            | Rejection::UnknownOperation
            | Rejection::MalformedBody(_)
            | Rejection::IncompleteBody => return None,
            Rejection::MethodNotAllowed => {
                "Unable to determine service/operation name to be authorized".into()
            }
            Rejection::MisdirectedRequest(_) => {
                "The endpoint that was asked for is not served here".into()
            }
            Rejection::Unauthenticated(why) => why.message().into(),
            Rejection::InvalidSignature(why) => why.message().into(),
            Rejection::UnknownClient(_) => "The client is not one that the endpoint knows".into(),
            Rejection::NoRole => "The endpoint has no role for the caller".into(),
            Rejection::NoCredentials => "The endpoint has no credentials to sign with".into(),
            Rejection::WrongCredentialScope { region } => format!(
                "Credential should be scoped to a valid region, not other than '{region}', and to \
                 correct service: 'kinesis'."
            )
            .into(),
            Rejection::ResourceConflict(why) => why.message().into(),
            Rejection::UnknownToken(Member::ShardIterator) => EXPIRED_ITERATOR.into(),
            Rejection::UnknownToken(_) => EXPIRED_NEXT_TOKEN.into(),
            Rejection::BodyTooLarge => "Request size exceeded the limit of the endpoint".into(),
            Rejection::BodyTimeout => "The request body did not arrive in time".into(),
            Rejection::Overloaded(Overloaded::BufferBudget) => {
                "The endpoint is handling too many large requests".into()
            }
            Rejection::Overloaded(Overloaded::Requests) => {
                "The endpoint is handling too many requests".into()
            }
            Rejection::RateLimited(limited) => limited.message().into(),
            Rejection::AccessDenied(denied) => denied.to_string().into(),
            Rejection::Upstream(_) => "The service cannot be reached through the endpoint".into(),
        })
    }

    /// The reason for the decision log. The reason of a denial is its statement.
    pub fn reason(&self) -> Option<String> {
        Some(match self {
            Rejection::AccessDenied(_) => return None,
            Rejection::MethodNotAllowed => "the method is not POST".to_owned(),
            Rejection::Ambiguous(rule) => (*rule).to_owned(),
            Rejection::MisdirectedRequest(name) => {
                format!("`{name}` is no endpoint name that this listener serves")
            }
            Rejection::UnsupportedContentType => {
                "the content type is neither AWS JSON 1.1, CBOR 1.1 nor RPC v2 CBOR".to_owned()
            }
            Rejection::UnknownOperation => {
                "neither `X-Amz-Target` nor the path names a Kinesis operation".to_owned()
            }
            Rejection::Unauthenticated(why) => why.to_string(),
            Rejection::InvalidSignature(why) => why.to_string(),
            Rejection::UnknownClient(why) => (*why).to_owned(),
            Rejection::NoRole => "no `re-sign.role` is for this principal".to_owned(),
            Rejection::NoCredentials => "no valid credentials to sign with".to_owned(),
            Rejection::WrongCredentialScope { region } => {
                format!("signed for another region or service than `{region}` and `kinesis`")
            }
            Rejection::MalformedBody(rule) => rule.to_string(),
            Rejection::ResourceConflict(why) => why.to_string(),
            Rejection::UnknownToken(member) => format!(
                "unknown token: `{}` was not handed out here in the last 300 seconds, or is \
                 forgotten",
                member.name()
            ),
            Rejection::BodyTooLarge => "the body is longer than `body-bytes`".to_owned(),
            Rejection::BodyTimeout => {
                "the body stalled for `body-timeout`, or came slower than `body-rate`".to_owned()
            }
            Rejection::IncompleteBody => "the body broke off".to_owned(),
            Rejection::Overloaded(Overloaded::BufferBudget) => {
                "`buffered-bytes` are held already".to_owned()
            }
            Rejection::Overloaded(Overloaded::Requests) => {
                "`requests` are in flight already".to_owned()
            }
            Rejection::RateLimited(limited) => limited.reason(),
            Rejection::Upstream(failure) => failure.to_string(),
        })
    }
}
