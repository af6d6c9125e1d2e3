//! A CA for client certificates, and the certificates and CRLs that it issues.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls::client::WantsClientCert;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, ConfigBuilder};

/// The serial number that [`ClientCa::write`] revokes.
pub const REVOKED_SERIAL: u64 = 66;

/// A CA for client certificates.
pub struct ClientCa(CertifiedIssuer<'static, KeyPair>);

/// A client certificate and its key.
pub struct ClientCertificate(CertificateDer<'static>, KeyPair);

impl ClientCa {
    pub fn new() -> ClientCa {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        ClientCa(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Issues a certificate with these subject alternative names.
    pub fn issue(&self, serial: u64, names: &[SanType]) -> ClientCertificate {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.to_vec();
        params.serial_number = Some(SerialNumber::from(serial));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        ClientCertificate(certificate.der().clone(), key)
    }

    /// Writes `clients.pem`, and `clients.crl.pem` that revokes [`REVOKED_SERIAL`].
    pub fn write(&self, folder: &Path) {
        std::fs::write(folder.join("clients.pem"), self.0.pem()).unwrap();
        self.revoke(folder, REVOKED_SERIAL);
    }

    /// Writes a `clients.crl.pem` that revokes this serial number instead.
    pub fn revoke(&self, folder: &Path, serial: u64) {
        std::fs::write(folder.join("clients.crl.pem"), self.crl(serial)).unwrap();
    }

    fn crl(&self, serial: u64) -> String {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2025, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 1, 1),
            next_update: date_time_ymd(2035, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

pub fn uri_san(name: &str) -> SanType {
    SanType::URI(name.try_into().unwrap())
}

pub fn dns_san(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

impl ClientCertificate {
    /// A configuration that presents the certificate.
    pub fn with_client_auth(
        &self,
        config: ConfigBuilder<ClientConfig, WantsClientCert>,
    ) -> ClientConfig {
        let ClientCertificate(certificate, key) = self;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let chain = vec![certificate.clone()];
        config.with_client_auth_cert(chain, key).unwrap()
    }
}
