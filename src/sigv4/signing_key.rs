//! Signing keys: derived from a secret for one credential scope, and used to verify.

use std::fmt;

use aws_lc_rs::{constant_time, hmac};

use super::canonical_request::{StringToSign, hex};
use super::credential::CredentialScope;

/// The key of one credential scope. It signs nothing for another day, region or service.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// Derives the bytes of a key from a secret access key.
    pub fn derive(secret: &str, scope: CredentialScope<'_>) -> [u8; 32] {
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

    /// Creates a key from its bytes.
    pub fn new(bytes: &[u8; 32]) -> SigningKey {
        SigningKey(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// Whether this key makes `signature`. The comparison takes constant time.
    pub(super) fn verifies(&self, message: &StringToSign, signature: &str) -> bool {
        let expected = hex(hmac::sign(&self.0, &message.0).as_ref());
        constant_time::verify_slices_are_equal(expected.as_bytes(), signature.as_bytes()).is_ok()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::super::canonical_request::{
        RequestHead, StringToSign, canonical_request, hash_body,
    };
    use super::{CredentialScope, SigningKey};

    /// AWS's own vectors: <https://github.com/awslabs/aws-c-auth>, Apache-2.0.
    #[test]
    fn verifies_published_vectors() {
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
            let head = RequestHead {
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
            let scope = CredentialScope {
                date: of("time").get(..8).unwrap(),
                region: "us-east-1",
                service: "service",
            };
            let to_sign =
                StringToSign::new(head, of("signed-headers"), &body, of("time"), scope).unwrap();
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
            assert!(key.verifies(&to_sign, of("signature")), "{}", of("name"));
            let wrong = of("signature").replacen(['0', '1', '2', '3'], "4", 1);
            assert!(!key.verifies(&to_sign, &wrong));
        }
    }
}
