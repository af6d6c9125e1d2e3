//! The credential in a signature: access key id and credential scope.

use super::account_id::AccountId;

/// `<access key id>/<YYYYMMDD>/<region>/<service>/aws4_request`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credential<'a> {
    /// The access key id, `AKIA…` or `ASIA…`.
    pub access_key_id: &'a str,
    /// The account in the key id; `None` for ids without an account.
    pub account: Option<AccountId>,
    /// The scope of the signature.
    pub scope: CredentialScope<'a>,
}

/// The credential scope: the date, region and service that a signature is valid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialScope<'a> {
    /// `YYYYMMDD`.
    pub date: &'a str,
    /// `us-east-1`.
    pub region: &'a str,
    /// `kinesis`.
    pub service: &'a str,
}

impl<'a> Credential<'a> {
    /// Parses the five parts of a credential.
    pub(super) fn from_parts(mut parts: impl Iterator<Item = &'a str>) -> Option<Credential<'a>> {
        let access_key_id = parts.next()?;
        let scope = CredentialScope {
            date: parts.next()?,
            region: parts.next()?,
            service: parts.next()?,
        };
        let is_valid = parts.next()? == "aws4_request"
            && parts.next().is_none()
            && is_key_id(access_key_id)
            && scope.date.len() == 8
            && scope.date.bytes().all(|byte| byte.is_ascii_digit())
            && is_name(scope.region)
            && is_name(scope.service);
        is_valid.then(|| Credential {
            access_key_id,
            account: AccountId::of_access_key(access_key_id),
            scope,
        })
    }

    /// Whether the credentials are temporary; `None` for key ids of an unknown kind.
    pub fn is_temporary(&self) -> Option<bool> {
        match self.access_key_id.get(..4) {
            Some("AKIA") => Some(false),
            Some("ASIA") => Some(true),
            _ => None,
        }
    }
}

/// Key ids are word characters, 128 at most
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKey.html>).
fn is_key_id(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

fn is_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Whether the text is a signature: a SHA-256 in lower-case hexadecimal.
pub(super) fn is_signature(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
