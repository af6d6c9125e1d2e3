//! Who is calling, as far as a signature says it. Nothing is verified here: the service verifies the
//! same bytes. No I/O and no clock; nothing of the crate is imported here.

mod account;
mod credential;
mod header;
mod presigned;
mod unauthenticated;

pub use account::{Account, account_of};
pub use credential::Credential;
pub use unauthenticated::{Missing, Unauthenticated};

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
    /// Whether the query has a session token. In the header form the token is in a header of its own,
    /// which is not read here.
    pub session_token: bool,
    /// The day of the credential scope, `YYYYMMDD`.
    pub date: &'a str,
    /// The region of the credential scope.
    pub region: &'a str,
    /// The service of the credential scope, `kinesis` for a request that is for us.
    pub service: &'a str,
    /// The signed headers as written, separated by `;` or, in a query, by `;` or `%3B`.
    pub signed_headers: &'a str,
    /// Where the signature stands.
    pub form: Form,
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
    fn new(
        credential: Credential<'a>,
        signed_headers: &'a str,
        session_token: bool,
        form: Form,
    ) -> Caller<'a> {
        let Credential {
            access_key_id,
            date,
            region,
            service,
        } = credential;
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
            form,
        }
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
