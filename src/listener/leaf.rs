//! A local CA that mints a leaf certificate for each name clients ask for.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
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

use super::tls::read_chain;

/// Mints and keeps leaf certificates. One key serves all leaves of a process: making one for each
/// name would let clients spend the gate's time, and protects nothing.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    leaf_key: KeyPair,
    /// Names and addresses on the certificate for a client that asks for no name.
    unnamed: Vec<String>,
    leaves: Mutex<HashMap<String, Leaf>>,
    clock: Clock,
}

/// Why an authority cannot be used.
#[derive(Debug)]
pub struct AuthorityError(String);

struct Leaf {
    key: Arc<CertifiedKey>,
    renew: Timestamp,
}

/// Leaves kept at once. Account ids in names make their number unbounded otherwise.
const KEPT: usize = 4096;
/// How long a leaf is good for, and when the next is minted.
const DAYS_VALID: i64 = 30;
const DAYS_USED: u64 = 15;

impl Authority {
    /// Reads the CA's certificate and key from PEM files. `unnamed` are the names on the
    /// certificate for clients that ask for none: TLS sends no name for an address, and Java none
    /// for a name without a dot.
    ///
    /// # Errors
    /// A sentence that says which file is not what it should be.
    pub fn from_files(
        certificate: &Path,
        key: &Path,
        unnamed: Vec<String>,
        clock: Clock,
    ) -> Result<Authority, AuthorityError> {
        let first = read_chain(certificate)
            .map_err(AuthorityError)?
            .into_iter()
            .next();
        let certificate_der = first.ok_or_else(|| AuthorityError("no certificate".to_owned()))?;
        let pem = std::fs::read_to_string(key).map_err(|error| {
            AuthorityError(format!("`{}` cannot be read: {error}", key.display()))
        })?;
        let key = KeyPair::from_pem(&pem).map_err(|error| {
            AuthorityError(format!(
                "`{}` holds no private key in PEM: {error}",
                key.display()
            ))
        })?;
        Authority::new(certificate_der, key, unnamed, clock)
    }

    /// An authority from its parts.
    ///
    /// # Errors
    /// When the certificate is no CA's or no leaf can be minted from it.
    pub fn new(
        certificate: CertificateDer<'static>,
        key: KeyPair,
        unnamed: Vec<String>,
        clock: Clock,
    ) -> Result<Authority, AuthorityError> {
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|error| {
            AuthorityError(format!("the certificate cannot sign leaves: {error}"))
        })?;
        let leaf_key = KeyPair::generate()
            .map_err(|error| AuthorityError(format!("no key for leaves can be made: {error}")))?;
        let authority = Authority {
            issuer,
            certificate,
            leaf_key,
            unnamed,
            leaves: Mutex::default(),
            clock,
        };
        // A CA that cannot sign is found at start, not at the first client.
        authority.mint(None).map_err(AuthorityError)?;
        Ok(authority)
    }

    /// The certificate for a client that asks for `name`, in lower case, which the caller has
    /// found to be served.
    pub fn leaf(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let now = Timestamp::try_from((self.clock)()).ok()?;
        let place = name.unwrap_or_default();
        if let Some(leaf) = self.leaves().get(place)
            && now < leaf.renew
        {
            return Some(Arc::clone(&leaf.key));
        }
        let key = self.mint(name).ok()?;
        let renew = now
            .saturating_add(Duration::from_secs(DAYS_USED * 86_400))
            .ok()?;
        let mut leaves = self.leaves();
        if leaves.len() >= KEPT {
            leaves.clear();
        }
        leaves.insert(
            place.to_owned(),
            Leaf {
                key: Arc::clone(&key),
                renew,
            },
        );
        Some(key)
    }

    fn leaves(&self) -> std::sync::MutexGuard<'_, HashMap<String, Leaf>> {
        // A map of certificates is whole whatever happened to the thread that held it.
        self.leaves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mint(&self, name: Option<&str>) -> Result<Arc<CertifiedKey>, String> {
        let names = match name {
            Some(name) => vec![name.to_owned()],
            None => self.unnamed.clone(),
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
        // From yesterday, for clients whose clock is behind.
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

    /// Today, moved by so many days.
    fn day(&self, days: i64) -> Result<Date, String> {
        let now = Timestamp::try_from((self.clock)()).map_err(|error| error.to_string())?;
        let today = now.to_zoned(TimeZone::UTC).date();
        today
            .checked_add(Span::new().days(days))
            .map_err(|error| error.to_string())
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("unnamed", &self.unnamed)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for AuthorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AuthorityError {}
