//! The gate's current credentials: its own, and those of assumed roles.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use tokio::sync::{mpsc, oneshot};

use crate::sigv4::PrincipalArn;

use super::signing_credentials::SigningCredentials;

/// The current credentials of one profile. Every event loop reads them; one thread refreshes them.
pub struct UpstreamCredentials {
    current: RwLock<Option<Arc<SigningCredentials>>>,
    assumed_roles: RwLock<HashMap<RoleSession, AssumedRole>>,
    requests: mpsc::Sender<AssumeRoleRequest>,
    /// The receiver of `requests`, until the refresher's thread takes it.
    #[cfg_attr(
        not(feature = "re-sign"),
        expect(dead_code, reason = "no thread takes it")
    )]
    pub(super) receiver: Mutex<Option<mpsc::Receiver<AssumeRoleRequest>>>,
}

/// The parameters of `sts:AssumeRole`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoleSession {
    /// `RoleArn`.
    pub(super) role: Arc<str>,
    /// `RoleSessionName`.
    pub(super) name: String,
    /// `SourceIdentity`.
    pub(super) source_identity: Option<String>,
    /// `Tags`.
    pub(super) tags: Vec<(String, String)>,
}

/// A request that waits for the credentials of a role.
#[cfg_attr(
    not(feature = "re-sign"),
    expect(dead_code, reason = "no thread reads it")
)]
pub(super) struct AssumeRoleRequest {
    pub(super) session: RoleSession,
    pub(super) reply: oneshot::Sender<Option<Arc<SigningCredentials>>>,
}

/// A role with its current credentials.
pub(super) struct AssumedRole {
    pub(super) credentials: Arc<SigningCredentials>,
    #[cfg_attr(
        not(feature = "re-sign"),
        expect(dead_code, reason = "nothing refreshes it")
    )]
    pub(super) assumed_at: SystemTime,
    /// Whether a request used the credentials since the last poll.
    pub(super) is_used: AtomicBool,
}

/// The most requests that wait for credentials of roles at once.
const MAX_WAITING: usize = 1024;

impl UpstreamCredentials {
    /// Starts without credentials.
    pub fn new() -> UpstreamCredentials {
        let (requests, receiver) = mpsc::channel(MAX_WAITING);
        UpstreamCredentials {
            current: RwLock::default(),
            assumed_roles: RwLock::default(),
            requests,
            receiver: Mutex::new(Some(receiver)),
        }
    }

    /// The gate's own credentials, if they are valid.
    pub fn current(&self, now: SystemTime) -> Option<Arc<SigningCredentials>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current
            .as_ref()
            .filter(|it| it.is_valid(now))
            .map(Arc::clone)
    }

    /// The account of the gate's own credentials, valid or not.
    pub fn account(&self) -> Option<String> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref()?.account().map(str::to_owned)
    }

    /// Replaces the gate's own credentials.
    pub fn replace(&self, credentials: Arc<SigningCredentials>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(credentials);
    }

    /// The credentials of a role: the current ones, or new ones from STS. `None` if STS refuses.
    /// This wait has no timeout of its own.
    pub async fn assume_role(
        &self,
        session: RoleSession,
        now: SystemTime,
    ) -> Option<Arc<SigningCredentials>> {
        if let Some(credentials) = self.assumed_role(&session, now) {
            return Some(credentials);
        }
        let (reply, replied) = oneshot::channel();
        self.requests
            .try_send(AssumeRoleRequest { session, reply })
            .ok()?;
        replied.await.ok()?
    }

    /// The assumed roles and their current credentials.
    #[cfg(feature = "re-sign")]
    pub(super) fn assumed_roles(&self) -> &RwLock<HashMap<RoleSession, AssumedRole>> {
        &self.assumed_roles
    }

    fn assumed_role(
        &self,
        session: &RoleSession,
        now: SystemTime,
    ) -> Option<Arc<SigningCredentials>> {
        let roles = self.assumed_roles.read();
        let roles = roles.unwrap_or_else(PoisonError::into_inner);
        let role = roles.get(session);
        let role = role.filter(|role| role.credentials.is_valid(now))?;
        role.is_used.store(true, Ordering::Relaxed);
        Some(Arc::clone(&role.credentials))
    }
}

impl Default for UpstreamCredentials {
    fn default() -> UpstreamCredentials {
        UpstreamCredentials::new()
    }
}

impl RoleSession {
    /// The session of `role` for a principal. Its name is that of the principal's session or user.
    pub fn new(
        role: &Arc<str>,
        principal: Option<&PrincipalArn>,
        source_identity: Option<&str>,
        tags: Option<&[(String, String)]>,
    ) -> RoleSession {
        let arn = principal.map_or("", |it| it.session_arn.as_ref().unwrap_or(&it.arn));
        let name = arn.rsplit(['/', ':']).next().unwrap_or_default();
        // <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
        let allowed = |c: char| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' => c,
            '_' | '+' | '=' | ',' | '.' | '@' | '-' => c,
            _ => '-',
        };
        let mut name: String = name.chars().map(allowed).take(64).collect();
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
