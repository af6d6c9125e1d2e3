//! Request and response heads, parsed strictly by `httparse`; their raw bytes, without hop-by-hop
//! headers.

use std::fmt;
use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version, request, response};
use httparse::{Header, ParserConfig, Status};

use super::decoder::Decoder;

/// A request's head.
pub struct RequestHead {
    /// The parsed head.
    pub parts: request::Parts,
    /// Its bytes, without hop-by-hop headers.
    pub raw: Bytes,
    /// Whether the client lets the connection persist (RFC 9112 section 9.3).
    pub is_persistent: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    pub(super) decoder: Decoder,
}

/// A response's head.
pub(super) struct ResponseHead {
    /// The parsed head; where there are raw bytes, with only the headers that the gate reads.
    pub(super) parts: response::Parts,
    /// Its bytes, without hop-by-hop headers; `None` where they do not define the body's framing.
    pub(super) raw: Option<Bytes>,
    pub(super) is_persistent: bool,
    pub(super) decoder: Decoder,
}

/// The reason that bytes are not a head with only one reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MalformedHead {
    /// Not the syntax of HTTP/1.1.
    Syntax,
    /// More than a hundred headers.
    TooManyHeaders,
    /// `Content-Length` is not a number, or there are two that differ.
    ContentLength,
    /// `Transfer-Encoding` is repeated, does not end in `chunked`, stands beside a
    /// `Content-Length`, or in HTTP/1.0.
    TransferEncoding,
}

/// Headers in one head; hyper's own limit.
const MAX_HEADERS: usize = 100;

/// Names in every request or response. `http` would allocate them each time.
static COMMON_NAMES: [HeaderName; 8] = [
    HeaderName::from_static("x-amz-target"),
    HeaderName::from_static("x-amz-date"),
    HeaderName::from_static("x-amz-security-token"),
    HeaderName::from_static("amz-sdk-invocation-id"),
    HeaderName::from_static("amz-sdk-request"),
    HeaderName::from_static("x-amzn-requestid"),
    HeaderName::from_static("x-amz-id-2"),
    HeaderName::from_static("x-amz-content-sha256"),
];

/// Parses a request's head: `bytes` to its empty line.
///
/// # Errors
/// The reason that the bytes are not a request head with only one reading.
pub fn parse_request(bytes: Bytes) -> Result<RequestHead, MalformedHead> {
    let mut headers = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    let config = ParserConfig::default();
    let status = config.parse_request_with_uninit_headers(&mut parsed, &bytes, &mut headers);
    check_complete(status, &bytes)?;
    let (Some(method), Some(path), Some(version)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(MalformedHead::Syntax);
    };
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = match method {
        "POST" => Method::POST,
        other => Method::from_bytes(other.as_bytes()).map_err(|_| MalformedHead::Syntax)?,
    };
    // A request target has no fragment (RFC 9112 section 3.2): the gate would evaluate the target
    // without it, and send the target with it.
    if path.contains('#') {
        return Err(MalformedHead::Syntax);
    }
    // A new request has the path `/` already.
    if path != "/" {
        let path = bytes.slice_ref(path.as_bytes());
        parts.uri = Uri::from_maybe_shared(path).map_err(|_| MalformedHead::Syntax)?;
    }
    parts.version = version_from_minor(version);
    parts.headers = collect_headers(&bytes, parsed.headers, |_| true)?;
    let framing = FramingHeaders::parse(parsed.headers, parts.version)?;
    let decoder = match (framing.is_chunked, framing.length) {
        (true, None) => Decoder::ChunkSize,
        (true, Some(_)) => return Err(MalformedHead::TransferEncoding),
        (false, length) => Decoder::Length(length.unwrap_or(0)),
    };
    Ok(RequestHead {
        // A response to HEAD has no body (RFC 9110 section 9.3.2); the gate's own have one.
        is_persistent: framing.is_persistent && parts.method != Method::HEAD,
        expects_continue: framing.expects_continue
            && parts.version == Version::HTTP_11
            && !decoder.has_ended(),
        raw: match framing.has_hop_by_hop {
            true => without_hop_by_hop(&bytes, parsed.headers),
            false => bytes,
        },
        decoder,
        parts,
    })
}

/// Parses a response's head: `bytes` to its empty line.
pub(super) fn parse_response(bytes: Bytes) -> Result<ResponseHead, MalformedHead> {
    let mut headers = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = ParserConfig::default();
    let status = config.parse_response_with_uninit_headers(&mut parsed, &bytes, &mut headers);
    check_complete(status, &bytes)?;
    let (Some(code), Some(version)) = (parsed.code, parsed.version) else {
        return Err(MalformedHead::Syntax);
    };
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = StatusCode::from_u16(code).map_err(|_| MalformedHead::Syntax)?;
    parts.version = version_from_minor(version);
    let framing = FramingHeaders::parse(parsed.headers, parts.version)?;
    let decoder = match (parts.status, framing.is_chunked, framing.length) {
        (StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED, ..) => Decoder::Ended,
        (_, true, None) => Decoder::ChunkSize,
        (_, true, Some(_)) => return Err(MalformedHead::TransferEncoding),
        (_, false, Some(length)) => Decoder::Length(length),
        (_, false, None) => Decoder::UntilClose,
    };
    let has_raw = decoder != Decoder::UntilClose && parts.version == Version::HTTP_11;
    parts.headers = collect_headers(&bytes, parsed.headers, |name| !has_raw || is_read(name))?;
    Ok(ResponseHead {
        is_persistent: framing.is_persistent && decoder != Decoder::UntilClose,
        raw: has_raw.then(|| match framing.has_hop_by_hop {
            true => without_hop_by_hop(&bytes, parsed.headers),
            false => bytes.clone(),
        }),
        decoder,
        parts,
    })
}

/// Writes the header lines of a head, without hop-by-hop headers.
pub(super) fn write_headers(headers: &HeaderMap, out: &mut BytesMut) {
    for (name, value) in headers {
        if !is_hop_by_hop(name.as_str()) {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                out.extend_from_slice(part);
            }
        }
    }
}

fn check_complete(status: httparse::Result<usize>, bytes: &[u8]) -> Result<(), MalformedHead> {
    match status {
        Ok(Status::Complete(len)) if len == bytes.len() => Ok(()),
        Err(httparse::Error::TooManyHeaders) => Err(MalformedHead::TooManyHeaders),
        _ => Err(MalformedHead::Syntax),
    }
}

fn version_from_minor(minor: u8) -> Version {
    match minor {
        1 => Version::HTTP_11,
        _ => Version::HTTP_10,
    }
}

/// The headers whose names `is_wanted` accepts. Values are slices of the head. Each header costs as
/// much as 700 instructions.
fn collect_headers(
    bytes: &Bytes,
    parsed: &[Header<'_>],
    is_wanted: impl Fn(&str) -> bool,
) -> Result<HeaderMap, MalformedHead> {
    let mut headers = HeaderMap::with_capacity(parsed.len());
    for header in parsed.iter().filter(|header| is_wanted(header.name)) {
        let name = header.name.as_bytes();
        let common = COMMON_NAMES
            .iter()
            .find(|common| common.as_str().as_bytes().eq_ignore_ascii_case(name));
        let name = match common {
            Some(common) => common.clone(),
            None => HeaderName::from_bytes(name).map_err(|_| MalformedHead::Syntax)?,
        };
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(header.value))
            .map_err(|_| MalformedHead::Syntax)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Whether the gate reads this header of a response. Other headers are forwarded unchanged.
fn is_read(name: &str) -> bool {
    [
        "content-length",
        "content-type",
        "transfer-encoding",
        "content-encoding",
        "date",
        "x-amzn-requestid",
    ]
    .iter()
    .any(|read| read.eq_ignore_ascii_case(name))
}

/// The headers that define the end of the message and of the connection.
struct FramingHeaders {
    /// This parser accepts other codings beside `chunked`; the gate refuses them.
    is_chunked: bool,
    length: Option<u64>,
    is_persistent: bool,
    expects_continue: bool,
    has_hop_by_hop: bool,
}

impl FramingHeaders {
    fn parse(parsed: &[Header<'_>], version: Version) -> Result<FramingHeaders, MalformedHead> {
        let mut framing = FramingHeaders {
            is_chunked: false,
            length: None,
            is_persistent: version == Version::HTTP_11,
            expects_continue: false,
            has_hop_by_hop: false,
        };
        for Header { name, value } in parsed {
            let is = |known: &str| known.eq_ignore_ascii_case(name);
            let is_close = |option: &[u8]| option.trim_ascii().eq_ignore_ascii_case(b"close");
            match name.len() {
                6 if is("expect") => {
                    framing.expects_continue |= value.eq_ignore_ascii_case(b"100-continue");
                }
                14 if is("content-length") => framing.add_length(value)?,
                17 if is("transfer-encoding") => {
                    let last = value.rsplit(|byte| *byte == b',').next();
                    let last = last.unwrap_or_default().trim_ascii();
                    let is_sane = last.eq_ignore_ascii_case(b"chunked") && value.is_ascii();
                    if framing.is_chunked || !is_sane || version != Version::HTTP_11 {
                        return Err(MalformedHead::TransferEncoding);
                    }
                    framing.is_chunked = true;
                }
                _ if is_hop_by_hop(name) => {
                    framing.has_hop_by_hop = true;
                    framing.is_persistent &=
                        !is("connection") || !value.split(|byte| *byte == b',').any(is_close);
                }
                _ => {}
            }
        }
        Ok(framing)
    }

    /// Adds a `Content-Length`. A second one must be equal.
    fn add_length(&mut self, value: &[u8]) -> Result<(), MalformedHead> {
        let digits = str::from_utf8(value).map_err(|_| MalformedHead::ContentLength)?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(MalformedHead::ContentLength);
        }
        let length = digits.parse().map_err(|_| MalformedHead::ContentLength)?;
        match self.length.replace(length) {
            Some(other) if other != length => Err(MalformedHead::ContentLength),
            _ => Ok(()),
        }
    }
}

/// Whether a header belongs to the connection and not to the message (RFC 9110 section 7.6.1).
fn is_hop_by_hop(name: &str) -> bool {
    ["connection", "keep-alive", "proxy-connection"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

fn without_hop_by_hop(bytes: &Bytes, parsed: &[Header<'_>]) -> Bytes {
    let start = |text: &str| (text.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize);
    let lines = bytes.len().saturating_sub(2);
    let first = parsed.first().map_or(lines, |header| start(header.name));
    let mut raw = BytesMut::with_capacity(bytes.len());
    raw.extend_from_slice(bytes.get(..first).unwrap_or_default());
    for (index, header) in parsed.iter().enumerate() {
        let next = parsed.get(index + 1);
        let end = next.map_or(lines, |next| start(next.name));
        if !is_hop_by_hop(header.name) {
            raw.extend_from_slice(bytes.get(start(header.name)..end).unwrap_or_default());
        }
    }
    raw.extend_from_slice(b"\r\n");
    raw.freeze()
}

impl fmt::Display for MalformedHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MalformedHead::Syntax => "the head is not HTTP/1.1",
            MalformedHead::TooManyHeaders => "the head has too many headers",
            MalformedHead::ContentLength => "`Content-Length` is ambiguous",
            MalformedHead::TransferEncoding => "`Transfer-Encoding` is ambiguous",
        })
    }
}

impl std::error::Error for MalformedHead {}
