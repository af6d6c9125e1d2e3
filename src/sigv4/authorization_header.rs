//! Parsing the `Authorization` header.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use super::credential::{Credential, is_signature};
use super::parse_error::{MissingParameters, ParseError};
use super::signature::{RequestSignature, SignatureLocation};
use super::split::split;

/// Parses `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`. As in the service, spaces
/// after commas are optional and the order is free.
pub(super) fn parse(value: &str) -> Result<RequestSignature<'_>, ParseError> {
    let Some(parameters) = value.strip_prefix("AWS4-HMAC-SHA256") else {
        return Err(ParseError::UnsupportedAlgorithm);
    };
    if !parameters.is_empty() && !parameters.starts_with(' ') {
        return Err(ParseError::UnsupportedAlgorithm);
    }
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    // A header without parameters lacks all; an empty one between two commas is malformed.
    let parameters = parameters.trim_matches(' ');
    for parameter in split(parameters, b',').filter(|_| !parameters.is_empty()) {
        let parameter = parameter.trim_matches(' ');
        let (slot, value) = if let Some(value) = parameter.strip_prefix("Credential=") {
            (&mut credential, value)
        } else if let Some(value) = parameter.strip_prefix("SignedHeaders=") {
            (&mut signed_headers, value)
        } else if let Some(value) = parameter.strip_prefix("Signature=") {
            (&mut signature, value)
        } else {
            return Err(ParseError::InvalidHeader);
        };
        if slot.replace(value).is_some() {
            return Err(ParseError::RepeatedParameter);
        }
    }
    let (Some(credential), Some(signed_headers), Some(signature)) =
        (credential, signed_headers, signature)
    else {
        let missing = |value: Option<&str>, name| value.is_none().then_some(name);
        return Err(ParseError::MissingParameters(MissingParameters {
            location: SignatureLocation::Header,
            names: [
                missing(credential, "Credential"),
                missing(signature, "Signature"),
                missing(signed_headers, "SignedHeaders"),
                None,
                None,
            ],
        }));
    };
    let credential =
        Credential::from_parts(split(credential, b'/')).ok_or(ParseError::InvalidCredential)?;
    if !is_signature(signature) || !is_signed_headers(signed_headers) {
        return Err(ParseError::InvalidHeader);
    }
    Ok(RequestSignature {
        credential,
        signed_headers,
        location: SignatureLocation::Header,
        signature,
        session_token: None,
        time: None,
        expires: None,
    })
}

/// Whether text consists of lower-case header names, separated by single semicolons; some clients
/// sign `:authority`.
fn is_signed_headers(text: &str) -> bool {
    let is_name = |byte: u8| {
        byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b':' | b'^'..=b'`' | b'|' | b'~')
    };
    // Every semicolon, and the end, must follow a name.
    let mut in_name = false;
    text.bytes().all(|byte| {
        let is_valid = is_name(byte) || (byte == b';' && in_name);
        in_name = byte != b';';
        is_valid
    }) && in_name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::is_signed_headers;

    proptest! {
        #[test]
        fn signed_headers_are_names_between_semicolons(text in "[a;;Z!^_`{~:.-]{0,6}|\\PC{0,4}") {
            let is_name = |name: &str| {
                !name.is_empty()
                    && name.bytes().all(|b| {
                        b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~:".contains(&b)
                    })
            };
            assert_eq!(is_signed_headers(&text), text.split(';').all(is_name), "{text}");
        }
    }
}
