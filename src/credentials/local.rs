//! The gate's side of local credentials: one JSON object a line, in a file that only its owner may
//! read.
//!
//! A signature is made with a key that is derived from the secret for one day, region and service.
//! Those derived keys are what the file holds, for the days that the credentials live: neither the
//! secrets nor anything that could make new ones. Who reads the file can sign as the principals in
//! it, to this gate and nowhere else, until their credentials are over.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::sigv4::{Holder, LocalKey, LocalKeys, SigningKey};

/// One line of the file.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Line {
    pub(super) access_key_id: String,
    /// The ARN of a user or role.
    pub(super) principal: String,
    /// The name of the role's session.
    pub(super) session: Option<String>,
    /// Seconds since 1970.
    pub(super) issued: i64,
    pub(super) expires: i64,
    /// SHA-256 of the session token, base64.
    pub(super) token: String,
    /// Signing keys, base64, by region and day.
    pub(super) keys: BTreeMap<String, BTreeMap<String, String>>,
}

/// A file of local credentials and what was last read of it.
pub struct LocalStore {
    file: PathBuf,
    keys: RwLock<Arc<LocalKeys>>,
    read: Mutex<Option<Stamp>>,
}

/// What changes with a file.
type Stamp = (SystemTime, u64, u64);

/// Why a file of local credentials cannot be used.
#[derive(Debug)]
pub enum StoreError {
    /// It cannot be read.
    Read(io::Error),
    /// Others than its owner may read or write it.
    Permissions(u32),
    /// A line, counted from 1, is none that `credentials issue` writes.
    Line(usize),
    /// Two lines have the same access key id.
    Doubled(usize),
}

/// A file is never larger; a hundred thousand credentials of a day fit.
const LARGEST: u64 = 64 << 20;

impl LocalStore {
    /// Reads a file. One that is not there yet holds no keys.
    ///
    /// # Errors
    /// As for [`read`].
    pub fn open(file: &Path) -> Result<LocalStore, StoreError> {
        let store = LocalStore {
            file: file.to_owned(),
            keys: RwLock::default(),
            read: Mutex::default(),
        };
        match store.refresh() {
            Err(StoreError::Read(error)) if error.kind() == io::ErrorKind::NotFound => Ok(store),
            Err(error) => Err(error),
            Ok(()) => Ok(store),
        }
    }

    /// The keys that were last read.
    pub fn keys(&self) -> Arc<LocalKeys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Reads the file again if it has changed.
    ///
    /// # Errors
    /// As for [`read`]; the keys that were there stay. A file that has not changed since fails once.
    pub fn refresh(&self) -> Result<(), StoreError> {
        let metadata = std::fs::metadata(&self.file).map_err(StoreError::Read)?;
        let changed = metadata.modified().map_err(StoreError::Read)?;
        let stamp = (changed, metadata.len(), metadata.ino());
        let mut last = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if last.replace(stamp) == Some(stamp) {
            return Ok(());
        }
        let keys = Arc::new(read(&self.file)?);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }
}

/// Reads the keys of a file. An empty file holds none.
///
/// # Errors
/// When the file cannot be read, others may read it, or it holds anything else.
pub fn read(file: &Path) -> Result<LocalKeys, StoreError> {
    let mut keys = LocalKeys::new();
    for (number, line) in lines(&open(file)?)?.into_iter().enumerate() {
        let id = line.access_key_id.clone().into_boxed_str();
        let key = key(line).ok_or(StoreError::Line(number + 1))?;
        let before = keys.len();
        keys.insert(id, key);
        if keys.len() == before {
            return Err(StoreError::Doubled(number + 1));
        }
    }
    Ok(keys)
}

/// Opens a file that only its owner may read.
pub(super) fn open(file: &Path) -> Result<File, StoreError> {
    let file = File::open(file).map_err(StoreError::Read)?;
    let mode = file.metadata().map_err(StoreError::Read)?.permissions();
    match mode.mode() & 0o777 {
        others if others & 0o077 != 0 => Err(StoreError::Permissions(others)),
        _ => Ok(file),
    }
}

pub(super) fn lines(file: &File) -> Result<Vec<Line>, StoreError> {
    let mut text = String::new();
    file.take(LARGEST)
        .read_to_string(&mut text)
        .map_err(StoreError::Read)?;
    let parsed = text
        .lines()
        .enumerate()
        .map(|(number, line)| serde_json::from_str(line).map_err(|_| StoreError::Line(number + 1)));
    parsed.collect()
}

fn key(line: Line) -> Option<LocalKey> {
    let bytes = |text: &str| <[u8; 32]>::try_from(STANDARD.decode(text).ok()?).ok();
    let mut signing = HashMap::new();
    for (region, days) in line.keys {
        for (day, key) in days {
            let id = (day.into_boxed_str(), region.clone().into_boxed_str());
            signing.insert(id, SigningKey::new(&bytes(&key)?));
        }
    }
    Some(LocalKey {
        holder: holder(&line.principal, line.session.as_deref())?,
        issued: line.issued,
        token: bytes(&line.token)?,
        expires: line.expires,
        signing,
    })
}

/// A user or role by its ARN, and a role's session by its name: the session's ARN has the role's
/// name without its path.
pub fn holder(principal: &str, session: Option<&str>) -> Option<Holder> {
    let mut parts = principal.splitn(6, ':');
    let (Some("arn"), Some(partition), Some("iam"), Some(""), Some(account), Some(resource)) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return None;
    };
    let (kind, name) = resource.split_once('/').unwrap_or((resource, ""));
    let name = name.rsplit('/').next().unwrap_or_default();
    let sane = account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && match kind {
            "user" | "role" => !name.is_empty(),
            "root" => resource == "root",
            _ => false,
        };
    let session = match session {
        Some(session) if kind == "role" && is_session_name(session) => {
            Some(format!("arn:{partition}:sts::{account}:assumed-role/{name}/{session}").into())
        }
        Some(_) => return None,
        None => None,
    };
    sane.then(|| Holder {
        arn: principal.into(),
        session,
        account: account.into(),
    })
}

/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
fn is_session_name(text: &str) -> bool {
    (2..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Read(error) => write!(f, "cannot be read: {error}"),
            StoreError::Permissions(mode) => write!(
                f,
                "has mode {mode:04o}, so that others than its owner may read it: `chmod 600` it, \
                 and issue its credentials anew if they may have been read"
            ),
            StoreError::Line(line) => write!(
                f,
                "line {line} is none that `kinesis-gate credentials issue` writes"
            ),
            StoreError::Doubled(line) => {
                write!(f, "line {line} has the access key id of another line")
            }
        }
    }
}

impl std::error::Error for StoreError {}
