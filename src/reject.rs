//! The only map from any failure to a wire response. Every variant has a status, an AWS error type
//! and a message, in the encoding that the client asked in; no arm stands for "the rest".
//!
//! Statuses follow what SDKs do with them: what a retry can cure is 5xx, what it cannot is 4xx.
//! The reason a person needs goes to the decision log under the same request id, not to the client.

mod over_rate;

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde::Serializer as _;

use crate::kinesis::{Disagreement, Format, Malformed, Member};
use crate::sigv4::{Unauthenticated, Unverified};
use crate::upstream::Failure;

pub use over_rate::OverRate;

/// Why a request is answered here and not by Kinesis.
#[derive(Debug)]
pub enum Rejection {
    /// Not `POST`.
    Method,
    /// The request's head is one that two readers could read differently.
    Ambiguous(&'static str),
    /// The name asked for is no Kinesis endpoint that this listener serves.
    Misdirected(String),
    /// Neither AWS JSON 1.1 nor CBOR 1.1, nor Smithy RPC v2 CBOR.
    ContentType,
    /// Nothing names a Kinesis operation, neither `X-Amz-Target` nor, under Smithy RPC v2, the path.
    UnknownOperation,
    /// Not signed, or not in a way that tells who signed.
    Unauthenticated(Unauthenticated),
    /// Signed, and the signature does not prove who calls.
    Unverified(Unverified),
    /// The gate authenticates its clients, and this one is nobody it knows.
    Unidentified(&'static str),
    /// No role is configured for this principal, and only roles sign.
    NoRole,
    /// Allowed, but there are no credentials to sign with.
    NoCredentials,
    /// Signed for another region or service than the endpoint's.
    Scope {
        /// The endpoint's region.
        region: String,
    },
    /// The body is not what its type says, or is ambiguous.
    Malformed(Malformed),
    /// What the request names does not fit together.
    Disagreement(Disagreement),
    /// The opaque token in this member was not handed out here in the last 300 seconds, and the
    /// policy tells the streams apart that it may stand for.
    UnknownToken(Member),
    /// The body is longer than `limits.body-bytes`.
    TooLarge,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The body broke off.
    BodyBroken,
    /// The gate holds as much as it may already.
    Busy(Busy),
    /// Too many in a second, by a rule of the configuration.
    OverRate(OverRate),
    /// The policy denies it.
    Denied(Denied),
    /// Allowed, but Kinesis could not be reached or did not answer.
    Upstream(Failure),
}

/// What there is too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Busy {
    /// `limits.buffered-bytes`.
    Bytes,
    /// `limits.requests`.
    Requests,
}

/// A denial, in the words AWS uses
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>).
#[derive(Debug)]
pub struct Denied {
    /// The principal's ARN, as far as known.
    pub user: String,
    /// `kinesis:PutRecord`.
    pub action: Cow<'static, str>,
    /// The resource's ARN, or `*`.
    pub resource: String,
    /// Whether a statement denies it; else no statement allows it.
    pub explicit: bool,
    /// Which kind of policy.
    pub layer: DeniedBy,
}

/// The kind of policy that denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeniedBy {
    /// The policy of the VPC endpoint.
    Endpoint,
    /// A policy of the principal.
    Identity,
}

/// The member that holds the message in errors of the authorization layer. Kinesis' model has
/// `message`; IAM denials of sibling services write `Message`. SDKs read both. Not verified
/// against Kinesis itself.
const AUTHORIZATION_MESSAGE: &str = "Message";
/// The member that holds the message in errors of the service's own.
const MESSAGE: &str = "message";
/// What stands before an error's name under Smithy RPC v2, where `__type` is an absolute shape id and
/// the message is always `message`.
const NAMESPACE: &str = "com.amazonaws.kinesis#";

/// What the service says of an iterator that is older than 300 seconds.
const EXPIRED_ITERATOR: &str =
    "The shard iterator has expired. Shard iterators are only valid for 300 seconds";
/// Not verified against Kinesis itself: its words for a `NextToken`.
const EXPIRED_NEXT_TOKEN: &str =
    "The next token has expired. Next tokens are only valid for 300 seconds";

impl Rejection {
    /// The status the client gets.
    pub fn status(&self) -> StatusCode {
        match self {
            Rejection::Method => StatusCode::FORBIDDEN,
            Rejection::Ambiguous(_)
            | Rejection::UnknownOperation
            | Rejection::Unauthenticated(_)
            | Rejection::Unverified(_)
            | Rejection::Unidentified(_)
            | Rejection::NoRole
            | Rejection::Scope { .. }
            | Rejection::Malformed(_)
            | Rejection::Disagreement(_)
            | Rejection::UnknownToken(_)
            | Rejection::BodyTimeout
            | Rejection::BodyBroken
            | Rejection::OverRate(_)
            | Rejection::Denied(_) => StatusCode::BAD_REQUEST,
            Rejection::Misdirected(_) => StatusCode::MISDIRECTED_REQUEST,
            Rejection::ContentType => StatusCode::NOT_FOUND,
            Rejection::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Rejection::Busy(_) | Rejection::NoCredentials | Rejection::Upstream(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// The AWS error type.
    pub fn error_type(&self) -> &'static str {
        match self {
            Rejection::Method | Rejection::NoRole | Rejection::Denied(_) => "AccessDeniedException",
            Rejection::Ambiguous(_) | Rejection::Malformed(_) | Rejection::BodyBroken => {
                "SerializationException"
            }
            Rejection::Misdirected(_) => "MisdirectedRequestException",
            Rejection::ContentType | Rejection::UnknownOperation => "UnknownOperationException",
            Rejection::Unauthenticated(why) => why.error_type(),
            Rejection::Unverified(why) => why.error_type(),
            Rejection::Unidentified(_) => "UnrecognizedClientException",
            Rejection::Scope { .. } => "InvalidSignatureException",
            Rejection::Disagreement(why) => why.error_type(),
            Rejection::UnknownToken(Member::ShardIterator) => "ExpiredIteratorException",
            Rejection::UnknownToken(_) => "ExpiredNextTokenException",
            Rejection::TooLarge => "RequestEntityTooLargeException",
            Rejection::BodyTimeout => "RequestTimeoutException",
            // A throttle to SDKs, which wait longer before they try again.
            Rejection::Busy(_) => "ThrottlingException",
            Rejection::OverRate(over) => over.error_type(),
            Rejection::NoCredentials | Rejection::Upstream(_) => "ServiceUnavailable",
        }
    }

    /// The message the client gets; none where AWS sends none.
    fn message(&self) -> Option<Cow<'static, str>> {
        let text = |text: &'static str| Some(Cow::Borrowed(text));
        match self {
            Rejection::Method => {
                text("Unable to determine service/operation name to be authorized")
            }
            Rejection::Ambiguous(_)
            | Rejection::ContentType
            | Rejection::UnknownOperation
            | Rejection::Malformed(_)
            | Rejection::BodyBroken => None,
            Rejection::Misdirected(_) => text("The endpoint that was asked for is not served here"),
            Rejection::Unauthenticated(why) => Some(Cow::Owned(why.message())),
            Rejection::Unverified(why) => Some(Cow::Owned(why.message())),
            Rejection::Unidentified(_) => text("The client is not one that the endpoint knows"),
            Rejection::NoRole => text("The endpoint has no role for the caller"),
            Rejection::NoCredentials => text("The endpoint has no credentials to sign with"),
            Rejection::Scope { region } => Some(Cow::Owned(format!(
                "Credential should be scoped to a valid region, not other than '{region}', and to \
                 correct service: 'kinesis'."
            ))),
            Rejection::Disagreement(why) => Some(Cow::Owned(why.message())),
            Rejection::UnknownToken(Member::ShardIterator) => text(EXPIRED_ITERATOR),
            Rejection::UnknownToken(_) => text(EXPIRED_NEXT_TOKEN),
            Rejection::TooLarge => text("Request size exceeded the limit of the endpoint"),
            Rejection::BodyTimeout => text("The request body did not arrive in time"),
            Rejection::Busy(Busy::Bytes) => {
                text("The endpoint is handling too many large requests")
            }
            Rejection::Busy(Busy::Requests) => text("The endpoint is handling too many requests"),
            Rejection::OverRate(over) => Some(Cow::Owned(over.message())),
            Rejection::Denied(denied) => Some(Cow::Owned(denied.to_string())),
            Rejection::Upstream(_) => text("The service cannot be reached through the endpoint"),
        }
    }

    /// What went wrong, for the log; a denial's reason is its statement.
    pub fn reason(&self) -> Option<String> {
        match self {
            Rejection::Denied(_) => None,
            Rejection::Method => Some("the method is not POST".to_owned()),
            Rejection::Ambiguous(rule) => Some((*rule).to_owned()),
            Rejection::Misdirected(name) => Some(format!(
                "`{name}` is no endpoint name that this listener serves"
            )),
            Rejection::ContentType => Some(
                "the content type is neither AWS JSON 1.1, CBOR 1.1 nor RPC v2 CBOR".to_owned(),
            ),
            Rejection::UnknownOperation => {
                Some("neither `X-Amz-Target` nor the path names a Kinesis operation".to_owned())
            }
            Rejection::Unauthenticated(why) => Some(why.to_string()),
            Rejection::Unverified(why) => Some(why.to_string()),
            Rejection::Unidentified(why) => Some((*why).to_owned()),
            Rejection::NoRole => Some("no `re-sign.role` is for this principal".to_owned()),
            Rejection::NoCredentials => Some("no valid credentials to sign with".to_owned()),
            Rejection::Scope { region } => Some(format!(
                "signed for another region or service than `{region}` and `kinesis`"
            )),
            Rejection::Malformed(rule) => Some(rule.to_string()),
            Rejection::Disagreement(why) => Some(why.to_string()),
            Rejection::UnknownToken(member) => Some(format!(
                "unknown token: `{}` was not handed out here in the last 300 seconds, or is \
                 forgotten",
                member.name()
            )),
            Rejection::TooLarge => Some("the body is longer than `body-bytes`".to_owned()),
            Rejection::BodyTimeout => Some(
                "the body stalled for `body-timeout`, or came slower than `body-rate`".to_owned(),
            ),
            Rejection::BodyBroken => Some("the body broke off".to_owned()),
            Rejection::Busy(Busy::Bytes) => Some("`buffered-bytes` are held already".to_owned()),
            Rejection::Busy(Busy::Requests) => Some("`requests` are in flight already".to_owned()),
            Rejection::OverRate(over) => Some(over.reason()),
            Rejection::Upstream(failure) => Some(failure.to_string()),
        }
    }

    /// The whole answer, with the id under which the log has the reason.
    ///
    /// `format` is the encoding of the request: SDKs read an error only in the one they wrote. What
    /// fails before the encoding is known is XML, as in front of the service.
    pub fn response(&self, format: Option<Format>, now: SystemTime) -> (String, Response<Bytes>) {
        let (content_type, body) = match (self, format) {
            (Rejection::Method | Rejection::ContentType, _) | (_, None) => {
                (XML, xml(self.error_type(), self.message()))
            }
            (_, Some(Format::Json)) => (
                Format::Json.content_type(),
                json(self.error_type(), self.message_member(), self.message()),
            ),
            (_, Some(Format::Cbor)) => (
                Format::Cbor.content_type(),
                cbor(self.error_type(), self.message_member(), self.message()),
            ),
            (_, Some(Format::RpcV2Cbor)) => {
                let shape = format!("{NAMESPACE}{}", self.error_type());
                (
                    Format::RpcV2Cbor.content_type(),
                    cbor(&shape, MESSAGE, self.message()),
                )
            }
        };
        let id = uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes());
        let id = id.into_uuid().to_string();
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, header(&id));
        headers.insert(EXTENDED_ID, header(&extended_id()));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if content_type == Format::RpcV2Cbor.content_type() {
            headers.insert(SMITHY_PROTOCOL, HeaderValue::from_static("rpc-v2-cbor"));
        }
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.insert(DATE, header(&httpdate::fmt_http_date(now)));
        *response.body_mut() = Bytes::from(body);
        (id, response)
    }

    fn message_member(&self) -> &'static str {
        match self {
            Rejection::Denied(_) => AUTHORIZATION_MESSAGE,
            _ => MESSAGE,
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Denied {
            user,
            action,
            resource,
            ..
        } = self;
        write!(
            f,
            "User: {user} is not authorized to perform: {action} on resource: {resource} "
        )?;
        match (self.explicit, self.layer) {
            (true, DeniedBy::Endpoint) => {
                f.write_str("with an explicit deny in a VPC endpoint policy")
            }
            (true, DeniedBy::Identity) => {
                f.write_str("with an explicit deny in an identity-based policy")
            }
            (false, DeniedBy::Endpoint) => {
                write!(
                    f,
                    "because no VPC endpoint policy allows the {action} action"
                )
            }
            (false, DeniedBy::Identity) => {
                write!(
                    f,
                    "because no identity-based policy allows the {action} action"
                )
            }
        }
    }
}

const XML: &str = "application/xml";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const EXTENDED_ID: HeaderName = HeaderName::from_static("x-amz-id-2");
const SMITHY_PROTOCOL: HeaderName = HeaderName::from_static("smithy-protocol");

fn json(error_type: &str, member: &str, message: Option<Cow<'_, str>>) -> Vec<u8> {
    let mut body = Vec::with_capacity(512);
    let mut members = |members: &[(&str, &str)]| {
        serde_json::Serializer::new(&mut body).collect_map(members.iter().copied())
    };
    // Writing to memory does not fail.
    let _ = match &message {
        Some(message) => members(&[("__type", error_type), (member, message)]),
        None => members(&[("__type", error_type)]),
    };
    body
}

fn cbor(error_type: &str, member: &str, message: Option<Cow<'_, str>>) -> Vec<u8> {
    let mut body = vec![if message.is_some() { 0xa2 } else { 0xa1 }];
    let mut text = |text: &str| {
        match u16::try_from(text.len()) {
            Ok(len @ 0..24) => body.push(0x60 | len as u8),
            Ok(len @ 24..256) => body.extend([0x78, len as u8]),
            Ok(len) => {
                body.push(0x79);
                body.extend(len.to_be_bytes());
            }
            Err(_) => {
                body.push(0x7a);
                body.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            }
        }
        body.extend(text.as_bytes());
    };
    text("__type");
    text(error_type);
    if let Some(message) = message {
        text(member);
        text(&message);
    }
    body
}

fn xml(error_type: &str, message: Option<Cow<'_, str>>) -> Vec<u8> {
    match message {
        Some(message) => {
            format!("<{error_type}><Message>{message}</Message></{error_type}>\n").into_bytes()
        }
        None => format!("<{error_type}/>\n").into_bytes(),
    }
}

/// What AWS sends beside the request id: 72 bytes that mean nothing to us.
fn extended_id() -> String {
    let mut bytes = [0; 72];
    fastrand::fill(&mut bytes);
    STANDARD.encode(bytes)
}

/// Text that is ASCII by construction.
fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
