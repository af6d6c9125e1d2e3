//! Heads: read strictly by `httparse`, kept as they came.

use std::fmt;
use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version, request, response};
use httparse::{Header, ParserConfig, Status};

use super::decoder::Decoder;

/// A request's head.
pub struct RequestHead {
    /// What it says.
    pub parts: request::Parts,
    /// Its bytes, without what belongs to the connection.
    pub raw_head: Bytes,
    /// Whether the connection may stay.
    pub is_persistent: bool,
    /// Whether the client waits for a word before it sends the body.
    pub expects_continue: bool,
    pub(super) decoder: Decoder,
}

/// An answer's head.
pub(super) struct ResponseHead {
    /// Its headers, or, where its bytes leave as they came, those that somebody reads.
    pub(super) parts: response::Parts,
    /// Its bytes, without what belongs to the connection; `None` where they do not say how the
    /// body is framed.
    pub(super) raw_head: Option<Bytes>,
    pub(super) is_persistent: bool,
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
    parts.headers = headers_of(&bytes, parsed.headers, |_| true)?;
    let said = Said::by(parsed.headers, parts.version)?;
    let decoder = match (said.chunked, said.length) {
        (true, None) => Decoder::Size,
        (true, Some(_)) => return Err(Malformed::Coding),
        (false, length) => Decoder::Length(length.unwrap_or(0)),
    };
    Ok(RequestHead {
        // An answer to HEAD has no body (RFC 9110 section 9.3.2); the gate's own have one.
        is_persistent: said.stays && parts.method != Method::HEAD,
        expects_continue: said.expects && parts.version == Version::HTTP_11 && !decoder.has_ended(),
        raw_head: match said.hops {
            true => without_hops(&bytes, parsed.headers),
            false => bytes,
        },
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
    let said = Said::by(parsed.headers, parts.version)?;
    let decoder = match (parts.status, said.chunked, said.length) {
        (StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED, ..) => Decoder::Ended,
        (_, true, None) => Decoder::Size,
        (_, true, Some(_)) => return Err(Malformed::Coding),
        (_, false, Some(length)) => Decoder::Length(length),
        (_, false, None) => Decoder::UntilEnd,
    };
    let raw_head = decoder != Decoder::UntilEnd && parts.version == Version::HTTP_11;
    parts.headers = headers_of(&bytes, parsed.headers, |name| !raw_head || is_read(name))?;
    Ok(ResponseHead {
        is_persistent: said.stays && decoder != Decoder::UntilEnd,
        raw_head: raw_head.then(|| match said.hops {
            true => without_hops(&bytes, parsed.headers),
            false => bytes.clone(),
        }),
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

/// The headers whose names are to be `kept`; values are slices of the head. Each costs as much as
/// 700 instructions.
fn headers_of(
    bytes: &Bytes,
    parsed: &[Header<'_>],
    kept: impl Fn(&str) -> bool,
) -> Result<HeaderMap, Malformed> {
    let mut headers = HeaderMap::with_capacity(parsed.len());
    for header in parsed.iter().filter(|header| kept(header.name)) {
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

/// Whether somebody here reads this header of an answer; the others leave as they came.
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

/// What headers say of a message's end, and of its connection's.
struct Said {
    /// A coding that others would put beside it is for the gate to refuse.
    chunked: bool,
    length: Option<u64>,
    stays: bool,
    expects: bool,
    /// Whether some of them belong to the connection.
    hops: bool,
}

impl Said {
    fn by(parsed: &[Header<'_>], version: Version) -> Result<Said, Malformed> {
        let mut said = Said {
            chunked: false,
            length: None,
            stays: version == Version::HTTP_11,
            expects: false,
            hops: false,
        };
        for Header { name, value } in parsed {
            let is = |known: &str| known.eq_ignore_ascii_case(name);
            match name.len() {
                6 if is("expect") => said.expects |= value.eq_ignore_ascii_case(b"100-continue"),
                14 if is("content-length") => said.add_length(value)?,
                17 if is("transfer-encoding") => {
                    let last = value.rsplit(|byte| *byte == b',').next();
                    let last = last.unwrap_or_default().trim_ascii();
                    let sane = last.eq_ignore_ascii_case(b"chunked") && value.is_ascii();
                    if said.chunked || !sane || version != Version::HTTP_11 {
                        return Err(Malformed::Coding);
                    }
                    said.chunked = true;
                }
                _ if is_hop(name) => {
                    said.hops = true;
                    let mut options = value.split(|byte| *byte == b',');
                    said.stays &= !is("connection")
                        || !options
                            .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"));
                }
                _ => {}
            }
        }
        Ok(said)
    }

    /// The body's length. Said twice it must be the same.
    fn add_length(&mut self, value: &[u8]) -> Result<(), Malformed> {
        let digits = str::from_utf8(value).map_err(|_| Malformed::Length)?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Malformed::Length);
        }
        let length: u64 = digits.parse().map_err(|_| Malformed::Length)?;
        if self.length.is_some_and(|said| said != length) {
            return Err(Malformed::Length);
        }
        self.length = Some(length);
        Ok(())
    }
}

/// Headers that belong to the connection and not to the message (RFC 9110 section 7.6.1).
fn is_hop(name: &str) -> bool {
    ["connection", "keep-alive", "proxy-connection"]
        .iter()
        .any(|hop| hop.eq_ignore_ascii_case(name))
}

fn without_hops(bytes: &Bytes, parsed: &[Header<'_>]) -> Bytes {
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
