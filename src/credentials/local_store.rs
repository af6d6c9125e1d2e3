//! The store of local credentials: a file that only its owner may read, one JSON object a line.
//!
//! SigV4 signs with a key that is derived from the secret for one day, region and service. The file
//! holds the derived keys for the lifetime of the credentials, and neither the secrets nor anything
//! that could derive new keys. A reader of the file can sign as its principals, to this gate only,
//! until their credentials expire.

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

use crate::sigv4::{LocalKey, LocalKeys, PrincipalArn, SigningKey};

/// One line of the file: a local credential.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct StoredCredential {
    pub(super) access_key_id: String,
    /// The ARN of a user or role.
    pub(super) principal: String,
    /// The name of the role's session.
    pub(super) session: Option<String>,
    /// When the credential was issued, in seconds since 1970.
    pub(super) issued: i64,
    pub(super) expires: i64,
    /// SHA-256 of the session token, base64.
    pub(super) token: String,
    /// Signing keys, base64, by region and day.
    pub(super) keys: BTreeMap<String, BTreeMap<String, String>>,
}

/// A file of local credentials, and the keys that were last read from it.
pub struct LocalStore {
    file: PathBuf,
    keys: RwLock<Arc<LocalKeys>>,
    stamp: Mutex<Option<FileStamp>>,
}

/// Modification time, length and inode: at least one changes when the file does.
type FileStamp = (SystemTime, u64, u64);

/// The reason that a file of local credentials cannot be used.
#[derive(Debug)]
pub enum StoreError {
    /// The file cannot be read.
    Read(io::Error),
    /// The mode of the file lets others than the owner read or write it.
    Permissions(u32),
    /// `credentials issue` does not write such a line. Lines count from 1.
    Line(usize),
    /// Two lines have the same access key id.
    DuplicateKeyId(usize),
}

/// The most bytes of a file: enough for a hundred thousand credentials of a day.
const MAX_FILE_BYTES: u64 = 64 << 20;

impl LocalStore {
    /// Reads a file. A file that does not exist yet holds no keys.
    ///
    /// # Errors
    /// As [`read_keys`].
    pub fn open(file: &Path) -> Result<LocalStore, StoreError> {
        let store = LocalStore {
            file: file.to_owned(),
            keys: RwLock::default(),
            stamp: Mutex::default(),
        };
        match store.refresh() {
            Err(StoreError::Read(error)) if error.kind() == io::ErrorKind::NotFound => Ok(store),
            Err(error) => Err(error),
            Ok(()) => Ok(store),
        }
    }

    /// The keys from the last successful read.
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
    /// As [`read_keys`]; the last keys stay. A file fails once for each change.
    pub fn refresh(&self) -> Result<(), StoreError> {
        let metadata = std::fs::metadata(&self.file).map_err(StoreError::Read)?;
        let changed = metadata.modified().map_err(StoreError::Read)?;
        let stamp = (changed, metadata.len(), metadata.ino());
        let mut last = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        if last.replace(stamp) == Some(stamp) {
            return Ok(());
        }
        let keys = Arc::new(read_keys(&self.file)?);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }
}

/// Reads the keys of a file. An empty file holds none.
///
/// # Errors
/// If the file cannot be read, others may read it, or a line is invalid.
pub fn read_keys(file: &Path) -> Result<LocalKeys, StoreError> {
    let mut keys = LocalKeys::new();
    for (number, line) in lines(&open(file)?)?.into_iter().enumerate() {
        let id = line.access_key_id.clone().into_boxed_str();
        let key = key(line).ok_or(StoreError::Line(number + 1))?;
        let before = keys.len();
        keys.insert(id, key);
        if keys.len() == before {
            return Err(StoreError::DuplicateKeyId(number + 1));
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

pub(super) fn lines(file: &File) -> Result<Vec<StoredCredential>, StoreError> {
    let mut text = String::new();
    file.take(MAX_FILE_BYTES)
        .read_to_string(&mut text)
        .map_err(StoreError::Read)?;
    let parsed = text
        .lines()
        .enumerate()
        .map(|(number, line)| serde_json::from_str(line).map_err(|_| StoreError::Line(number + 1)));
    parsed.collect()
}

fn key(line: StoredCredential) -> Option<LocalKey> {
    let bytes = |text: &str| <[u8; 32]>::try_from(STANDARD.decode(text).ok()?).ok();
    let mut signing_keys = HashMap::new();
    for (region, days) in line.keys {
        for (day, key) in days {
            let id = (day.into_boxed_str(), region.clone().into_boxed_str());
            signing_keys.insert(id, SigningKey::new(&bytes(&key)?));
        }
    }
    Some(LocalKey {
        principal: PrincipalArn::parse(&line.principal, line.session.as_deref())?,
        issued_at: line.issued,
        token_hash: bytes(&line.token)?,
        expires_at: line.expires,
        signing_keys,
    })
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Read(error) => write!(f, "cannot be read: {error}"),
            StoreError::Permissions(mode) => write!(
                f,
                "has mode {mode:04o}, so that others than its owner may read it: `chmod 600` it, \
                 and issue its credentials again if they may have been read"
            ),
            StoreError::Line(line) => write!(
                f,
                "line {line} is none that `kinesis-gate credentials issue` writes"
            ),
            StoreError::DuplicateKeyId(line) => {
                write!(f, "line {line} has the access key id of another line")
            }
        }
    }
}

impl std::error::Error for StoreError {}
