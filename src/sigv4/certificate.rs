//! The names in a client certificate.

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A subject alternative name that may tell whose a certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateName {
    /// A URI, such as a SPIFFE id.
    Uri(String),
    /// A DNS name.
    Dns(String),
}

/// The names in a certificate, DER, that TLS has verified. None where it cannot be read, or says a
/// name in a form that readers differ about.
pub fn names_in(certificate: &[u8]) -> Vec<CertificateName> {
    let Ok((rest, certificate)) = X509Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    if !rest.is_empty() {
        return Vec::new();
    }
    let sane = |name: &str| name.bytes().all(|byte| byte.is_ascii_graphic());
    let names = names.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::URI(uri) if sane(uri) => Some(CertificateName::Uri((*uri).to_owned())),
            GeneralName::DNSName(dns) if sane(dns) => Some(CertificateName::Dns((*dns).to_owned())),
            _ => None,
        })
        .collect()
}
