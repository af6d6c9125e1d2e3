//! Client certificates (mTLS): verified against authorities and CRLs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::pem::{read_certificates, read_crls};

/// Accepts client certificates that one of the authorities signed and no CRL revokes. If there are
/// CRLs, a certificate that no CRL covers is not accepted.
///
/// # Errors
/// A sentence that names the invalid file.
pub fn client_verifier(
    authorities: &Path,
    crls: &[PathBuf],
    is_required: bool,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for authority in read_certificates(authorities)? {
        roots
            .add(authority)
            .map_err(|error| format!("`{}`: {error}", authorities.display()))?;
    }
    let mut lists = Vec::new();
    for file in crls {
        lists.extend(read_crls(file)?);
    }
    let mut builder = WebPkiClientVerifier::builder(Arc::new(roots)).with_crls(lists);
    if !is_required {
        builder = builder.allow_unauthenticated();
    }
    builder
        .build()
        .map_err(|error| format!("client certificates cannot be verified: {error}"))
}
