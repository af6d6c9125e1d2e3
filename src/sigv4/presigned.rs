//! Signatures in the query.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use super::credential::{Credential, is_signature};
use super::time::is_timestamp;
use super::{Caller, Form, Missing, Unauthenticated, Written};

/// The parameters of a presigned request, still encoded.
#[derive(Default)]
pub(super) struct Parameters<'a> {
    algorithm: Option<&'a str>,
    credential: Option<&'a str>,
    date: Option<&'a str>,
    expires: Option<&'a str>,
    signed_headers: Option<&'a str>,
    signature: Option<&'a str>,
    session_token: Option<&'a str>,
}

/// Reads a raw query; none if there are no parameters at all.
pub(super) fn read(query: &str) -> Result<Option<Parameters<'_>>, Unauthenticated> {
    if query.is_empty() {
        return Ok(None);
    }
    let mut parameters = Parameters::default();
    for parameter in query.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        // A name in any other spelling, percent-encoded or in another case, is foreign.
        let slot = match name {
            "X-Amz-Algorithm" => &mut parameters.algorithm,
            "X-Amz-Credential" => &mut parameters.credential,
            "X-Amz-Date" => &mut parameters.date,
            "X-Amz-Expires" => &mut parameters.expires,
            "X-Amz-SignedHeaders" => &mut parameters.signed_headers,
            "X-Amz-Signature" => &mut parameters.signature,
            "X-Amz-Security-Token" => &mut parameters.session_token,
            _ => return Err(Unauthenticated::ForeignQuery),
        };
        if slot.replace(value).is_some() {
            return Err(Unauthenticated::Repeated);
        }
    }
    Ok(Some(parameters))
}

impl<'a> Parameters<'a> {
    pub(super) fn caller(self) -> Result<Caller<'a>, Unauthenticated> {
        let (Some(algorithm), Some(credential), Some(date), Some(signed_headers), Some(signature)) = (
            self.algorithm,
            self.credential,
            self.date,
            self.signed_headers,
            self.signature,
        ) else {
            return Err(Unauthenticated::Incomplete(Missing {
                form: Form::Presigned,
                algorithm: self.algorithm.is_none(),
                credential: self.credential.is_none(),
                signature: self.signature.is_none(),
                signed_headers: self.signed_headers.is_none(),
                date: self.date.is_none(),
            }));
        };
        if algorithm != "AWS4-HMAC-SHA256" {
            return Err(Unauthenticated::Algorithm);
        }
        let credential =
            Credential::from_parts(split_slashes(credential)).ok_or(Unauthenticated::Credential)?;
        let expires_sane = self.expires.is_none_or(|text| {
            (1..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
        });
        let token_sane = self.session_token.is_none_or(|token| !token.is_empty());
        if !is_timestamp(date)
            || !date.starts_with(credential.date)
            || !is_signature(signature)
            || !are_headers(signed_headers)
            || !expires_sane
            || !token_sane
        {
            return Err(Unauthenticated::InvalidQuery);
        }
        let written = Written {
            signed_headers,
            signature,
            session_token: self.session_token,
            time: Some(date),
            expires: self.expires.and_then(|text| text.parse().ok()),
            form: Form::Presigned,
        };
        Ok(Caller::new(credential, written))
    }
}

/// The parts between slashes, which a query may percent-encode. A percent sign of any other kind
/// stays in a part and makes it none of a credential.
fn split_slashes(text: &str) -> impl Iterator<Item = &str> {
    text.split('/')
        .flat_map(|part| part.split("%2F"))
        .flat_map(|part| part.split("%2f"))
}

fn are_headers(text: &str) -> bool {
    let mut names = text
        .split(';')
        .flat_map(|part| part.split("%3B"))
        .flat_map(|part| part.split("%3b"));
    names.all(|name| {
        // A pseudo-header's colon may be encoded too.
        let name = name
            .strip_prefix("%3A")
            .or_else(|| name.strip_prefix("%3a"))
            .unwrap_or(name);
        !name.is_empty()
            && name.bytes().all(|b| {
                b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b':')
            })
    })
}
