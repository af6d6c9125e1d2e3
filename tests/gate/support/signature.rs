//! SigV4 (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>),
//! written a second time for the tests: the upstream must still verify the signature.

use aws_lc_rs::{digest, hmac};

use super::SECRET_KEY;

/// The `Authorization` header for a `POST /`.
pub fn sign(headers: &[(String, String)], signed: &[&str], body: &[u8], key_id: &str) -> String {
    let date = value(headers, "x-amz-date").expect("a date");
    let scope = format!("{}/us-east-1/kinesis/aws4_request", &date[..8]);
    let signature = signature("/", headers, signed, body, &date, &scope);
    let signed = signed.join(";");
    format!(
        "AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={signed}, \
         Signature={signature}"
    )
}

/// Whether the signature in `Authorization` is that of the headers and the body; the headers of an
/// HTTP/2 request include `:authority`.
pub fn is_valid(headers: &[(String, String)], body: &[u8]) -> bool {
    is_valid_for_path("/", headers, body)
}

/// The same, for a request to another path.
pub fn is_valid_for_path(path: &str, headers: &[(String, String)], body: &[u8]) -> bool {
    let authorization = value(headers, "authorization").expect("a signature");
    let part = |name: &str| {
        let (_, rest) = authorization.split_once(name).expect(name);
        rest.split([',', ' ']).next().unwrap_or_default().to_owned()
    };
    let date = value(headers, "x-amz-date").expect("a date");
    let credential = part("Credential=");
    let (_, scope) = credential.split_once('/').unwrap();
    let signed = part("SignedHeaders=");
    let signed: Vec<&str> = signed.split(';').collect();
    signature(path, headers, &signed, body, &date, scope) == part("Signature=")
}

fn signature(
    path: &str,
    headers: &[(String, String)],
    signed: &[&str],
    body: &[u8],
    date: &str,
    scope: &str,
) -> String {
    let mut canonical = format!("POST\n{path}\n\n");
    for name in signed {
        let value = value(headers, name)
            // HTTP/2 carries the host as `:authority`.
            .or_else(|| value(headers, ":authority").filter(|_| *name == "host"))
            .unwrap_or_else(|| panic!("`{name}` was signed and did not arrive"));
        canonical += &format!("{name}:{}\n", value.trim());
    }
    canonical += &format!("\n{}\n{}", signed.join(";"), sha256(body));
    sign_canonical(&canonical, SECRET_KEY, date, scope)
}

/// The signature of a canonical request.
pub(super) fn sign_canonical(canonical: &str, secret: &str, date: &str, scope: &str) -> String {
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(canonical));
    let secret = format!("AWS4{secret}").into_bytes();
    let key = scope.split('/').fold(secret, |key, part| mac(&key, part));
    hex(&mac(&key, &to_sign))
}

pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(digest::digest(&digest::SHA256, bytes.as_ref()).as_ref())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

fn value(headers: &[(String, String)], name: &str) -> Option<String> {
    let found = headers
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.clone())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
