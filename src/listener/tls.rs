//! TLS with clients: ALPN, the certificate for each SNI, session tickets.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{Ticketer, sign::any_supported_type};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::gate::ListenerEndpoints;
use crate::observe::TlsFailure;

use super::leaf_issuer::LeafIssuer;
use super::pem::read_certificates;

/// The source of a listener's certificates.
#[derive(Debug)]
pub enum Certificates {
    /// One chain for every name.
    Chain(Arc<CertifiedKey>),
    /// A leaf certificate for each name, issued at the name's first handshake.
    Issuer(Box<LeafIssuer>),
}

/// Resolves the certificate for an SNI: none for a name that the listener does not serve.
struct SniResolver {
    certificates: Certificates,
    endpoints: Arc<ListenerEndpoints>,
}

/// The TLS configuration of a listener.
///
/// ALPN offers HTTP/2 and HTTP/1.1. Tickets are sealed with a key of this process, so that every
/// event loop can resume them. There are none where clients present certificates.
///
/// # Errors
/// If the provider cannot create a ticket key.
pub fn server_config(
    certificates: Certificates,
    endpoints: Arc<ListenerEndpoints>,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder();
    let verifies_clients = endpoints.client_verifier.is_some();
    let mut config = match &endpoints.client_verifier {
        Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
        None => builder.with_no_client_auth(),
    }
    .with_cert_resolver(Arc::new(SniResolver {
        certificates,
        endpoints,
    }));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // A resumed connection presents no certificate, which may have been revoked since.
    if verifies_clients {
        config.send_tls13_tickets = 0;
    } else {
        config.ticketer = Ticketer::new()?;
        config.send_tls13_tickets = 1;
    }
    Ok(config)
}

/// The label of a failed ClientHello or handshake.
pub(super) fn tls_failure(error: &io::Error) -> TlsFailure {
    let error = error.get_ref().map(|inner| inner.downcast_ref());
    match error.flatten() {
        Some(rustls::Error::General(why))
            if why.contains("no server certificate chain resolved") =>
        {
            TlsFailure::Name
        }
        Some(_) => TlsFailure::Protocol,
        None => TlsFailure::Broken,
    }
}

impl Certificates {
    /// Reads a chain and its key from PEM files.
    ///
    /// # Errors
    /// A sentence that names the invalid file.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Certificates, String> {
        let chain = read_certificates(certificate)?;
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

impl ResolvesServerCert for SniResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        if let Some(name) = &name
            && !self.endpoints.serves(name)
        {
            return None;
        }
        match &self.certificates {
            Certificates::Chain(chain) => Some(Arc::clone(chain)),
            Certificates::Issuer(issuer) => issuer.leaf(name.as_deref()),
        }
    }
}

impl fmt::Debug for SniResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SniResolver").finish_non_exhaustive()
    }
}
