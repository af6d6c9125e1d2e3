//! Who is calling: what a signature says, and, for keys that the gate issued itself, whether it is
//! true. No I/O and no clock; nothing of the crate is imported here.

mod account;
mod certificate;
mod credential;
mod header;
mod pieces;
mod presigned;
mod sigv4;
mod time;
mod unauthenticated;
mod unverified;
mod verify;

pub use account::{Account, account_of};
pub use certificate::{CertificateName, names_in};
pub use credential::Credential;
pub use sigv4::{BodyHash, Head, Scope, SigningKey, StringToSign, hash_body, push_scope};
pub use time::signing_time;
pub use unauthenticated::{Missing, Unauthenticated};
pub use unverified::Unverified;
pub use verify::{Holder, LocalKey, LocalKeys, Pending};

use std::fmt;

/// What a signed request says of its caller.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Caller<'a> {
    /// The id of the access key that signed, `AKIA…` or `ASIA…`.
    pub access_key_id: &'a str,
    /// The account that the key id tells; none for keys that do not tell it.
    pub account: Option<Account>,
    /// Whether the key is of temporary credentials; none for ids that do not say.
    pub temporary: Option<bool>,
    /// The session token in the query, still encoded. In the header form the token is in a header of
    /// its own, which is not read here.
    session_token: Option<&'a str>,
    /// The day of the credential scope, `YYYYMMDD`.
    pub date: &'a str,
    /// The region of the credential scope.
    pub region: &'a str,
    /// The service of the credential scope, `kinesis` for a request that is for us.
    pub service: &'a str,
    /// The signed headers as written, separated by `;` or, in a query, by `;` or `%3B`.
    pub signed_headers: &'a str,
    /// The signature, in hexadecimal.
    signature: &'a str,
    /// The time in the query, and for how many seconds it holds.
    time: Option<&'a str>,
    expires: Option<i64>,
    /// Where the signature stands.
    pub form: Form,
}

/// What a signature has beside its credential.
struct Written<'a> {
    signed_headers: &'a str,
    signature: &'a str,
    session_token: Option<&'a str>,
    time: Option<&'a str>,
    expires: Option<i64>,
    form: Form,
}

/// Where a signature stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In the `Authorization` header.
    Header,
    /// In the query.
    Presigned,
}

/// Reads who signed from the value of the `Authorization` header or from the raw query.
///
/// A query may hold the parameters of a presigned request, each once, and nothing else: an operation
/// named there would be another than the one that was decided.
///
/// # Errors
/// When the request is not signed, signed twice, or signed in a way that two readers could read
/// differently.
pub fn read<'a>(
    authorization: Option<&'a str>,
    query: Option<&'a str>,
) -> Result<Caller<'a>, Unauthenticated> {
    let presigned = presigned::read(query.unwrap_or_default())?;
    match (authorization, presigned) {
        (Some(_), Some(_)) => Err(Unauthenticated::Both),
        (Some(value), None) => header::read(value),
        (None, Some(parameters)) => parameters.caller(),
        (None, None) => Err(Unauthenticated::Missing),
    }
}

impl<'a> Caller<'a> {
    fn new(credential: Credential<'a>, written: Written<'a>) -> Caller<'a> {
        let Credential {
            access_key_id,
            date,
            region,
            service,
        } = credential;
        let Written {
            signed_headers,
            signature,
            session_token,
            time,
            expires,
            form,
        } = written;
        let temporary = match access_key_id.get(..4) {
            Some("AKIA") => Some(false),
            Some("ASIA") => Some(true),
            _ => None,
        };
        Caller {
            access_key_id,
            account: account_of(access_key_id),
            temporary,
            session_token,
            date,
            region,
            service,
            signed_headers,
            signature,
            time,
            expires,
            form,
        }
    }
}

impl Caller<'_> {
    /// Whether the query has a session token.
    pub fn has_session_token(&self) -> bool {
        self.session_token.is_some()
    }
}

impl fmt::Debug for Caller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("access_key_id", &self.access_key_id)
            .field("account", &self.account)
            .field("region", &self.region)
            .field("service", &self.service)
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
