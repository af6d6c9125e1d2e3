//! The `Authorization` header.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use super::credential::{Credential, is_signature};
use super::pieces::pieces;
use super::{Caller, Form, Missing, Unauthenticated, Written};

/// Reads `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`; spaces after commas are
/// optional and the order is free, as for the service.
pub(super) fn read(value: &str) -> Result<Caller<'_>, Unauthenticated> {
    let Some(parameters) = value.strip_prefix("AWS4-HMAC-SHA256") else {
        return Err(Unauthenticated::Algorithm);
    };
    if !parameters.is_empty() && !parameters.starts_with(' ') {
        return Err(Unauthenticated::Algorithm);
    }
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    // Without any parameter, all are missing; an empty one between two is none of a header's.
    let parameters = parameters.trim_matches(' ');
    for parameter in pieces(parameters, b',').filter(|_| !parameters.is_empty()) {
        let parameter = parameter.trim_matches(' ');
        let (slot, value) = if let Some(value) = parameter.strip_prefix("Credential=") {
            (&mut credential, value)
        } else if let Some(value) = parameter.strip_prefix("SignedHeaders=") {
            (&mut signed_headers, value)
        } else if let Some(value) = parameter.strip_prefix("Signature=") {
            (&mut signature, value)
        } else {
            return Err(Unauthenticated::InvalidHeader);
        };
        if slot.replace(value).is_some() {
            return Err(Unauthenticated::Repeated);
        }
    }
    let (Some(credential), Some(signed_headers), Some(signature)) =
        (credential, signed_headers, signature)
    else {
        return Err(Unauthenticated::Incomplete(Missing {
            form: Form::Header,
            algorithm: false,
            credential: credential.is_none(),
            signature: signature.is_none(),
            signed_headers: signed_headers.is_none(),
            date: false,
        }));
    };
    let credential =
        Credential::from_parts(pieces(credential, b'/')).ok_or(Unauthenticated::Credential)?;
    if !is_signature(signature) || !are_headers(signed_headers) {
        return Err(Unauthenticated::InvalidHeader);
    }
    let written = Written {
        signed_headers,
        signature,
        session_token: None,
        time: None,
        expires: None,
        form: Form::Header,
    };
    Ok(Caller::new(credential, written))
}

/// Header names in lower case, one semicolon between two; `:authority` is one to some clients.
fn are_headers(text: &str) -> bool {
    let is_name = |byte: u8| {
        byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b':' | b'^'..=b'`' | b'|' | b'~')
    };
    // A semicolon stands behind a name, and so does the end.
    let mut in_name = false;
    text.bytes().all(|byte| {
        let goes_on = is_name(byte) || (byte == b';' && in_name);
        in_name = byte != b';';
        goes_on
    }) && in_name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::are_headers;

    proptest! {
        #[test]
        fn headers_are_names_between_semicolons(text in "[a;;Z!^_`{~:.-]{0,6}|\\PC{0,4}") {
            let is_name = |name: &str| {
                !name.is_empty()
                    && name.bytes().all(|b| {
                        b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~:".contains(&b)
                    })
            };
            assert_eq!(are_headers(&text), text.split(';').all(is_name), "{text}");
        }
    }
}
