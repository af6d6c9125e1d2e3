//! Parsing the query of a presigned request.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use super::credential::{Credential, is_signature};
use super::parse_error::{MissingParameters, ParseError};
use super::signature::{RequestSignature, SignatureLocation};
use super::time::is_timestamp;

/// The parameters of a presigned request, still percent-encoded.
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

/// Parses a raw query; `None` if the query is empty.
pub(super) fn parse(query: &str) -> Result<Option<Parameters<'_>>, ParseError> {
    if query.is_empty() {
        return Ok(None);
    }
    let mut parameters = Parameters::default();
    for parameter in query.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        // A name in another spelling, percent-encoded or in another case, is unknown.
        let slot = match name {
            "X-Amz-Algorithm" => &mut parameters.algorithm,
            "X-Amz-Credential" => &mut parameters.credential,
            "X-Amz-Date" => &mut parameters.date,
            "X-Amz-Expires" => &mut parameters.expires,
            "X-Amz-SignedHeaders" => &mut parameters.signed_headers,
            "X-Amz-Signature" => &mut parameters.signature,
            "X-Amz-Security-Token" => &mut parameters.session_token,
            _ => return Err(ParseError::UnknownQueryParameter),
        };
        if slot.replace(value).is_some() {
            return Err(ParseError::RepeatedParameter);
        }
    }
    Ok(Some(parameters))
}

impl<'a> Parameters<'a> {
    /// The signature in the parameters.
    pub(super) fn signature(self) -> Result<RequestSignature<'a>, ParseError> {
        let (Some(algorithm), Some(credential), Some(date), Some(signed_headers), Some(signature)) = (
            self.algorithm,
            self.credential,
            self.date,
            self.signed_headers,
            self.signature,
        ) else {
            let missing = |value: Option<&str>, name| value.is_none().then_some(name);
            return Err(ParseError::MissingParameters(MissingParameters {
                location: SignatureLocation::Query,
                names: [
                    missing(self.algorithm, "X-Amz-Algorithm"),
                    missing(self.credential, "X-Amz-Credential"),
                    missing(self.signature, "X-Amz-Signature"),
                    missing(self.signed_headers, "X-Amz-SignedHeaders"),
                    missing(self.date, "X-Amz-Date"),
                ],
            }));
        };
        if algorithm != "AWS4-HMAC-SHA256" {
            return Err(ParseError::UnsupportedAlgorithm);
        }
        let credential = Credential::from_parts(split_slashes(credential))
            .ok_or(ParseError::InvalidCredential)?;
        let is_expires_valid = self.expires.is_none_or(|text| {
            (1..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
        });
        let is_token_valid = self.session_token.is_none_or(|token| !token.is_empty());
        if !is_timestamp(date)
            || !date.starts_with(credential.scope.date)
            || !is_signature(signature)
            || !is_signed_headers(signed_headers)
            || !is_expires_valid
            || !is_token_valid
        {
            return Err(ParseError::InvalidQuery);
        }
        Ok(RequestSignature {
            credential,
            signed_headers,
            location: SignatureLocation::Query,
            signature,
            session_token: self.session_token,
            time: Some(date),
            expires: self.expires.and_then(|text| text.parse().ok()),
        })
    }
}

/// Splits at slashes, which a query may percent-encode. Any other percent sign stays in its part,
/// and makes the credential invalid.
fn split_slashes(text: &str) -> impl Iterator<Item = &str> {
    text.split('/')
        .flat_map(|part| part.split("%2F"))
        .flat_map(|part| part.split("%2f"))
}

/// Whether the text is lower-case header names, separated by `;` or its percent-encoding.
fn is_signed_headers(text: &str) -> bool {
    let mut names = text
        .split(';')
        .flat_map(|part| part.split("%3B"))
        .flat_map(|part| part.split("%3b"));
    names.all(|name| {
        // The colon of a pseudo-header may be percent-encoded too.
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
