//! Verify errors: the reasons that a signature does not prove its signer.

use std::fmt;

use super::time;

/// The reason that a signature does not verify. Contains no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyError {
    /// The gate has not issued the access key.
    UnknownAccessKey,
    /// The session token is missing, or belongs to another access key.
    InvalidSessionToken,
    /// The credentials have expired.
    ExpiredCredentials,
    /// The credentials were issued for other days or regions.
    NotIssuedForScope,
    /// The date of the credential scope is not that of the time.
    ScopeDateMismatch,
    /// The time is missing or malformed.
    MissingDate,
    /// The signature is too old. Times are seconds since 1970.
    SignatureExpired {
        /// The time of the signature.
        signed: i64,
        /// The gate's time.
        now: i64,
        /// The seconds for which the signature was valid.
        valid: i64,
    },
    /// The signature's time is in the future. Times are seconds since 1970.
    SignatureNotYetCurrent {
        /// The time of the signature.
        signed: i64,
        /// The gate's time.
        now: i64,
    },
    /// `X-Amz-Expires` is zero or more than an hour.
    InvalidExpires,
    /// The signed headers are not sorted, or one is named twice.
    UnsortedSignedHeaders,
    /// The signature must cover this header, and does not.
    HeaderNotSigned(&'static str),
    /// `X-Amz-Content-Sha256` is not the hash of the body.
    PayloadHashMismatch,
    /// The key makes another signature.
    SignatureMismatch,
}

impl VerifyError {
    /// The AWS error type of the response.
    pub fn error_type(&self) -> &'static str {
        match self {
            VerifyError::UnknownAccessKey | VerifyError::InvalidSessionToken => {
                "UnrecognizedClientException"
            }
            VerifyError::ExpiredCredentials => "ExpiredTokenException",
            VerifyError::MissingDate => "IncompleteSignatureException",
            VerifyError::NotIssuedForScope
            | VerifyError::ScopeDateMismatch
            | VerifyError::SignatureExpired { .. }
            | VerifyError::SignatureNotYetCurrent { .. }
            | VerifyError::InvalidExpires
            | VerifyError::UnsortedSignedHeaders
            | VerifyError::HeaderNotSigned(_)
            | VerifyError::PayloadHashMismatch
            | VerifyError::SignatureMismatch => "InvalidSignatureException",
        }
    }

    /// The message of the response, in the service's words where they are known.
    pub fn message(&self) -> String {
        let minutes = |seconds: i64| match seconds % 60 {
            0 => format!("{} min.", seconds / 60),
            _ => format!("{seconds} s"),
        };
        match *self {
            VerifyError::UnknownAccessKey | VerifyError::InvalidSessionToken => {
                "The security token included in the request is invalid.".to_owned()
            }
            VerifyError::ExpiredCredentials => {
                "The security token included in the request is expired".to_owned()
            }
            VerifyError::NotIssuedForScope => {
                "Credential is not valid for the day and region of its scope.".to_owned()
            }
            VerifyError::ScopeDateMismatch => {
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 \
                                version of date from HTTP"
                    .to_owned()
            }
            VerifyError::MissingDate => "Authorization header requires existence of either a \
                                   'X-Amz-Date' or a 'Date' header."
                .to_owned(),
            VerifyError::SignatureExpired { signed, now, valid } => format!(
                "Signature expired: {} is now earlier than {} ({} - {})",
                time::format(signed),
                time::format(now.saturating_sub(valid)),
                time::format(now),
                minutes(valid)
            ),
            VerifyError::SignatureNotYetCurrent { signed, now } => format!(
                "Signature not yet current: {} is still later than {} ({} + 5 min.)",
                time::format(signed),
                time::format(now.saturating_add(300)),
                time::format(now)
            ),
            VerifyError::InvalidExpires => {
                "X-Amz-Expires must be from 1 to 3600 seconds".to_owned()
            }
            VerifyError::UnsortedSignedHeaders => {
                "SignedHeaders must be in alphabetical order, each named once.".to_owned()
            }
            VerifyError::HeaderNotSigned("host") => {
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
                    .to_owned()
            }
            VerifyError::HeaderNotSigned(name) => {
                format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.")
            }
            VerifyError::PayloadHashMismatch => {
                "The value of 'x-amz-content-sha256' is not the SHA-256 of the body.".to_owned()
            }
            VerifyError::SignatureMismatch => {
                "The request signature we calculated does not match the signature you provided. \
                 Check your AWS Secret Access Key and signing method. Consult the service \
                 documentation for details."
                    .to_owned()
            }
        }
    }
}

/// Writes the reason for the decision log.
impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VerifyError::UnknownAccessKey => {
                f.write_str("the access key is none of the endpoint's local credentials")
            }
            VerifyError::InvalidSessionToken => {
                f.write_str("the session token is not the access key's")
            }
            VerifyError::ExpiredCredentials => f.write_str("the local credentials are expired"),
            VerifyError::NotIssuedForScope => {
                f.write_str("the local credentials are for other days or another region")
            }
            VerifyError::ScopeDateMismatch => {
                f.write_str("the scope's day is not that of `X-Amz-Date`")
            }
            VerifyError::MissingDate => f.write_str("`X-Amz-Date` is missing or malformed"),
            VerifyError::SignatureExpired { .. } => f.write_str("the signature is too old"),
            VerifyError::SignatureNotYetCurrent { .. } => {
                f.write_str("the signature is of the future")
            }
            VerifyError::InvalidExpires => f.write_str("`X-Amz-Expires` is not from 1 to 3600"),
            VerifyError::UnsortedSignedHeaders => {
                f.write_str("the signed headers are not in order")
            }
            VerifyError::HeaderNotSigned(name) => {
                write!(f, "the signature does not cover `{name}`")
            }
            VerifyError::PayloadHashMismatch => {
                f.write_str("`X-Amz-Content-Sha256` is not the body's")
            }
            VerifyError::SignatureMismatch => f.write_str("the signature is wrong"),
        }
    }
}

impl std::error::Error for VerifyError {}
