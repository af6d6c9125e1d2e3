//! Issuing local credentials.

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

use crate::sigv4::{Scope, SigningKey, signing_time};

use super::local::{self, Line, StoreError, holder};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Order {
    /// The ARN of the user or role that the credentials are for.
    pub principal: String,
    /// The name of the role's session; none for users.
    pub session: Option<String>,
    /// The regions of the endpoints they are for.
    pub regions: Vec<String>,
    /// How long they live.
    pub ttl: Duration,
}

/// Credentials, in the form that the SDKs' `credential_process` reads
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Issued {
    version: u8,
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: String,
}

/// Why credentials were not issued.
#[derive(Debug)]
pub enum IssueError {
    /// Not a user's or role's ARN, or not a session's name.
    Principal,
    /// The gate's file is not one to add to.
    Store(StoreError),
    /// The gate's file cannot be written.
    Write(io::Error),
    /// The system has no randomness.
    Random,
}

/// The longest life of credentials: as many signing keys are kept as days.
pub const LONGEST: Duration = Duration::from_secs(90 * 86_400);

/// Issues credentials: adds what verifies them to the file `store`, which is made if need be, takes
/// what is over out of it, and returns what the client gets. The secret is nowhere else.
///
/// # Errors
/// When the principal is none, or the file is unreadable, readable by others, or cannot be written.
pub fn issue(order: &Order, store: &Path, now: SystemTime) -> Result<Issued, IssueError> {
    let lock = lock(store).map_err(IssueError::Write)?;
    let mut lines = match local::open(store) {
        Ok(file) => local::lines(&file).map_err(IssueError::Store)?,
        Err(StoreError::Read(error)) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(IssueError::Store(error)),
    };
    let seconds = |time: SystemTime| Timestamp::try_from(time).map_or(0, Timestamp::as_second);
    lines.retain(|line| line.expires > seconds(now));
    let ends = now + order.ttl.min(LONGEST);
    let (issued, line) = loop {
        let (issued, line) = make(order, now, ends, seconds(ends))?;
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

impl Issued {
    /// The JSON object that `credential_process` prints.
    pub fn json(&self) -> String {
        // INVARIANT: plain text members; nothing here can fail to serialize.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn make(
    order: &Order,
    now: SystemTime,
    ends: SystemTime,
    expires: i64,
) -> Result<(Issued, Line), IssueError> {
    let holder = holder(&order.principal, order.session.as_deref());
    let account = holder.and_then(|holder| holder.account.parse().ok());
    let access_key_id = key_id(account.ok_or(IssueError::Principal)?)?;
    let secret = STANDARD.encode(random::<30>()?);
    let token = URL_SAFE_NO_PAD.encode(random::<48>()?);
    let mut keys = BTreeMap::new();
    for region in &order.regions {
        let mut of_region = BTreeMap::new();
        for date in days(now, ends) {
            let scope = Scope {
                date: &date,
                region,
                service: "kinesis",
            };
            let key = STANDARD.encode(SigningKey::derive(&secret, scope));
            of_region.insert(date, key);
        }
        keys.insert(region.clone(), of_region);
    }
    let line = Line {
        access_key_id: access_key_id.clone(),
        principal: order.principal.clone(),
        session: order.session.clone(),
        issued: Timestamp::try_from(now).map_or(0, Timestamp::as_second),
        expires,
        token: STANDARD.encode(digest::digest(&digest::SHA256, token.as_bytes())),
        keys,
    };
    let expiration = Timestamp::from_second(expires).unwrap_or_default();
    let issued = Issued {
        version: 1,
        access_key_id,
        secret_access_key: secret,
        session_token: token,
        expiration: expiration.to_string(),
    };
    Ok((issued, line))
}

/// Every day on which the credentials may sign, and the one before for clocks behind ours.
fn days(now: SystemTime, ends: SystemTime) -> BTreeSet<String> {
    let skew = Duration::from_secs(300);
    let mut days = BTreeSet::new();
    let mut at = now - skew;
    let last = ends + skew;
    let day = |at| signing_time(at).get(..8).unwrap_or_default().to_owned();
    while at < last {
        days.insert(day(at));
        at += Duration::from_secs(86_400);
    }
    days.insert(day(last));
    days
}

/// An id in the form that AWS's temporary keys have: it tells the account.
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

/// Holds off others who issue from the same file. Dropped, it lets go.
fn lock(store: &Path) -> io::Result<File> {
    let lock = private(&beside(store, "lock"), false)?;
    lock.lock()?;
    Ok(lock)
}

/// Replaces the file at once, so that a gate reads the old one or the new one.
fn write(store: &Path, lines: &[Line]) -> io::Result<()> {
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

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
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
