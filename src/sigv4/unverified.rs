//! Why a signature that is there does not prove who calls.

use std::fmt;

use super::time;

/// Why a signature does not prove who calls. Nothing secret is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unverified {
    /// The key id is none that was issued here.
    UnknownKey,
    /// The session token is not the key's, or is missing.
    Token,
    /// The key is over.
    Expired,
    /// The key was issued for other days or other regions.
    NotIssuedFor,
    /// The day of the scope is not that of the time.
    Day,
    /// No time, or one that is none.
    NoTime,
    /// Signed too long ago, in seconds since 1970, or no longer valid.
    Stale {
        /// When it was signed.
        signed: i64,
        /// Our time.
        now: i64,
        /// For how many seconds it was valid.
        valid: i64,
    },
    /// Signed in what is the future here.
    Early {
        /// When it was signed.
        signed: i64,
        /// Our time.
        now: i64,
    },
    /// Presigned for no time, or for more than an hour.
    Lifetime,
    /// The signed headers are not in order, or one is named twice.
    Unsorted,
    /// A header that must be signed is not.
    Uncovered(&'static str),
    /// `X-Amz-Content-Sha256` is not the body's.
    Payload,
    /// The signature is not the one that the key makes.
    Mismatch,
}

impl Unverified {
    /// The AWS error type that the client gets.
    pub fn error_type(&self) -> &'static str {
        match self {
            Unverified::UnknownKey | Unverified::Token => "UnrecognizedClientException",
            Unverified::Expired => "ExpiredTokenException",
            Unverified::NoTime => "IncompleteSignatureException",
            Unverified::NotIssuedFor
            | Unverified::Day
            | Unverified::Stale { .. }
            | Unverified::Early { .. }
            | Unverified::Lifetime
            | Unverified::Unsorted
            | Unverified::Uncovered(_)
            | Unverified::Payload
            | Unverified::Mismatch => "InvalidSignatureException",
        }
    }

    /// The message that the client gets, in the service's words where they are known.
    pub fn message(&self) -> String {
        let minutes = |seconds: i64| match seconds % 60 {
            0 => format!("{} min.", seconds / 60),
            _ => format!("{seconds} s"),
        };
        match *self {
            Unverified::UnknownKey | Unverified::Token => {
                "The security token included in the request is invalid.".to_owned()
            }
            Unverified::Expired => {
                "The security token included in the request is expired".to_owned()
            }
            Unverified::NotIssuedFor => {
                "Credential is not valid for the day and region of its scope.".to_owned()
            }
            Unverified::Day => "Date in Credential scope does not match YYYYMMDD from ISO-8601 \
                                version of date from HTTP"
                .to_owned(),
            Unverified::NoTime => "Authorization header requires existence of either a \
                                   'X-Amz-Date' or a 'Date' header."
                .to_owned(),
            Unverified::Stale { signed, now, valid } => format!(
                "Signature expired: {} is now earlier than {} ({} - {})",
                time::format(signed),
                time::format(now.saturating_sub(valid)),
                time::format(now),
                minutes(valid)
            ),
            Unverified::Early { signed, now } => format!(
                "Signature not yet current: {} is still later than {} ({} + 5 min.)",
                time::format(signed),
                time::format(now.saturating_add(300)),
                time::format(now)
            ),
            Unverified::Lifetime => "X-Amz-Expires must be from 1 to 3600 seconds".to_owned(),
            Unverified::Unsorted => {
                "SignedHeaders must be in alphabetical order, each named once.".to_owned()
            }
            Unverified::Uncovered("host") => {
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
                    .to_owned()
            }
            Unverified::Uncovered(name) => {
                format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.")
            }
            Unverified::Payload => {
                "The value of 'x-amz-content-sha256' is not the SHA-256 of the body.".to_owned()
            }
            Unverified::Mismatch => {
                "The request signature we calculated does not match the signature you provided. \
                 Check your AWS Secret Access Key and signing method. Consult the service \
                 documentation for details."
                    .to_owned()
            }
        }
    }
}

/// The rule, for the log.
impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unverified::UnknownKey => {
                f.write_str("the access key is none of the endpoint's local credentials")
            }
            Unverified::Token => f.write_str("the session token is not the access key's"),
            Unverified::Expired => f.write_str("the local credentials are expired"),
            Unverified::NotIssuedFor => {
                f.write_str("the local credentials are for other days or another region")
            }
            Unverified::Day => f.write_str("the scope's day is not that of `X-Amz-Date`"),
            Unverified::NoTime => f.write_str("`X-Amz-Date` is missing or malformed"),
            Unverified::Stale { .. } => f.write_str("the signature is too old"),
            Unverified::Early { .. } => f.write_str("the signature is of the future"),
            Unverified::Lifetime => f.write_str("`X-Amz-Expires` is not from 1 to 3600"),
            Unverified::Unsorted => f.write_str("the signed headers are not in order"),
            Unverified::Uncovered(name) => write!(f, "the signature does not cover `{name}`"),
            Unverified::Payload => f.write_str("`X-Amz-Content-Sha256` is not the body's"),
            Unverified::Mismatch => f.write_str("the signature is wrong"),
        }
    }
}

impl std::error::Error for Unverified {}
