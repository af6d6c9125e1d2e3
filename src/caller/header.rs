//! The `Authorization` header.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use super::credential::{Credential, is_signature};
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
    for parameter in parameters.split(',').filter(|_| !parameters.is_empty()) {
        let parameter = parameter.trim_matches(' ');
        let (name, value) = parameter
            .split_once('=')
            .ok_or(Unauthenticated::InvalidHeader)?;
        let slot = match name {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut signed_headers,
            "Signature" => &mut signature,
            _ => return Err(Unauthenticated::InvalidHeader),
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
        Credential::from_parts(credential.split('/')).ok_or(Unauthenticated::Credential)?;
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
    text.split(';').all(|name| {
        !name.is_empty()
            && name.bytes().all(|b| {
                b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~:".contains(&b)
            })
    })
}
