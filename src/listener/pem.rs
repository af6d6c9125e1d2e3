//! Certificates and CRLs in PEM files.

use std::fmt;
use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};

/// Reads a certificate chain, or the certificates of several authorities.
///
/// # Errors
/// A sentence that says what is wrong with the file.
pub fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    read_sections(file, "certificate")
}

/// Reads certificate revocation lists.
pub(super) fn read_crls(file: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    read_sections(file, "revocation list")
}

/// Reads all sections of one kind. A file without any is an error.
fn read_sections<T: PemObject>(file: &Path, kind: &str) -> Result<Vec<T>, String> {
    let wrong =
        |error: &dyn fmt::Display| format!("`{}` holds no {kind} in PEM: {error}", file.display());
    let sections = T::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<T>, _>>)
        .map_err(|error| wrong(&error))?;
    match sections.is_empty() {
        true => Err(wrong(&"it has no such section")),
        false => Ok(sections),
    }
}
