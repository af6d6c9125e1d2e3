//! A local CA that issues a leaf certificate for each SNI.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use crate::observe::Clock;

use super::pem::read_certificates;

/// Issues leaf certificates, and caches them. All leaves of a process share one key: a key for each
/// name would let clients spend the gate's time, and would protect nothing.
pub struct LeafIssuer {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    leaf_key: KeyPair,
    /// Names and addresses on the certificate for a client that sends no SNI.
    default_names: Vec<String>,
    leaves: Mutex<HashMap<String, Leaf>>,
    clock: Clock,
}

struct Leaf {
    key: Arc<CertifiedKey>,
    renew_at: Timestamp,
}

/// Leaves in the cache. Names hold account ids: without a limit, clients could fill the memory.
const MAX_CACHED: usize = 4096;
/// The validity of a leaf, in days, and the age at which the leaf is renewed.
const DAYS_VALID: i64 = 30;
const RENEW_AFTER: Duration = Duration::from_secs(15 * 86_400);

impl LeafIssuer {
    /// Reads the CA's certificate and key from PEM files. `default_names` are on the certificate
    /// for clients without SNI: TLS has no SNI for an address, and Java sends none for a name
    /// without a dot.
    ///
    /// # Errors
    /// A sentence that names the invalid file, or says why the CA cannot sign a leaf.
    pub fn from_files(
        certificate: &Path,
        key: &Path,
        default_names: Vec<String>,
        clock: Clock,
    ) -> Result<LeafIssuer, String> {
        let chain = read_certificates(certificate)?;
        let certificate = chain.into_iter().next().ok_or("no certificate")?;
        let pem = std::fs::read_to_string(key)
            .map_err(|error| format!("`{}` cannot be read: {error}", key.display()))?;
        let key = KeyPair::from_pem(&pem)
            .map_err(|error| format!("`{}` holds no private key in PEM: {error}", key.display()))?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .map_err(|error| format!("the certificate cannot sign leaves: {error}"))?;
        let leaf_key = KeyPair::generate()
            .map_err(|error| format!("no key for leaves can be made: {error}"))?;
        let leaf_issuer = LeafIssuer {
            issuer,
            certificate,
            leaf_key,
            default_names,
            leaves: Mutex::default(),
            clock,
        };
        // Finds a CA that cannot sign at start, and not at the first client.
        leaf_issuer.issue(None)?;
        Ok(leaf_issuer)
    }

    /// The certificate for an SNI, in lower case. The caller must check that the listener serves
    /// the name.
    pub fn leaf(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let now = Timestamp::try_from((self.clock)()).ok()?;
        let cache_key = name.unwrap_or_default();
        if let Some(leaf) = self.leaves().get(cache_key)
            && now < leaf.renew_at
        {
            return Some(Arc::clone(&leaf.key));
        }
        let key = self.issue(name).ok()?;
        let renew_at = now.saturating_add(RENEW_AFTER).ok()?;
        let mut leaves = self.leaves();
        if leaves.len() >= MAX_CACHED {
            leaves.clear();
        }
        let leaf = Leaf {
            key: Arc::clone(&key),
            renew_at,
        };
        leaves.insert(cache_key.to_owned(), leaf);
        Some(key)
    }

    fn leaves(&self) -> MutexGuard<'_, HashMap<String, Leaf>> {
        // A panic under the lock leaves the map consistent.
        self.leaves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn issue(&self, name: Option<&str>) -> Result<Arc<CertifiedKey>, String> {
        let names = match name {
            Some(name) => vec![name.to_owned()],
            None => self.default_names.clone(),
        };
        let mut params = CertificateParams::new(names).map_err(|error| error.to_string())?;
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "kinesis-gate");
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let mut serial = [0; 16];
        aws_lc_rs::rand::fill(&mut serial).map_err(|error| error.to_string())?;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        // Valid from yesterday on, for clients whose clock is behind.
        let (from, to) = (self.day(-1)?, self.day(DAYS_VALID)?);
        let at = |date: Date| {
            let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
            date_time_ymd(i32::from(date.year()), month, day)
        };
        (params.not_before, params.not_after) = (at(from), at(to));
        let leaf = params
            .signed_by(&self.leaf_key, &self.issuer)
            .map_err(|e| e.to_string())?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.leaf_key.serialize_der()));
        let signer = any_supported_type(&key).map_err(|error| error.to_string())?;
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        Ok(Arc::new(CertifiedKey::new(chain, signer)))
    }

    /// The date `days` from today.
    fn day(&self, days: i64) -> Result<Date, String> {
        let now = Timestamp::try_from((self.clock)()).map_err(|error| error.to_string())?;
        let today = now.to_zoned(TimeZone::UTC).date();
        today
            .checked_add(Span::new().days(days))
            .map_err(|error| error.to_string())
    }
}

impl fmt::Debug for LeafIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeafIssuer")
            .field("default_names", &self.default_names)
            .finish_non_exhaustive()
    }
}
