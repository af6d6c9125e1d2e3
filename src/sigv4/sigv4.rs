//! Signature Version 4: the canonical request, the string to sign, and the keys.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
//!
//! Both sides are made of it: verifying what a client signed, and signing anew. Nothing is
//! normalised that the signer did not: paths are taken as they came.

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::{constant_time, digest, hmac};
use http::HeaderMap;

/// The SHA-256 of a body.
pub type BodyHash = [u8; 32];

/// The head of a request as a signature covers it.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// `POST`.
    pub method: &'a str,
    /// The path, percent-encoded as its signer had it.
    pub path: &'a str,
    /// The raw query.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// What `host` means where no such header came, and `:authority` always: HTTP/2's authority.
    pub authority: Option<&'a str>,
}

/// Day, region and service of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope<'a> {
    /// `YYYYMMDD`.
    pub date: &'a str,
    /// `us-east-1`.
    pub region: &'a str,
    /// `kinesis`.
    pub service: &'a str,
}

/// The key that signs in one scope. It is worth nothing on another day, in another region or for
/// another service.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

/// What a signature is computed over.
pub struct StringToSign(Vec<u8>);

impl SigningKey {
    /// The key's bytes, derived from a secret access key.
    pub fn derive(secret: &str, scope: Scope<'_>) -> [u8; 32] {
        let mut first = Vec::with_capacity(4 + secret.len());
        first.extend_from_slice(b"AWS4");
        first.extend_from_slice(secret.as_bytes());
        let parts = [scope.date, scope.region, scope.service, "aws4_request"];
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, &first);
        let mut bytes = [0; 32];
        for part in parts {
            let tag = hmac::sign(&key, part.as_bytes());
            bytes.copy_from_slice(tag.as_ref());
            key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        }
        bytes
    }

    /// A key from its bytes, ready to sign.
    pub fn new(bytes: &[u8; 32]) -> SigningKey {
        SigningKey(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The signature, in hexadecimal.
    pub fn sign(&self, message: &StringToSign) -> String {
        let mut signature = Vec::with_capacity(64);
        push_hex(&mut signature, hmac::sign(&self.0, &message.0).as_ref());
        String::from_utf8(signature).unwrap_or_default()
    }

    /// Whether `signature` is the one that this key makes. Takes as long for every wrong one.
    pub fn verifies(&self, message: &StringToSign, signature: &str) -> bool {
        let ours = self.sign(message);
        constant_time::verify_slices_are_equal(ours.as_bytes(), signature.as_bytes()).is_ok()
    }
}

impl fmt::Debug for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

impl StringToSign {
    /// Of a request with these signed headers, `;` between two, and a time `YYYYMMDDTHHMMSSZ`.
    ///
    /// `None` where a header that is signed is not there, or where the query cannot be written in
    /// its canonical form because it is not percent-encoded.
    pub fn of(
        head: Head<'_>,
        signed_headers: &str,
        body: &BodyHash,
        time: &str,
        scope: Scope<'_>,
    ) -> Option<StringToSign> {
        let canonical = canonical_request(head, signed_headers, body)?;
        let mut text = Vec::with_capacity(160);
        for line in ["AWS4-HMAC-SHA256\n", time, "\n"] {
            text.extend_from_slice(line.as_bytes());
        }
        push_scope(&mut text, scope);
        text.push(b'\n');
        push_hex(
            &mut text,
            digest::digest(&digest::SHA256, &canonical).as_ref(),
        );
        Some(StringToSign(text))
    }
}

/// The hash of a body that came in pieces.
pub fn hash_body<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> BodyHash {
    let mut context = digest::Context::new(&digest::SHA256);
    pieces.for_each(|piece| context.update(piece));
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// `<date>/<region>/<service>/aws4_request`.
pub fn push_scope(text: &mut Vec<u8>, scope: Scope<'_>) {
    for part in [scope.date, scope.region, scope.service] {
        text.extend_from_slice(part.as_bytes());
        text.push(b'/');
    }
    text.extend_from_slice(b"aws4_request");
}

/// Bytes in lower-case hexadecimal.
pub(super) fn push_hex(text: &mut Vec<u8>, bytes: &[u8]) {
    let digit = |value: u8| match value {
        0..10 => b'0' + value,
        _ => b'a' + (value - 10),
    };
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
}

/// The canonical request.
fn canonical_request(head: Head<'_>, signed_headers: &str, body: &BodyHash) -> Option<Vec<u8>> {
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

/// The values of a header, trimmed, runs of spaces made one, a comma between two.
fn push_value(text: &mut Vec<u8>, head: Head<'_>, name: &str) -> Option<()> {
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

/// The canonical query: every name and value decoded and encoded anew, sorted, without the
/// signature itself.
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

/// Undoes percent-encoding. A `+` is a space to some readers and a plus to others: `None`, as for
/// a percent sign without two hexadecimal digits.
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::{Head, Scope, SigningKey, StringToSign, canonical_request, hash_body};

    /// AWS's own vectors: <https://github.com/awslabs/aws-c-auth>, Apache-2.0.
    #[test]
    fn published_vectors() {
        let text = std::fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/identity/sigv4-vectors.json"),
        )
        .unwrap();
        let vectors: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert!(vectors.len() >= 40, "{}", vectors.len());
        for vector in vectors {
            let of = |name: &str| vector[name].as_str().unwrap();
            let mut headers = HeaderMap::new();
            for header in vector["headers"].as_array().unwrap() {
                headers.append(
                    HeaderName::from_bytes(header[0].as_str().unwrap().as_bytes()).unwrap(),
                    HeaderValue::from_str(header[1].as_str().unwrap()).unwrap(),
                );
            }
            let head = Head {
                method: of("method"),
                path: of("path"),
                query: Some(of("query")),
                headers: &headers,
                authority: None,
            };
            let body = hash_body([of("body").as_bytes()].into_iter());
            let canonical = canonical_request(head, of("signed-headers"), &body).unwrap();
            assert_eq!(
                String::from_utf8(canonical).unwrap(),
                of("canonical-request"),
                "{}",
                of("name")
            );
            let scope = Scope {
                date: of("time").get(..8).unwrap(),
                region: "us-east-1",
                service: "service",
            };
            let to_sign =
                StringToSign::of(head, of("signed-headers"), &body, of("time"), scope).unwrap();
            assert_eq!(
                String::from_utf8(to_sign.0.clone()).unwrap(),
                of("string-to-sign"),
                "{}",
                of("name")
            );
            let key = SigningKey::new(&SigningKey::derive(
                "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                scope,
            ));
            assert_eq!(key.sign(&to_sign), of("signature"), "{}", of("name"));
            assert!(key.verifies(&to_sign, of("signature")));
            let wrong = of("signature").replacen(['0', '1', '2', '3'], "4", 1);
            assert!(!key.verifies(&to_sign, &wrong));
        }
    }
}
