//! A CA for clients, and certificates of it.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls::client::WantsClientCert;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, ConfigBuilder};

/// The serial number that is revoked.
pub const REVOKED: u64 = 66;

/// A CA for clients.
pub struct Clients(CertifiedIssuer<'static, KeyPair>);

/// A client's certificate and key.
pub struct Client(CertificateDer<'static>, KeyPair);

impl Clients {
    /// A new one.
    pub fn new() -> Clients {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        Clients(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// A certificate with these names.
    pub fn client(&self, serial: u64, names: &[SanType]) -> Client {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.to_vec();
        params.serial_number = Some(SerialNumber::from(serial));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Client(certificate.der().clone(), key)
    }

    /// Writes `clients.pem`, and `clients.crl.pem`, which revokes one serial number.
    pub fn write(&self, folder: &Path) {
        std::fs::write(folder.join("clients.pem"), self.0.pem()).unwrap();
        self.revoke(folder, REVOKED);
    }

    /// Writes a `clients.crl.pem` that revokes another serial number.
    pub fn revoke(&self, folder: &Path, serial: u64) {
        let list = self.revoking(serial);
        std::fs::write(folder.join("clients.crl.pem"), list).unwrap();
    }

    fn revoking(&self, serial: u64) -> String {
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

pub fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().unwrap())
}

pub fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

impl Client {
    /// A configuration that shows it.
    pub fn authenticate(
        &self,
        config: ConfigBuilder<ClientConfig, WantsClientCert>,
    ) -> ClientConfig {
        let Client(certificate, key) = self;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let chain = vec![certificate.clone()];
        config.with_client_auth_cert(chain, key).unwrap()
    }
}
