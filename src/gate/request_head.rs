//! The request head: operation and caller, the refusal of ambiguous heads, and hop-by-hop headers.

use http::header::{CONNECTION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

use crate::kinesis::{Target, WireFormat, canonical_host, split_authority};
use crate::reject::Rejection;
use crate::sigv4::{self, ParseError, RequestSignature};

use super::connection::ConnectionInfo;

/// A parsed request head. A head that also passes [`check_form`] has only one reading.
pub struct RequestHead<'a> {
    /// The encoding of the body.
    pub format: WireFormat,
    /// The operation.
    pub target: Target<'a>,
    /// The caller who signed; `None` without a signature.
    pub caller: Option<RequestSignature<'a>>,
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const RPC_V2_CBOR: &[u8] = b"rpc-v2-cbor";
/// Hop-by-hop headers: they belong to the connection and not the message (RFC 9110 section 7.6.1).
static HOP_BY_HOP: [HeaderName; 3] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// A header that affects how a request is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Host,
    Authorization,
    ContentType,
    ContentLength,
    TransferEncoding,
    Target,
    SmithyProtocol,
    SecurityToken,
    Date,
    Connection,
    Upgrade,
    ContentEncoding,
    /// `X-Amzn-Target`: some servers read the operation from this header too (Smithy RPC v2 names
    /// both headers). No client sends it.
    OtherTarget,
}

/// Headers that must not be repeated: the gate and the service could each read a different one.
const SINGLETONS: [(Field, &str); 9] = [
    (Field::Host, "`Host` is doubled"),
    (Field::Authorization, "`Authorization` is doubled"),
    (Field::ContentType, "`Content-Type` is doubled"),
    (Field::ContentLength, "`Content-Length` is doubled"),
    (Field::TransferEncoding, "`Transfer-Encoding` is doubled"),
    (Field::Target, "`X-Amz-Target` is doubled"),
    (Field::SmithyProtocol, "`smithy-protocol` is doubled"),
    (Field::SecurityToken, "`X-Amz-Security-Token` is doubled"),
    (Field::Date, "`X-Amz-Date` is doubled"),
];

/// The first of each [`Field`], found in one pass. A map lookup for each field costs a request of 1
/// KiB 3 % of its instructions.
struct Fields<'a> {
    first: [Option<&'a HeaderValue>; Field::OtherTarget as usize + 1],
    /// A bit for each repeated field.
    repeated: u16,
}

/// The encoding of a request, and so of its response.
pub(super) fn format(headers: &HeaderMap) -> Option<WireFormat> {
    format_of(headers.get(CONTENT_TYPE)?)
}

fn format_of(content_type: &HeaderValue) -> Option<WireFormat> {
    WireFormat::from_content_type(content_type.to_str().ok()?)
}

/// The encoding of a response whose headers name exactly one.
pub(super) fn single_format(headers: &HeaderMap) -> Option<WireFormat> {
    let mut content_types = headers.get_all(CONTENT_TYPE).iter();
    match (content_types.next(), content_types.next()) {
        (Some(_), None) => format(headers),
        _ => None,
    }
}

/// The request id of the service's response.
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    headers.get(REQUEST_ID)?.to_str().ok().map(str::to_owned)
}

/// Removes the hop-by-hop headers. Requests whose `Connection` names another header are refused.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        for name in &HOP_BY_HOP {
            headers.remove(name);
        }
    }
}

impl Field {
    fn from_name(name: &HeaderName) -> Option<Field> {
        Some(match name.as_str() {
            "host" => Field::Host,
            "authorization" => Field::Authorization,
            "content-type" => Field::ContentType,
            "content-length" => Field::ContentLength,
            "transfer-encoding" => Field::TransferEncoding,
            "x-amz-target" => Field::Target,
            "smithy-protocol" => Field::SmithyProtocol,
            "x-amz-security-token" => Field::SecurityToken,
            "x-amz-date" => Field::Date,
            "connection" => Field::Connection,
            "upgrade" => Field::Upgrade,
            "content-encoding" => Field::ContentEncoding,
            "x-amzn-target" => Field::OtherTarget,
            _ => return None,
        })
    }
}

impl<'a> Fields<'a> {
    fn find(headers: &'a HeaderMap) -> Fields<'a> {
        let mut fields = Fields {
            first: [None; _],
            repeated: 0,
        };
        for (name, value) in headers {
            let Some(field) = Field::from_name(name) else {
                continue;
            };
            match fields.first.get_mut(field as usize) {
                Some(first @ None) => *first = Some(value),
                _ => fields.repeated |= 1 << field as u16,
            }
        }
        fields
    }

    fn get(&self, field: Field) -> Option<&'a HeaderValue> {
        *self.first.get(field as usize)?
    }

    fn has(&self, field: Field) -> bool {
        self.get(field).is_some()
    }

    fn is_repeated(&self, field: Field) -> bool {
        self.repeated & 1 << field as u16 != 0
    }

    fn text(&self, field: Field) -> Result<Option<&'a str>, Rejection> {
        match self.get(field).map(HeaderValue::to_str) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => Err(Rejection::Ambiguous("a header that matters is not ASCII")),
        }
    }

    /// Whether some readers find several values in one header field.
    fn is_joined(&self, field: Field) -> bool {
        let value = self.get(field);
        value.is_some_and(|value| value.as_bytes().contains(&b','))
    }
}

impl<'a> RequestHead<'a> {
    /// Parses a head that was sent to `region`.
    ///
    /// # Errors
    /// If the operation or the caller is ambiguous, or the credential scope is of another region or
    /// service.
    pub fn parse(parts: &'a Parts, region: &str) -> Result<RequestHead<'a>, Rejection> {
        let fields = Fields::find(&parts.headers);
        let format = match fields.get(Field::ContentType).and_then(format_of) {
            Some(format) => format,
            None if fields.is_joined(Field::ContentType) => {
                return Err(Rejection::Ambiguous("`Content-Type` is several in one"));
            }
            None => return Err(Rejection::UnsupportedContentType),
        };
        let target = target(parts, &fields, format)?;
        let authorization = fields.text(Field::Authorization)?;
        let is_joined = |value: &str| value.matches(ALGORITHM).nth(1).is_some();
        let caller = match sigv4::parse(authorization, parts.uri.query()) {
            Ok(caller) => Some(caller),
            Err(_) if authorization.is_some_and(is_joined) => {
                return Err(Rejection::Ambiguous("`Authorization` is several in one"));
            }
            Err(ParseError::Unsigned) => None,
            Err(ParseError::UnknownQueryParameter) => {
                return Err(Rejection::Ambiguous(
                    "the query has parameters that are none of a signature",
                ));
            }
            Err(why) => return Err(Rejection::Unauthenticated(why)),
        };
        // The service refuses a signature for another region or service; an emulator may execute
        // the request there.
        let is_elsewhere = |caller: RequestSignature<'_>| {
            let scope = caller.credential.scope;
            scope.region != region || scope.service != "kinesis"
        };
        if caller.is_some_and(is_elsewhere) {
            return Err(Rejection::WrongCredentialScope {
                region: region.to_owned(),
            });
        }
        Ok(RequestHead {
            format,
            target,
            caller,
        })
    }

    /// Whether the body may carry records and can be decided before its end: the operation is
    /// known, and has neither tags nor a token, which only the whole body shows. A request for an
    /// event stream is not large: the gate may evaluate it again while the stream is open.
    pub(super) fn may_be_large(&self) -> bool {
        match self.target {
            Target::Operation(operation) => {
                operation.tag_members.is_empty()
                    && operation.input_token.is_none()
                    && !operation.is_event_stream
            }
            Target::UnmodeledOperation(_) => false,
        }
    }
}

/// The host name of the request, in lower case: `Host` of HTTP/1.1, `:authority` of HTTP/2. If both
/// are present, they must be equal.
pub(super) fn host(parts: &Parts, connection: &ConnectionInfo) -> Result<String, Rejection> {
    let fields = Fields::find(&parts.headers);
    check(parts, &fields)?;
    let header = fields.text(Field::Host)?;
    let authority = match (parts.version, parts.uri.authority(), header) {
        (Version::HTTP_11, None, Some(host)) => host,
        (Version::HTTP_11, Some(_), _) => {
            return Err(Rejection::Ambiguous("the target is not in origin form"));
        }
        (Version::HTTP_2, Some(authority), None) => authority.as_str(),
        (Version::HTTP_2, Some(authority), Some(host)) if authority.as_str() == host => host,
        (Version::HTTP_2, Some(_), Some(_)) => {
            return Err(Rejection::Ambiguous("`:authority` and `Host` differ"));
        }
        (Version::HTTP_11 | Version::HTTP_2, _, _) => {
            return Err(Rejection::Ambiguous("no host is named"));
        }
        _ => {
            return Err(Rejection::Ambiguous(
                "the version is neither HTTP/1.1 nor HTTP/2",
            ));
        }
    };
    let (name, _port) = split_authority(authority)
        .ok_or_else(|| Rejection::MisdirectedRequest(authority.to_owned()))?;
    let name = canonical_host(name).into_owned();
    match &connection.server_name {
        // TLS names one Kinesis endpoint and HTTP another: a connection for the first must not be
        // coalesced onto the second.
        Some(sni) if *sni != name && !connection.listener.is_own(sni) => Err(
            Rejection::MisdirectedRequest(format!("{name} over TLS for {sni}")),
        ),
        _ => Ok(name),
    }
}

/// Refuses heads that are malformed or ambiguous whatever the operation is.
///
/// # Errors
/// The first rule that the head breaks.
pub fn check_form(parts: &Parts) -> Result<(), Rejection> {
    check(parts, &Fields::find(&parts.headers))
}

fn check(parts: &Parts, fields: &Fields<'_>) -> Result<(), Rejection> {
    if parts.method != Method::POST {
        return Err(Rejection::MethodNotAllowed);
    }
    if fields.repeated != 0 {
        for (field, rule) in SINGLETONS {
            if fields.is_repeated(field) {
                return Err(Rejection::Ambiguous(rule));
            }
        }
    }
    if fields.has(Field::Connection) {
        check_connection(&parts.headers)?;
    }
    let coding = fields.get(Field::TransferEncoding);
    if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(Rejection::Ambiguous("`Transfer-Encoding` is not `chunked`"));
    }
    if fields.has(Field::Upgrade) {
        return Err(Rejection::Ambiguous("`Upgrade` asks for another protocol"));
    }
    if fields.has(Field::ContentEncoding) {
        return Err(Rejection::Ambiguous("`Content-Encoding` is set"));
    }
    if fields.has(Field::OtherTarget) {
        return Err(Rejection::Ambiguous("`X-Amzn-Target` is set"));
    }
    match fields.get(Field::SmithyProtocol).map(HeaderValue::as_bytes) {
        Some(RPC_V2_CBOR) if fields.has(Field::Target) => Err(Rejection::Ambiguous(
            "`X-Amz-Target` stands beside `smithy-protocol`",
        )),
        Some(RPC_V2_CBOR) => Ok(()),
        Some(_) => Err(Rejection::Ambiguous(
            "`smithy-protocol` asks for another protocol",
        )),
        None if parts.uri.path() != "/" => Err(Rejection::Ambiguous("the path is not `/`")),
        None => Ok(()),
    }
}

/// The operation: from the path under Smithy RPC v2, otherwise from a header. The content type must
/// be that of the protocol.
fn target<'a>(
    parts: &'a Parts,
    fields: &Fields<'a>,
    format: WireFormat,
) -> Result<Target<'a>, Rejection> {
    let target = match (format, fields.has(Field::SmithyProtocol)) {
        (WireFormat::RpcV2Cbor, true) => Target::from_path(parts.uri.path()),
        (WireFormat::Json | WireFormat::Cbor, false) if fields.is_joined(Field::Target) => {
            return Err(Rejection::Ambiguous("`X-Amz-Target` is several in one"));
        }
        (WireFormat::Json | WireFormat::Cbor, false) => {
            fields.text(Field::Target)?.and_then(Target::parse)
        }
        (WireFormat::RpcV2Cbor, false) => return Err(Rejection::UnsupportedContentType),
        (WireFormat::Json | WireFormat::Cbor, true) => {
            return Err(Rejection::Ambiguous(
                "the content type is not that of `smithy-protocol`",
            ));
        }
    };
    target.ok_or(Rejection::UnknownOperation)
}

/// `Connection` may only say whether the connection stays open (keep-alive). The gate would have to
/// drop any header that `Connection` names, and the signature may cover that header.
fn check_connection(headers: &HeaderMap) -> Result<(), Rejection> {
    let is_persistence = |value: &HeaderValue| {
        value.to_str().is_ok_and(|value| {
            value.split(',').all(|option| {
                let option = option.trim();
                option.eq_ignore_ascii_case("close") || option.eq_ignore_ascii_case("keep-alive")
            })
        })
    };
    if headers.get_all(CONNECTION).iter().all(is_persistence) {
        Ok(())
    } else {
        Err(Rejection::Ambiguous(
            "`Connection` names more than `close` or `keep-alive`",
        ))
    }
}
