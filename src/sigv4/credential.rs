//! The credential of a signature: key id and scope.

/// `<access key id>/<YYYYMMDD>/<region>/<service>/aws4_request`, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credential<'a> {
    /// The id of the access key.
    pub access_key_id: &'a str,
    /// The day, `YYYYMMDD`.
    pub date: &'a str,
    /// The region.
    pub region: &'a str,
    /// The service.
    pub service: &'a str,
}

impl<'a> Credential<'a> {
    /// Takes the five parts of a credential, which its form has separated.
    pub(super) fn from_parts(mut parts: impl Iterator<Item = &'a str>) -> Option<Credential<'a>> {
        let (access_key_id, date, region, service, end) = (
            parts.next()?,
            parts.next()?,
            parts.next()?,
            parts.next()?,
            parts.next()?,
        );
        let sane = parts.next().is_none()
            && end == "aws4_request"
            && is_key_id(access_key_id)
            && date.len() == 8
            && date.bytes().all(|byte| byte.is_ascii_digit())
            && is_name(region)
            && is_name(service);
        sane.then_some(Credential {
            access_key_id,
            date,
            region,
            service,
        })
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

/// Whether text is a hexadecimal SHA-256, as signatures are.
pub(super) fn is_signature(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
