//! A throw-away certificate authority (CA).

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::Error;

/// A CA that is in no trust store.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// Creates a CA with a key of its own.
    ///
    /// # Errors
    /// If the provider cannot generate keys.
    pub fn create() -> Result<Authority, Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "kinesis-gate sandbox");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Authority(CertifiedIssuer::self_signed(
            params,
            KeyPair::generate()?,
        )?))
    }

    /// The certificate, PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Writes `ca.pem` and `ca-key.pem` into a folder. Only the owner can read the key.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        std::fs::write(folder.join("ca.pem"), self.pem())?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut key = options.open(folder.join("ca-key.pem"))?;
        key.write_all(self.0.key().serialize_pem().as_bytes())
    }

    /// The TLS configuration of a server called `name`, with ALPN for HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// If `name` is not valid in a certificate.
    pub fn server(&self, name: &str) -> Result<ServerConfig, Error> {
        let key = KeyPair::generate()?;
        let leaf = CertificateParams::new(vec![name.to_owned()])?.signed_by(&key, &self.0)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}
