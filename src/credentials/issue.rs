//! Issuing local credentials, for clients that sign requests to the gate.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::Serialize;

use crate::sigv4::{CredentialScope, PrincipalArn, SigningKey, amz_date};

use super::local_store::{self, StoreError, StoredCredential};

/// The credentials to issue.
#[derive(Debug, Clone)]
pub struct IssueRequest {
    /// The ARN of the user or role.
    pub principal: String,
    /// The name of the role's session; `None` for users.
    pub session: Option<String>,
    /// The regions of the endpoints.
    pub regions: Vec<String>,
    /// The lifetime of the credentials.
    pub ttl: Duration,
}

/// Credentials, in the form that the SDKs' `credential_process` reads
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct IssuedCredentials {
    version: u8,
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: String,
}

/// The reason that no credentials were issued.
#[derive(Debug)]
pub enum IssueError {
    /// The ARN is not of a user or role, or the session name is invalid.
    Principal,
    /// The local store cannot be read.
    Store(StoreError),
    /// The local store cannot be written.
    Write(io::Error),
    /// The system has no randomness.
    Random,
}

/// The longest lifetime of credentials: the file holds a signing key for each day.
pub const MAX_TTL: Duration = Duration::from_secs(90 * 86_400);

/// Issues credentials: returns them, and adds the keys that verify them to the file `store`, which
/// it creates if needed. Removes expired credentials from the file. Only returns the secret.
///
/// # Errors
/// If the principal is invalid, or the file is unreadable, readable by others, or not writable.
pub fn issue(
    request: &IssueRequest,
    store: &Path,
    now: SystemTime,
) -> Result<IssuedCredentials, IssueError> {
    let lock = lock(store).map_err(IssueError::Write)?;
    let mut lines = match local_store::open(store) {
        Ok(file) => local_store::lines(&file).map_err(IssueError::Store)?,
        Err(StoreError::Read(error)) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(IssueError::Store(error)),
    };
    let seconds = |time: SystemTime| Timestamp::try_from(time).map_or(0, Timestamp::as_second);
    lines.retain(|line| line.expires > seconds(now));
    let ends = now + request.ttl.min(MAX_TTL);
    let (issued, line) = loop {
        let (issued, line) = make(request, now, ends, seconds(ends))?;
        if !lines
            .iter()
            .any(|known| known.access_key_id == line.access_key_id)
        {
            break (issued, line);
        }
    };
    lines.push(line);
    write(store, &lines).map_err(IssueError::Write)?;
    drop(lock);
    Ok(issued)
}

impl IssuedCredentials {
    /// The JSON object that `credential_process` prints.
    pub fn json(&self) -> String {
        // INVARIANT: plain text members; nothing here can fail to serialize.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn make(
    request: &IssueRequest,
    now: SystemTime,
    ends: SystemTime,
    expires: i64,
) -> Result<(IssuedCredentials, StoredCredential), IssueError> {
    let principal = PrincipalArn::parse(&request.principal, request.session.as_deref());
    let account = principal.and_then(|principal| principal.account.parse().ok());
    let access_key_id = key_id(account.ok_or(IssueError::Principal)?)?;
    let secret = STANDARD.encode(random::<30>()?);
    let token = URL_SAFE_NO_PAD.encode(random::<48>()?);
    let mut keys = BTreeMap::new();
    for region in &request.regions {
        let mut of_region = BTreeMap::new();
        for date in days(now, ends) {
            let scope = CredentialScope {
                date: &date,
                region,
                service: "kinesis",
            };
            let key = STANDARD.encode(SigningKey::derive(&secret, scope));
            of_region.insert(date, key);
        }
        keys.insert(region.clone(), of_region);
    }
    let line = StoredCredential {
        access_key_id: access_key_id.clone(),
        principal: request.principal.clone(),
        session: request.session.clone(),
        issued: Timestamp::try_from(now).map_or(0, Timestamp::as_second),
        expires,
        token: STANDARD.encode(digest::digest(&digest::SHA256, token.as_bytes())),
        keys,
    };
    let expiration = Timestamp::from_second(expires).unwrap_or_default();
    let issued = IssuedCredentials {
        version: 1,
        access_key_id,
        secret_access_key: secret,
        session_token: token,
        expiration: expiration.to_string(),
    };
    Ok((issued, line))
}

/// Every day on which the credentials may sign, with the clock skew on both sides.
fn days(now: SystemTime, ends: SystemTime) -> BTreeSet<String> {
    let skew = Duration::from_secs(300);
    let mut days = BTreeSet::new();
    let mut at = now - skew;
    let last = ends + skew;
    let day = |at| amz_date(at).get(..8).unwrap_or_default().to_owned();
    while at < last {
        days.insert(day(at));
        at += Duration::from_secs(86_400);
    }
    days.insert(day(last));
    days
}

/// An access key id in the form of AWS's temporary keys, with the account in it.
fn key_id(account: u64) -> Result<String, IssueError> {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let random = u64::from_be_bytes(random()?) & ((1 << 39) - 1);
    let bits = 1u128 << 79 | u128::from(account) << 39 | u128::from(random);
    let mut id = "ASIA".to_owned();
    for place in (0..16).rev() {
        let value = usize::try_from(bits >> (5 * place) & 31).unwrap_or_default();
        id.extend(ALPHABET.get(value).map(|digit| char::from(*digit)));
    }
    Ok(id)
}

fn random<const N: usize>() -> Result<[u8; N], IssueError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| IssueError::Random)?;
    Ok(bytes)
}

/// Locks the file against other processes that issue, until the lock is dropped.
fn lock(store: &Path) -> io::Result<File> {
    let lock = private(&beside(store, "lock"), false)?;
    lock.lock()?;
    Ok(lock)
}

/// Replaces the file atomically: a gate reads either the old file or the new one.
fn write(store: &Path, lines: &[StoredCredential]) -> io::Result<()> {
    let new = beside(store, "new");
    let mut file = private(&new, true)?;
    for line in lines {
        serde_json::to_writer(&mut file, line)?;
        file.write_all(b"\n")?;
    }
    file.sync_all()?;
    std::fs::rename(&new, store)
}

fn private(file: &Path, truncate: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(truncate);
    options.mode(0o600).open(file)
}

fn beside(store: &Path, suffix: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

impl fmt::Debug for IssuedCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedCredentials")
            .field("access_key_id", &self.access_key_id)
            .field("expiration", &self.expiration)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for IssueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IssueError::Principal => f.write_str(
                "local credentials are for the ARN of a user, or of a role with a session's name \
                 of 2 to 64 letters, digits and `_+=,.@-`",
            ),
            IssueError::Store(error) => error.fmt(f),
            IssueError::Write(error) => write!(f, "cannot be written: {error}"),
            IssueError::Random => f.write_str("the system gives no random bytes"),
        }
    }
}

impl std::error::Error for IssueError {}
