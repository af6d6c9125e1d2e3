//! Parse errors: the reasons that a request does not identify its signer.

use std::fmt;

use super::signature::SignatureLocation;

/// The reason that the signature of a request cannot be parsed. Contains no text of the request,
/// which may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseError {
    /// The request has no signature.
    Unsigned,
    /// The request has a signature in the header and one in the query.
    SignedTwice,
    /// The signature lacks parameters.
    MissingParameters(MissingParameters),
    /// The algorithm is not `AWS4-HMAC-SHA256`.
    UnsupportedAlgorithm,
    /// The credential is not `<key id>/<date>/<region>/<service>/aws4_request`.
    InvalidCredential,
    /// A parameter is given twice.
    RepeatedParameter,
    /// The header does not have the form of SigV4.
    InvalidHeader,
    /// The query does not have the form of SigV4.
    InvalidQuery,
    /// The query has a parameter that presigned requests do not have.
    UnknownQueryParameter,
}

/// The parameters that a signature lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingParameters {
    pub(super) location: SignatureLocation,
    pub(super) names: [Option<&'static str>; 5],
}

impl ParseError {
    /// The AWS error type of the response.
    pub fn error_type(&self) -> &'static str {
        match self {
            ParseError::Unsigned => "MissingAuthenticationTokenException",
            ParseError::SignedTwice
            | ParseError::RepeatedParameter
            | ParseError::UnknownQueryParameter => "InvalidSignatureException",
            ParseError::MissingParameters(_)
            | ParseError::UnsupportedAlgorithm
            | ParseError::InvalidCredential
            | ParseError::InvalidHeader
            | ParseError::InvalidQuery => "IncompleteSignatureException",
        }
    }

    /// The message of the response, in the service's words where they are known.
    pub fn message(&self) -> String {
        match self {
            ParseError::Unsigned => "Missing Authentication Token".to_owned(),
            ParseError::SignedTwice => {
                "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP \
                 header."
                    .to_owned()
            }
            ParseError::MissingParameters(missing) => missing.to_string(),
            ParseError::UnsupportedAlgorithm => {
                "Unsupported AWS 'algorithm': it must be 'AWS4-HMAC-SHA256'.".to_owned()
            }
            ParseError::InvalidCredential => {
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term"
                    .to_owned()
            }
            ParseError::RepeatedParameter => "A signature parameter is given twice.".to_owned(),
            ParseError::InvalidHeader => {
                "Authorization header is not in the form of AWS Signature Version 4.".to_owned()
            }
            ParseError::InvalidQuery => {
                "AWS query-string parameters are not in the form of AWS Signature Version 4. \
                 Re-examine the query-string parameters."
                    .to_owned()
            }
            ParseError::UnknownQueryParameter => {
                "Found query-string parameters that are not of a signature.".to_owned()
            }
        }
    }
}

/// Writes the reason for the decision log.
impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParseError::Unsigned => "the request is not signed",
            ParseError::SignedTwice => "the request is signed in its header and in its query",
            ParseError::MissingParameters(_) => "the signature lacks parameters",
            ParseError::UnsupportedAlgorithm => "the signature is not of `AWS4-HMAC-SHA256`",
            ParseError::InvalidCredential => {
                "the credential is not `<key id>/<date>/<region>/<service>/aws4_request`"
            }
            ParseError::RepeatedParameter => "a signature parameter is there twice",
            ParseError::InvalidHeader => "the `Authorization` header is malformed",
            ParseError::InvalidQuery => "the presigned query is malformed",
            ParseError::UnknownQueryParameter => {
                "the query has parameters that are none of a signature"
            }
        })
    }
}

impl std::error::Error for ParseError {}

/// Writes the service's message, one sentence for each parameter. The service appends the header;
/// the gate does not.
impl fmt::Display for MissingParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, name) in self.names.iter().flatten().enumerate() {
            let space = if number == 0 { "" } else { " " };
            match self.location {
                SignatureLocation::Header => write!(
                    f,
                    "{space}Authorization header requires '{name}' parameter."
                )?,
                SignatureLocation::Query => write!(
                    f,
                    "{space}AWS query-string parameters must include '{name}'."
                )?,
            }
        }
        match self.location {
            SignatureLocation::Header => Ok(()),
            SignatureLocation::Query => f.write_str(" Re-examine the query-string parameters."),
        }
    }
}
