//! The credentials that the gate signs upstream with.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use http::HeaderValue;
use tokio::sync::{mpsc, oneshot};

use crate::sigv4::{Holder, Scope, SigningKey, account_of};

/// One set of credentials, and the keys that were derived from it.
pub struct Session {
    access_key_id: String,
    secret: Secret,
    token: Option<HeaderValue>,
    expires: Option<SystemTime>,
    account: Option<String>,
    /// The key of the last scope that was asked for: an endpoint has one region, and a day lasts.
    key: RwLock<Option<Derived>>,
}

struct Derived {
    date: String,
    region: String,
    key: Arc<SigningKey>,
}

/// A secret access key: never printed, overwritten when dropped.
struct Secret(zeroize::Zeroizing<String>);

/// Whose credentials the gate signs with, as they are now. Read by every event loop, renewed by one
/// thread.
pub struct Own {
    current: RwLock<Option<Arc<Session>>>,
    assumed: RwLock<HashMap<RoleSession, Assumed>>,
    asks: mpsc::Sender<Ask>,
    /// The other end of `asks`, until somebody answers.
    #[cfg_attr(not(feature = "re-sign"), expect(dead_code, reason = "nobody answers"))]
    pub(super) inbox: Mutex<Option<mpsc::Receiver<Ask>>>,
}

/// A session of a role, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoleSession {
    /// The role's ARN.
    pub(super) role: Arc<str>,
    /// `RoleSessionName`.
    pub(super) name: String,
    /// `SourceIdentity`.
    pub(super) source_identity: Option<String>,
    /// Session tags.
    pub(super) tags: Vec<(String, String)>,
}

/// Somebody waits for a session of a role.
#[cfg_attr(not(feature = "re-sign"), expect(dead_code, reason = "nobody answers"))]
pub(super) struct Ask {
    pub(super) wanted: RoleSession,
    pub(super) answer: oneshot::Sender<Option<Arc<Session>>>,
}

/// A session of a role that is there.
pub(super) struct Assumed {
    pub(super) session: Arc<Session>,
    /// When it came.
    #[cfg_attr(not(feature = "re-sign"), expect(dead_code, reason = "nobody renews"))]
    pub(super) since: SystemTime,
    /// Whether it was used since it was last looked at.
    pub(super) used: AtomicBool,
}

/// Requests that may wait for sessions of roles at once.
const WAITING: usize = 1024;

impl Session {
    /// Credentials from their parts. `account` is taken from the access key id where it is not known.
    /// `None` where they could not stand in a header.
    pub fn new(
        access_key_id: String,
        secret: String,
        token: Option<&str>,
        expires: Option<SystemTime>,
        account: Option<String>,
    ) -> Option<Session> {
        let token = match token {
            Some(token) => {
                let mut value = HeaderValue::from_str(token).ok()?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        if !access_key_id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric())
        {
            return None;
        }
        let told = || account_of(&access_key_id).map(|account| account.to_string());
        Some(Session {
            account: account.or_else(told),
            access_key_id,
            secret: Secret(secret.into()),
            token,
            expires,
            key: RwLock::default(),
        })
    }

    /// The id of the access key.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The session token, for `X-Amz-Security-Token`.
    pub fn token(&self) -> Option<&HeaderValue> {
        self.token.as_ref()
    }

    /// The account they are of, if it is known.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// When they are over; never, if not.
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    /// The secret access key.
    #[cfg(feature = "re-sign")]
    pub(super) fn secret(&self) -> &str {
        &self.secret.0
    }

    /// Whether they are good for a request now.
    pub fn is_valid(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    /// The key of a scope; derived once for each day and region.
    pub fn signing_key(&self, scope: Scope<'_>) -> Arc<SigningKey> {
        let known = self.key.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(derived) = &*known
            && derived.date == scope.date
            && derived.region == scope.region
        {
            return Arc::clone(&derived.key);
        }
        drop(known);
        let key = Arc::new(SigningKey::new(&SigningKey::derive(&self.secret.0, scope)));
        let derived = Derived {
            date: scope.date.to_owned(),
            region: scope.region.to_owned(),
            key: Arc::clone(&key),
        };
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = Some(derived);
        key
    }
}

impl Own {
    /// No credentials yet.
    pub fn new() -> Own {
        let (asks, inbox) = mpsc::channel(WAITING);
        Own {
            current: RwLock::default(),
            assumed: RwLock::default(),
            asks,
            inbox: Mutex::new(Some(inbox)),
        }
    }

    /// The credentials, if there are any that are valid now.
    pub fn session(&self, now: SystemTime) -> Option<Arc<Session>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let valid = current.as_ref().filter(|session| session.is_valid(now));
        valid.map(Arc::clone)
    }

    /// The account of the credentials, valid or not.
    pub fn account(&self) -> Option<String> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref()?.account().map(str::to_owned)
    }

    /// From now on, these.
    pub fn replace(&self, session: Arc<Session>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(session);
    }

    /// A session of a role: the one that is there, or else one that is asked for now. None where it
    /// cannot be had. The caller bounds the wait.
    pub async fn assume(&self, wanted: RoleSession, now: SystemTime) -> Option<Arc<Session>> {
        if let Some(session) = self.assumed_session(&wanted, now) {
            return Some(session);
        }
        let (answer, answered) = oneshot::channel();
        self.asks.try_send(Ask { wanted, answer }).ok()?;
        answered.await.ok()?
    }

    /// The sessions of roles that are there.
    #[cfg(feature = "re-sign")]
    pub(super) fn assumed(&self) -> &RwLock<HashMap<RoleSession, Assumed>> {
        &self.assumed
    }

    fn assumed_session(&self, wanted: &RoleSession, now: SystemTime) -> Option<Arc<Session>> {
        let assumed = self.assumed.read().unwrap_or_else(PoisonError::into_inner);
        let found = assumed
            .get(wanted)
            .filter(|found| found.session.is_valid(now))?;
        found.used.store(true, Ordering::Relaxed);
        Some(Arc::clone(&found.session))
    }
}

impl Default for Own {
    fn default() -> Own {
        Own::new()
    }
}

impl RoleSession {
    /// For a principal: its session's or user's name names the session.
    pub fn new(
        role: &Arc<str>,
        holder: Option<&Holder>,
        source_identity: Option<&str>,
        tags: Option<&[(String, String)]>,
    ) -> RoleSession {
        let arn = holder.map_or("", |holder| holder.session.as_ref().unwrap_or(&holder.arn));
        let name = arn.rsplit(['/', ':']).next().unwrap_or_default();
        // <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
        let sane = |c: char| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' => c,
            '_' | '+' | '=' | ',' | '.' | '@' | '-' => c,
            _ => '-',
        };
        let mut name: String = name.chars().map(sane).take(64).collect();
        while name.len() < 2 {
            name.push('-');
        }
        RoleSession {
            role: Arc::clone(role),
            name,
            source_identity: source_identity.map(str::to_owned),
            tags: tags.unwrap_or_default().to_vec(),
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("access_key_id", &self.access_key_id)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
