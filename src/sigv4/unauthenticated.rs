//! Why a request does not say who calls.

use std::fmt;

use super::Form;

/// Why a request does not say who calls. Nothing that was in it is repeated: it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unauthenticated {
    /// There is no signature.
    Missing,
    /// There is one in the header and one in the query.
    Both,
    /// A signature lacks parameters.
    Incomplete(Missing),
    /// The signature is of another algorithm than SigV4's.
    Algorithm,
    /// The credential is not `<key id>/<date>/<region>/<service>/aws4_request`.
    Credential,
    /// A parameter is there twice.
    Repeated,
    /// The header is not what such a header looks like.
    InvalidHeader,
    /// The query is not what such a query looks like.
    InvalidQuery,
    /// The query has parameters that are none of a presigned request.
    ForeignQuery,
}

/// The parameters that a signature lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    pub(super) form: Form,
    pub(super) algorithm: bool,
    pub(super) credential: bool,
    pub(super) signature: bool,
    pub(super) signed_headers: bool,
    pub(super) date: bool,
}

impl Unauthenticated {
    /// The AWS error type that the client gets.
    pub fn error_type(&self) -> &'static str {
        match self {
            Unauthenticated::Missing => "MissingAuthenticationTokenException",
            Unauthenticated::Both | Unauthenticated::Repeated | Unauthenticated::ForeignQuery => {
                "InvalidSignatureException"
            }
            Unauthenticated::Incomplete(_)
            | Unauthenticated::Algorithm
            | Unauthenticated::Credential
            | Unauthenticated::InvalidHeader
            | Unauthenticated::InvalidQuery => "IncompleteSignatureException",
        }
    }

    /// The message that the client gets, in the service's words where they are known.
    pub fn message(&self) -> String {
        match self {
            Unauthenticated::Missing => "Missing Authentication Token".to_owned(),
            Unauthenticated::Both => {
                "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP \
                 header."
                    .to_owned()
            }
            Unauthenticated::Incomplete(missing) => missing.to_string(),
            Unauthenticated::Algorithm => {
                "Unsupported AWS 'algorithm': it must be 'AWS4-HMAC-SHA256'.".to_owned()
            }
            Unauthenticated::Credential => {
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term"
                    .to_owned()
            }
            Unauthenticated::Repeated => "A signature parameter is given twice.".to_owned(),
            Unauthenticated::InvalidHeader => {
                "Authorization header is not in the form of AWS Signature Version 4.".to_owned()
            }
            Unauthenticated::InvalidQuery => {
                "AWS query-string parameters are not in the form of AWS Signature Version 4. \
                 Re-examine the query-string parameters."
                    .to_owned()
            }
            Unauthenticated::ForeignQuery => {
                "Found query-string parameters that are not of a signature.".to_owned()
            }
        }
    }
}

/// The rule, for the log.
impl fmt::Display for Unauthenticated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unauthenticated::Missing => "the request is not signed",
            Unauthenticated::Both => "the request is signed in its header and in its query",
            Unauthenticated::Incomplete(_) => "the signature lacks parameters",
            Unauthenticated::Algorithm => "the signature is not of `AWS4-HMAC-SHA256`",
            Unauthenticated::Credential => {
                "the credential is not `<key id>/<date>/<region>/<service>/aws4_request`"
            }
            Unauthenticated::Repeated => "a signature parameter is there twice",
            Unauthenticated::InvalidHeader => "the `Authorization` header is malformed",
            Unauthenticated::InvalidQuery => "the presigned query is malformed",
            Unauthenticated::ForeignQuery => {
                "the query has parameters that are none of a signature"
            }
        })
    }
}

impl std::error::Error for Unauthenticated {}

/// The service's text, one sentence for each parameter; it ends with the header itself there, which
/// is not repeated here.
impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sentences = Vec::new();
        match self.form {
            Form::Header => {
                for (missing, name) in [
                    (self.credential, "Credential"),
                    (self.signature, "Signature"),
                    (self.signed_headers, "SignedHeaders"),
                ] {
                    if missing {
                        sentences
                            .push(format!("Authorization header requires '{name}' parameter."));
                    }
                }
            }
            Form::Presigned => {
                for (missing, name) in [
                    (self.algorithm, "X-Amz-Algorithm"),
                    (self.credential, "X-Amz-Credential"),
                    (self.signature, "X-Amz-Signature"),
                    (self.signed_headers, "X-Amz-SignedHeaders"),
                    (self.date, "X-Amz-Date"),
                ] {
                    if missing {
                        sentences.push(format!(
                            "AWS query-string parameters must include '{name}'."
                        ));
                    }
                }
                sentences.push("Re-examine the query-string parameters.".to_owned());
            }
        }
        f.write_str(&sentences.join(" "))
    }
}
