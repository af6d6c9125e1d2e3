//! Verification of SigV4 signatures with local keys.

use std::collections::HashMap;
use std::time::SystemTime;

use aws_lc_rs::{constant_time, digest};

use super::canonical_request::{BodyHash, RequestHead, StringToSign, decode, hex};
use super::principal_arn::PrincipalArn;
use super::signature::{RequestSignature, SignatureLocation};
use super::signing_key::SigningKey;
use super::time;
use super::verify_error::VerifyError;

/// The local keys, issued by the gate, by access key id. A read-only snapshot.
#[derive(Debug, Default)]
pub struct LocalKeys(HashMap<Box<str>, LocalKey>);

/// The gate's part of a local access key. It verifies signatures, and does not contain the secret.
#[derive(Debug)]
pub struct LocalKey {
    /// The principal that the key was issued to.
    pub principal: PrincipalArn,
    /// When the key was issued, in seconds since 1970.
    pub issued_at: i64,
    /// The SHA-256 of the session token.
    pub token_hash: [u8; 32],
    /// When the key expires, in seconds since 1970.
    pub expires_at: i64,
    /// Signing keys by day (`YYYYMMDD`) and region.
    pub signing_keys: HashMap<(Box<str>, Box<str>), SigningKey>,
}

/// A signature whose head is verified, and whose body is not yet.
#[derive(Debug)]
pub struct PendingVerification<'a> {
    key: &'a LocalKey,
    signing_key: &'a SigningKey,
    head: RequestHead<'a>,
    signature: RequestSignature<'a>,
    signed_headers: String,
    time: &'a str,
}

/// The largest difference between the clocks of client and gate, in seconds
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/signing-elements.html>).
const MAX_CLOCK_SKEW: i64 = 300;
/// The longest validity of a presigned request, in seconds, in which it can be replayed.
const MAX_EXPIRES: i64 = 3600;

/// Headers that a signature must cover if the request has them: operation, caller, body and time.
const REQUIRED_SIGNED_HEADERS: [&str; 6] = [
    "content-type",
    "smithy-protocol",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-target",
];

impl LocalKeys {
    /// No keys.
    pub fn new() -> LocalKeys {
        LocalKeys::default()
    }

    /// Adds a key, and replaces any key with the same id.
    pub fn insert(&mut self, id: Box<str>, key: LocalKey) {
        self.0.insert(id, key);
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Verifies the parts of a signature in the head: the key, the session token, the time, the
    /// date of the scope, and the signed headers. The caller must check region and service of the
    /// scope.
    ///
    /// # Errors
    /// The first rule that the signature breaks.
    pub fn verify_head<'a>(
        &'a self,
        signature: RequestSignature<'a>,
        head: RequestHead<'a>,
        now: SystemTime,
    ) -> Result<PendingVerification<'a>, VerifyError> {
        let credential = signature.credential;
        let signed_headers = check_signed_headers(&signature, &head)?;
        let time = signed_time(&signature, &head)?;
        if time.get(..8) != Some(credential.scope.date) {
            return Err(VerifyError::ScopeDateMismatch);
        }
        check_clock_skew(&signature, time, now)?;
        let key = self.0.get(credential.access_key_id);
        let key = key.ok_or(VerifyError::UnknownAccessKey)?;
        if !key.has_token(&signature, &head) {
            return Err(VerifyError::InvalidSessionToken);
        }
        if key.expires_at <= time::seconds(now) {
            return Err(VerifyError::ExpiredCredentials);
        }
        let scope = credential.scope;
        let signing_key = key
            .signing_keys
            .iter()
            .find(|((day, region), _)| **day == *scope.date && **region == *scope.region)
            .map(|(_, signing_key)| signing_key)
            .ok_or(VerifyError::NotIssuedForScope)?;
        Ok(PendingVerification {
            key,
            signing_key,
            head,
            signature,
            signed_headers,
            time,
        })
    }
}

impl<'a> PendingVerification<'a> {
    /// The local key that the signature names.
    pub fn key(&self) -> &'a LocalKey {
        self.key
    }

    /// Verifies the signature over a body.
    ///
    /// # Errors
    /// [`VerifyError::PayloadHashMismatch`] if `X-Amz-Content-Sha256` is not the body's hash;
    /// [`VerifyError::SignatureMismatch`] for every other difference.
    pub fn verify(&self, body: &BodyHash) -> Result<(), VerifyError> {
        if let Some(announced) = self.head.headers.get("x-amz-content-sha256")
            && announced.as_bytes() != hex(body).as_bytes()
        {
            return Err(VerifyError::PayloadHashMismatch);
        }
        let scope = self.signature.credential.scope;
        StringToSign::new(self.head, &self.signed_headers, body, self.time, scope)
            .filter(|text| self.signing_key.verifies(text, self.signature.signature))
            .map(|_| ())
            .ok_or(VerifyError::SignatureMismatch)
    }
}

impl LocalKey {
    fn has_token(&self, signature: &RequestSignature<'_>, head: &RequestHead<'_>) -> bool {
        let header = head.headers.get("x-amz-security-token");
        let token = match (signature.location, signature.session_token, header) {
            (SignatureLocation::Header, _, Some(token)) => Some(token.as_bytes().into()),
            (SignatureLocation::Query, Some(token), None) => decode(token),
            _ => None,
        };
        token.is_some_and(|token| {
            let given = digest::digest(&digest::SHA256, &token);
            constant_time::verify_slices_are_equal(given.as_ref(), &self.token_hash).is_ok()
        })
    }
}

/// The decoded signed headers, separated by `;`, if they cover all required headers.
fn check_signed_headers(
    signature: &RequestSignature<'_>,
    head: &RequestHead<'_>,
) -> Result<String, VerifyError> {
    let decoded = match signature.location {
        SignatureLocation::Header => signature.signed_headers.to_owned(),
        SignatureLocation::Query => decode(signature.signed_headers)
            .and_then(|bytes| String::from_utf8(bytes.into_owned()).ok())
            .ok_or(VerifyError::SignatureMismatch)?,
    };
    let names = || decoded.split(';');
    if names().zip(names().skip(1)).any(|(a, b)| a >= b) {
        return Err(VerifyError::UnsortedSignedHeaders);
    }
    let signs = |name: &str| names().any(|signed| signed == name);
    if !signs("host") && !signs(":authority") {
        return Err(VerifyError::HeaderNotSigned("host"));
    }
    // Content type, time and operation must be signed, unless the path, which every signature
    // covers, names the operation. Other headers must be signed if the request has them.
    for name in REQUIRED_SIGNED_HEADERS {
        let needed = name == "content-type"
            || (name == "x-amz-target" && head.path == "/")
            || (name == "x-amz-date" && signature.location == SignatureLocation::Header)
            || head.headers.contains_key(name);
        if needed && !signs(name) {
            return Err(VerifyError::HeaderNotSigned(name));
        }
    }
    Ok(decoded)
}

/// The time of the signature, from the query or the header.
fn signed_time<'a>(
    signature: &RequestSignature<'a>,
    head: &RequestHead<'a>,
) -> Result<&'a str, VerifyError> {
    let time = match signature.location {
        SignatureLocation::Query => signature.time,
        SignatureLocation::Header => head
            .headers
            .get("x-amz-date")
            .and_then(|value| value.to_str().ok()),
    };
    time.filter(|time| time::is_timestamp(time))
        .ok_or(VerifyError::MissingDate)
}

/// Checks that the time is within the clock skew, and that a presigned request has not expired.
fn check_clock_skew(
    signature: &RequestSignature<'_>,
    time: &str,
    now: SystemTime,
) -> Result<(), VerifyError> {
    let signed = time::parse(time).ok_or(VerifyError::MissingDate)?;
    let now = time::seconds(now);
    let valid = match signature.expires {
        Some(seconds) if signature.location == SignatureLocation::Query => {
            if !(1..=MAX_EXPIRES).contains(&seconds) {
                return Err(VerifyError::InvalidExpires);
            }
            seconds
        }
        _ => MAX_CLOCK_SKEW,
    };
    if now > signed + valid {
        Err(VerifyError::SignatureExpired { signed, now, valid })
    } else if signed > now + MAX_CLOCK_SKEW {
        Err(VerifyError::SignatureNotYetCurrent { signed, now })
    } else {
        Ok(())
    }
}
