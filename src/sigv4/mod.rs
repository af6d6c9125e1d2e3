//! SigV4: who signed a request, and whether a key that the gate issued made the signature. No I/O
//! and no clock; this room imports nothing of the crate.
//!
//! This room parses and verifies. The crate `aws-sigv4` makes the gate's own signatures, in
//! `upstream`.

mod account_id;
mod authorization_header;
mod canonical_request;
mod credential;
mod parse_error;
mod presigned_query;
mod principal_arn;
mod signature;
mod signing_key;
mod split;
mod time;
mod verify;
mod verify_error;

pub use account_id::AccountId;
pub use canonical_request::{BodyHash, RequestHead, hash_body, hex};
pub use credential::{Credential, CredentialScope};
pub use parse_error::{MissingParameters, ParseError};
pub use principal_arn::PrincipalArn;
pub use signature::{RequestSignature, SignatureLocation};
pub use signing_key::SigningKey;
pub use time::amz_date;
pub use verify::{LocalKey, LocalKeys, PendingVerification};
pub use verify_error::VerifyError;

/// Parses the signature in the value of the `Authorization` header or in the raw query.
///
/// A query may hold the parameters of a presigned request, each once, and nothing else: a query
/// that named an operation could name another one than the policy decided.
///
/// # Errors
/// If the request is not signed, is signed twice, or has a signature with more than one reading.
pub fn parse<'a>(
    authorization: Option<&'a str>,
    query: Option<&'a str>,
) -> Result<RequestSignature<'a>, ParseError> {
    let presigned = presigned_query::parse(query.unwrap_or_default())?;
    match (authorization, presigned) {
        (Some(_), Some(_)) => Err(ParseError::SignedTwice),
        (Some(value), None) => authorization_header::parse(value),
        (None, Some(parameters)) => parameters.signature(),
        (None, None) => Err(ParseError::Unsigned),
    }
}

#[cfg(test)]
mod tests;
