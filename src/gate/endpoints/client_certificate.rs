//! The subject alternative names of a client certificate (RFC 5280 section 4.2.1.6).

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A subject alternative name that may name a principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectAltName {
    /// A URI, such as a SPIFFE id.
    Uri(String),
    /// A DNS name.
    Dns(String),
}

/// Reads the names of a DER certificate that TLS has verified. Empty if the certificate does not
/// parse. Omits names that are not printable ASCII, since two readers could differ.
pub(super) fn subject_alt_names(certificate: &[u8]) -> Vec<SubjectAltName> {
    let Ok((rest, certificate)) = X509Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    if !rest.is_empty() {
        return Vec::new();
    }
    let is_printable = |name: &str| name.bytes().all(|byte| byte.is_ascii_graphic());
    let names = names.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::URI(uri) if is_printable(uri) => {
                Some(SubjectAltName::Uri((*uri).to_owned()))
            }
            GeneralName::DNSName(dns) if is_printable(dns) => {
                Some(SubjectAltName::Dns((*dns).to_owned()))
            }
            _ => None,
        })
        .collect()
}
