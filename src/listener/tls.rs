//! What clients see of TLS: certificates, protocols, tickets.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::{Ticketer, sign::any_supported_type};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use crate::gate::ListenerEndpoints;
use crate::observe::TlsFailure;

use super::leaf::Authority;

/// Where a listener's certificates come from.
#[derive(Debug)]
pub enum Certificates {
    /// One chain for every name.
    Chain(Arc<CertifiedKey>),
    /// A leaf for each name, minted when it is first asked for.
    Authority(Box<Authority>),
}

/// Certificates for one listener: none for a name that it does not serve.
struct ForSite {
    certificates: Certificates,
    site: Arc<ListenerEndpoints>,
}

/// The TLS side of a listener.
///
/// HTTP/2 and HTTP/1.1 are offered; a client that offers neither is understood by its first bytes.
/// Tickets are sealed with a key of this process, so that every event loop resumes them; there are
/// none where clients show certificates.
///
/// # Errors
/// When the provider cannot make a ticket key.
pub fn server_config(
    certificates: Certificates,
    site: Arc<ListenerEndpoints>,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder();
    let verified = site.client_verifier.is_some();
    let mut config = match &site.client_verifier {
        Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
        None => builder.with_no_client_auth(),
    }
    .with_cert_resolver(Arc::new(ForSite { certificates, site }));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // A resumed connection shows no certificate anew: one that was revoked since would stay good.
    if !verified {
        config.ticketer = Ticketer::new()?;
        config.send_tls13_tickets = 1;
    } else {
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}

impl Certificates {
    /// Reads a chain and its key from PEM files.
    ///
    /// # Errors
    /// A sentence that says which file is not what it should be.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Certificates, String> {
        let chain = read_chain(certificate)?;
        let key = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| format!("`{}` holds no private key in PEM: {error}", key.display()))?;
        let signer = any_supported_type(&key)
            .map_err(|error| format!("the private key cannot be used: {error}"))?;
        let certified = CertifiedKey::new(chain, signer);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
                Ok(Certificates::Chain(Arc::new(certified)))
            }
            Err(error) => Err(format!("the key is not the certificate's: {error}")),
        }
    }
}

/// Takes client certificates that one of the authorities signed and that no list revokes. With any
/// list, a certificate whose status none of them tells is not taken.
///
/// # Errors
/// A sentence that says which file is not what it should be.
pub fn clients_from_files(
    authorities: &Path,
    revoked: &[PathBuf],
    required: bool,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for authority in read_chain(authorities)? {
        roots
            .add(authority)
            .map_err(|error| format!("`{}`: {error}", authorities.display()))?;
    }
    let mut lists = Vec::new();
    for file in revoked {
        let before = lists.len();
        let wrong = |error: &dyn fmt::Display| {
            format!(
                "`{}` holds no revocation list in PEM: {error}",
                file.display()
            )
        };
        for list in CertificateRevocationListDer::pem_file_iter(file).map_err(|e| wrong(&e))? {
            lists.push(list.map_err(|error| wrong(&error))?);
        }
        if lists.len() == before {
            return Err(wrong(&"it has no such section"));
        }
    }
    let mut builder = WebPkiClientVerifier::builder(Arc::new(roots)).with_crls(lists);
    if !required {
        builder = builder.allow_unauthenticated();
    }
    builder
        .build()
        .map_err(|error| format!("client certificates cannot be verified: {error}"))
}

impl ResolvesServerCert for ForSite {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        if let Some(name) = &name
            && !self.site.serves(name)
        {
            return None;
        }
        match &self.certificates {
            Certificates::Chain(chain) => Some(Arc::clone(chain)),
            Certificates::Authority(authority) => authority.leaf(name.as_deref()),
        }
    }
}

impl fmt::Debug for ForSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForSite").finish_non_exhaustive()
    }
}

pub(super) fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |error: &dyn fmt::Display| {
        format!("`{}` holds no certificate in PEM: {error}", file.display())
    };
    let chain = CertificateDer::pem_file_iter(file)
        .map_err(|error| wrong(&error))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(&error))?;
    if chain.is_empty() {
        Err(wrong(&"it has no such section"))
    } else {
        Ok(chain)
    }
}

pub(super) fn failure(error: &io::Error) -> TlsFailure {
    match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        Some(rustls::Error::General(why))
            if why.contains("no server certificate chain resolved") =>
        {
            TlsFailure::Name
        }
        Some(_) => TlsFailure::Protocol,
        None => TlsFailure::Broken,
    }
}
