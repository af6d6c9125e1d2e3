//! The signature of a request, parsed.

use std::fmt;

use super::credential::Credential;

/// The parameters of a signature, as in the `Authorization` header or in the query.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestSignature<'a> {
    /// The access key that signed, and the credential scope.
    pub credential: Credential<'a>,
    /// The signed headers as written, separated by `;` or, in a query, by `;` or `%3B`.
    pub signed_headers: &'a str,
    /// The location of the signature.
    pub location: SignatureLocation,
    /// The signature, in hexadecimal.
    pub(super) signature: &'a str,
    /// The session token in the query, still percent-encoded. A signature in the header has the
    /// token in another header.
    pub(super) session_token: Option<&'a str>,
    /// `X-Amz-Date` in the query.
    pub(super) time: Option<&'a str>,
    /// `X-Amz-Expires`, in seconds.
    pub(super) expires: Option<i64>,
}

/// The location of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureLocation {
    /// In the `Authorization` header.
    Header,
    /// In the query: a presigned request.
    Query,
}

impl RequestSignature<'_> {
    /// Whether the query has a session token.
    pub fn has_session_token(&self) -> bool {
        self.session_token.is_some()
    }
}

impl fmt::Debug for RequestSignature<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestSignature")
            .field("credential", &self.credential)
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}
