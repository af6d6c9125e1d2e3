//! The canonical request and the string to sign of SigV4, for verification.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
//!
//! Not the crate `aws-sigv4`: a verifier must use the request as the client sent it, normalize
//! nothing that the signer did not, and hold derived keys in place of secrets. Tests compare both.

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::digest;
use http::HeaderMap;

use super::credential::CredentialScope;

/// The SHA-256 of a body.
pub type BodyHash = [u8; 32];

/// The parts of a request's head that a signature can cover.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    /// `POST`.
    pub method: &'a str,
    /// The path, percent-encoded as the client sent it.
    pub path: &'a str,
    /// The raw query.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// HTTP/2's authority: the value of `:authority`, and of `host` where that header is absent.
    pub authority: Option<&'a str>,
}

/// The text that a signature is computed over.
pub(super) struct StringToSign(pub(super) Vec<u8>);

impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

impl StringToSign {
    /// Builds the text for these signed headers, separated by `;`, and the time `YYYYMMDDTHHMMSSZ`.
    ///
    /// `None` if a signed header is absent, or if the query is not percent-encoded and so has no
    /// canonical form.
    pub(super) fn new(
        head: RequestHead<'_>,
        signed_headers: &str,
        body: &BodyHash,
        time: &str,
        scope: CredentialScope<'_>,
    ) -> Option<StringToSign> {
        let canonical = canonical_request(head, signed_headers, body)?;
        let mut text = Vec::with_capacity(160);
        for part in [
            "AWS4-HMAC-SHA256\n",
            time,
            "\n",
            scope.date,
            "/",
            scope.region,
            "/",
            scope.service,
            "/aws4_request\n",
        ] {
            text.extend_from_slice(part.as_bytes());
        }
        push_hex(
            &mut text,
            digest::digest(&digest::SHA256, &canonical).as_ref(),
        );
        Some(StringToSign(text))
    }
}

/// Hashes a body that came in chunks.
pub fn hash_body<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> BodyHash {
    let mut context = digest::Context::new(&digest::SHA256);
    chunks.for_each(|chunk| context.update(chunk));
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = Vec::with_capacity(2 * bytes.len());
    push_hex(&mut text, bytes);
    String::from_utf8(text).unwrap_or_default()
}

fn push_hex(text: &mut Vec<u8>, bytes: &[u8]) {
    let digit = |value: u8| match value {
        0..10 => b'0' + value,
        _ => b'a' + (value - 10),
    };
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
}

/// Builds the canonical request.
pub(super) fn canonical_request(
    head: RequestHead<'_>,
    signed_headers: &str,
    body: &BodyHash,
) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(1024);
    text.extend_from_slice(head.method.as_bytes());
    text.push(b'\n');
    text.extend_from_slice(head.path.as_bytes());
    text.push(b'\n');
    push_query(&mut text, head.query.unwrap_or_default())?;
    text.push(b'\n');
    for name in signed_headers.split(';') {
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        push_value(&mut text, head, name)?;
        text.push(b'\n');
    }
    text.push(b'\n');
    text.extend_from_slice(signed_headers.as_bytes());
    text.push(b'\n');
    push_hex(&mut text, body);
    Some(text)
}

/// Adds the values of a header, separated by commas: trimmed, with runs of spaces as one space.
fn push_value(text: &mut Vec<u8>, head: RequestHead<'_>, name: &str) -> Option<()> {
    if name == ":authority" {
        text.extend_from_slice(head.authority?.as_bytes());
        return Some(());
    }
    let mut values = head.headers.get_all(name).iter().peekable();
    if values.peek().is_none() {
        let authority = head.authority.filter(|_| name == "host")?;
        text.extend_from_slice(authority.as_bytes());
        return Some(());
    }
    let mut between: &[u8] = b"";
    for value in values {
        text.extend_from_slice(between);
        between = b",";
        let trimmed = value.as_bytes().trim_ascii();
        // The price of the common case, no two spaces beside each other, is one pass and a copy.
        let double = |pair: &[u8]| matches!(pair, [b' ', b' ']);
        if trimmed.windows(2).any(double) {
            let mut before = b'x';
            for byte in trimmed {
                if !(*byte == b' ' && before == b' ') {
                    text.push(*byte);
                }
                before = *byte;
            }
        } else {
            text.extend_from_slice(trimmed);
        }
    }
    Some(())
}

/// Adds the canonical query: every name and value decoded, encoded again and sorted, without the
/// signature.
fn push_query(text: &mut Vec<u8>, query: &str) -> Option<()> {
    if query.is_empty() {
        return Some(());
    }
    let mut parameters = Vec::with_capacity(8);
    for parameter in query.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if name == "X-Amz-Signature" {
            continue;
        }
        let encoded = |text: &str| Some(encode(&decode(text)?));
        parameters.push((encoded(name)?, encoded(value)?));
    }
    parameters.sort();
    let mut between: &[u8] = b"";
    for (name, value) in parameters {
        text.extend_from_slice(between);
        between = b"&";
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        text.extend_from_slice(value.as_bytes());
    }
    Some(())
}

/// Decodes percent-encoding. `None` for a `+`, which some readers decode as a space and others as a
/// plus, and for a percent sign without two hexadecimal digits.
pub(super) fn decode(text: &str) -> Option<Cow<'_, [u8]>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let value = digit()? << 4 | digit()?;
                bytes.push(u8::try_from(value).ok()?);
            }
            b'+' => return None,
            other => bytes.push(other),
        }
    }
    Some(Cow::Owned(bytes))
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            text.push(char::from(*byte));
        } else {
            text.push('%');
            for half in [byte >> 4, byte & 15] {
                let digit = char::from_digit(u32::from(half), 16).unwrap_or('0');
                text.push(digit.to_ascii_uppercase());
            }
        }
    }
    text
}
