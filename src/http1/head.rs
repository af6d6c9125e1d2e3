//! Heads: read strictly by `httparse`, kept as they came.

use std::fmt;
use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version, request, response};
use httparse::{Header, ParserConfig, Status};

use super::decoder::Decoder;

/// A request's head.
pub struct RequestHead {
    /// What it says.
    pub parts: request::Parts,
    /// Its bytes, without what belongs to the connection.
    pub verbatim: Bytes,
    /// Whether the connection may stay.
    pub stays: bool,
    /// Whether the client waits for a word before it sends the body.
    pub expects: bool,
    pub(super) decoder: Decoder,
}

/// An answer's head.
pub(super) struct ResponseHead {
    pub(super) parts: response::Parts,
    /// Its bytes, without what belongs to the connection; `None` where they do not say how the
    /// body is framed.
    pub(super) verbatim: Option<Bytes>,
    pub(super) stays: bool,
    pub(super) decoder: Decoder,
}

/// A head that is none, or could be read in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Not the syntax of HTTP/1.1.
    Syntax,
    /// More than a hundred headers.
    TooManyHeaders,
    /// The body's length is said twice, differently, or not as a number.
    Length,
    /// A transfer coding that is doubled or does not end in `chunked`, or beside a length, or in
    /// HTTP/1.0.
    Coding,
}

/// Headers in one head; hyper's own limit.
const MOST_HEADERS: usize = 100;

/// Names that are in every request or answer, and that `http` would allocate each time.
static KNOWN: [HeaderName; 8] = [
    HeaderName::from_static("x-amz-target"),
    HeaderName::from_static("x-amz-date"),
    HeaderName::from_static("x-amz-security-token"),
    HeaderName::from_static("amz-sdk-invocation-id"),
    HeaderName::from_static("amz-sdk-request"),
    HeaderName::from_static("x-amzn-requestid"),
    HeaderName::from_static("x-amz-id-2"),
    HeaderName::from_static("x-amz-content-sha256"),
];

/// Reads a request's head, `bytes` to its empty line.
///
/// # Errors
/// Whatever is not one request head that all readers read alike.
pub fn request(bytes: Bytes) -> Result<RequestHead, Malformed> {
    let mut headers = [const { MaybeUninit::<Header<'_>>::uninit() }; MOST_HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    let status = ParserConfig::default().parse_request_with_uninit_headers(
        &mut parsed,
        &bytes,
        &mut headers,
    );
    whole(status, &bytes)?;
    let (Some(method), Some(path), Some(version)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(Malformed::Syntax);
    };
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = match method {
        "POST" => Method::POST,
        other => Method::from_bytes(other.as_bytes()).map_err(|_| Malformed::Syntax)?,
    };
    // `/` is what a request has already. A fragment is none of a target (RFC 9112 section 3.2): what
    // is judged would be without it, and what leaves with it.
    if path.contains('#') {
        return Err(Malformed::Syntax);
    }
    if path != "/" {
        let path = bytes.slice_ref(path.as_bytes());
        parts.uri = Uri::from_maybe_shared(path).map_err(|_| Malformed::Syntax)?;
    }
    parts.version = version_of(version);
    parts.headers = headers_of(&bytes, parsed.headers)?;
    let coding = coding(&parts.headers, parts.version)?;
    let decoder = match (coding, length(&parts.headers)?) {
        (Some(()), None) => Decoder::Size,
        (Some(()), Some(_)) => return Err(Malformed::Coding),
        (None, length) => Decoder::Length(length.unwrap_or(0)),
    };
    let expects = parts
        .headers
        .get(EXPECT)
        .is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    Ok(RequestHead {
        // An answer to HEAD has no body (RFC 9110 section 9.3.2); the gate's own have one.
        stays: stays(&parts.headers, parts.version) && parts.method != Method::HEAD,
        expects: expects && parts.version == Version::HTTP_11 && !decoder.has_ended(),
        verbatim: without_hops(&bytes, parsed.headers),
        decoder,
        parts,
    })
}

/// Reads an answer's head, `bytes` to its empty line.
pub(super) fn response(bytes: Bytes) -> Result<ResponseHead, Malformed> {
    let mut headers = [const { MaybeUninit::<Header<'_>>::uninit() }; MOST_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let status = ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        &bytes,
        &mut headers,
    );
    whole(status, &bytes)?;
    let (Some(code), Some(version)) = (parsed.code, parsed.version) else {
        return Err(Malformed::Syntax);
    };
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = StatusCode::from_u16(code).map_err(|_| Malformed::Syntax)?;
    parts.version = version_of(version);
    parts.headers = headers_of(&bytes, parsed.headers)?;
    let coding = coding(&parts.headers, parts.version)?;
    let decoder = match (parts.status, coding, length(&parts.headers)?) {
        (StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED, ..) => Decoder::Ended,
        (_, Some(()), None) => Decoder::Size,
        (_, Some(()), Some(_)) => return Err(Malformed::Coding),
        (_, None, Some(length)) => Decoder::Length(length),
        (_, None, None) => Decoder::UntilEnd,
    };
    let verbatim = decoder != Decoder::UntilEnd && parts.version == Version::HTTP_11;
    Ok(ResponseHead {
        stays: stays(&parts.headers, parts.version) && decoder != Decoder::UntilEnd,
        verbatim: verbatim.then(|| without_hops(&bytes, parsed.headers)),
        decoder,
        parts,
    })
}

/// Writes the lines of a head's headers, but not those that belong to the connection.
pub(super) fn write_headers(headers: &HeaderMap, out: &mut BytesMut) {
    for (name, value) in headers {
        if !is_hop(name.as_str()) {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

fn whole(status: httparse::Result<usize>, bytes: &[u8]) -> Result<(), Malformed> {
    match status {
        Ok(Status::Complete(len)) if len == bytes.len() => Ok(()),
        Err(httparse::Error::TooManyHeaders) => Err(Malformed::TooManyHeaders),
        _ => Err(Malformed::Syntax),
    }
}

fn version_of(minor: u8) -> Version {
    match minor {
        1 => Version::HTTP_11,
        _ => Version::HTTP_10,
    }
}

/// Values are slices of the head.
fn headers_of(bytes: &Bytes, parsed: &[Header<'_>]) -> Result<HeaderMap, Malformed> {
    let mut headers = HeaderMap::with_capacity(parsed.len());
    for header in parsed {
        let name = header.name.as_bytes();
        let known = KNOWN
            .iter()
            .find(|known| known.as_str().as_bytes().eq_ignore_ascii_case(name));
        let name = match known {
            Some(known) => known.clone(),
            None => HeaderName::from_bytes(name).map_err(|_| Malformed::Syntax)?,
        };
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(header.value))
            .map_err(|_| Malformed::Syntax)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Whether the body is chunked. A coding that others would put beside it is for the gate to refuse.
fn coding(headers: &HeaderMap, version: Version) -> Result<Option<()>, Malformed> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(last) = codings.next() else {
        return Ok(None);
    };
    if codings.next().is_some() {
        return Err(Malformed::Coding);
    }
    let last = last.to_str().map_err(|_| Malformed::Coding)?;
    let last = last.rsplit(',').next().unwrap_or_default().trim();
    match last.eq_ignore_ascii_case("chunked") && version == Version::HTTP_11 {
        true => Ok(Some(())),
        false => Err(Malformed::Coding),
    }
}

/// The body's length. Said twice it must be the same.
fn length(headers: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut said = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        let digits = value.to_str().map_err(|_| Malformed::Length)?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Malformed::Length);
        }
        let length: u64 = digits.parse().map_err(|_| Malformed::Length)?;
        if said.is_some_and(|said| said != length) {
            return Err(Malformed::Length);
        }
        said = Some(length);
    }
    Ok(said)
}

fn stays(headers: &HeaderMap, version: Version) -> bool {
    let closes = |value: &HeaderValue| {
        value
            .as_bytes()
            .split(|&byte| byte == b',')
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
    };
    version == Version::HTTP_11 && !headers.get_all(CONNECTION).iter().any(closes)
}

/// Headers that belong to the connection and not to the message (RFC 9110 section 7.6.1).
fn is_hop(name: &str) -> bool {
    ["connection", "keep-alive", "proxy-connection"]
        .iter()
        .any(|hop| hop.eq_ignore_ascii_case(name))
}

fn without_hops(bytes: &Bytes, parsed: &[Header<'_>]) -> Bytes {
    if !parsed.iter().any(|header| is_hop(header.name)) {
        return bytes.clone();
    }
    let start = |text: &str| (text.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize);
    let lines = bytes.len().saturating_sub(2);
    let first = parsed.first().map_or(lines, |header| start(header.name));
    let mut kept = BytesMut::with_capacity(bytes.len());
    kept.extend_from_slice(bytes.get(..first).unwrap_or_default());
    for (place, header) in parsed.iter().enumerate() {
        let next = parsed.get(place + 1);
        let end = next.map_or(lines, |next| start(next.name));
        if !is_hop(header.name) {
            kept.extend_from_slice(bytes.get(start(header.name)..end).unwrap_or_default());
        }
    }
    kept.extend_from_slice(b"\r\n");
    kept.freeze()
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::Syntax => "the head is not HTTP/1.1",
            Malformed::TooManyHeaders => "the head has too many headers",
            Malformed::Length => "`Content-Length` is ambiguous",
            Malformed::Coding => "`Transfer-Encoding` is ambiguous",
        })
    }
}

impl std::error::Error for Malformed {}
