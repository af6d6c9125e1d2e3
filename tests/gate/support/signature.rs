//! SigV4 (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>),
//! written a second time for the tests: what arrives must still verify.

use aws_lc_rs::{digest, hmac};

use super::SECRET;

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

/// Whether the signature in `Authorization` is that of the headers and body. `:authority` stands
/// among the headers where HTTP/2 brought one.
pub fn verifies(headers: &[(String, String)], body: &[u8]) -> bool {
    verifies_at("/", headers, body)
}

/// The same, for a request to another path.
pub fn verifies_at(path: &str, headers: &[(String, String)], body: &[u8]) -> bool {
    let authorization = value(headers, "authorization").expect("a signature");
    let part = |name: &str| {
        let (_, rest) = authorization
            .split_once(name)
            .expect("a part of the signature");
        rest.split([',', ' ']).next().unwrap_or_default().to_owned()
    };
    let date = value(headers, "x-amz-date").expect("a date");
    let (_, scope) = part("Credential=")
        .split_once('/')
        .map(|(k, s)| (k.to_owned(), s.to_owned()))
        .unwrap();
    let signed = part("SignedHeaders=");
    let signed: Vec<&str> = signed.split(';').collect();
    signature(path, headers, &signed, body, &date, &scope) == part("Signature=")
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
            .or_else(|| {
                (*name == "host")
                    .then(|| value(headers, ":authority"))
                    .flatten()
            })
            .unwrap_or_else(|| panic!("`{name}` was signed and did not arrive"));
        canonical += &format!("{name}:{}\n", value.trim());
    }
    canonical += &format!(
        "\n{}\n{}",
        signed.join(";"),
        hex(digest::digest(&digest::SHA256, body).as_ref())
    );
    let hashed = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashed}");
    let key = scope
        .split('/')
        .fold(format!("AWS4{SECRET}").into_bytes(), |key, part| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
            hmac::sign(&key, part.as_bytes()).as_ref().to_vec()
        });
    hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), to_sign.as_bytes()).as_ref())
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
