//! The credentials that a request is re-signed with: the gate's own, or those of a role that it
//! assumes for the caller (assume role).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::timeout;

use crate::credentials::{RoleSession, SigningCredentials, UpstreamCredentials};
use crate::policy::Match;
use crate::reject::Rejection;

use super::caller_identity::CallerIdentity;
use super::endpoints::ReSignConfig;

/// The credentials that re-sign the request of one caller.
pub(super) struct Signer<'a> {
    credentials: &'a UpstreamCredentials,
    role: Option<RoleSession>,
    account: Option<String>,
}

/// How long a request waits for credentials that are not available yet.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(5);

impl<'a> Signer<'a> {
    /// Selects the credentials for a caller.
    ///
    /// # Errors
    /// [`Rejection::NoRole`], if roles are configured and none matches this caller for certain.
    pub(super) fn select(
        re_sign: &'a ReSignConfig,
        caller: &CallerIdentity<'_>,
    ) -> Result<Signer<'a>, Rejection> {
        let credentials = &*re_sign.credentials;
        if re_sign.roles.is_empty() {
            return Ok(Signer {
                credentials,
                role: None,
                account: re_sign.account.clone().or_else(|| credentials.account()),
            });
        }
        let principal = caller.principal();
        let mut roles = re_sign
            .roles
            .iter()
            .map(|role| (role, role.principal.matches(&principal)));
        // The first role that may match must match for certain.
        let Some((role, Match::Yes)) = roles.find(|(_, matched)| *matched != Match::No) else {
            return Err(Rejection::NoRole);
        };
        Ok(Signer {
            credentials,
            role: Some(caller.role_session(&role.arn)),
            account: Some(role.account.clone()),
        })
    }

    /// The account of a stream that a request names without an account.
    pub(super) fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The credentials. Waits only for a role that no request has assumed yet.
    ///
    /// # Errors
    /// [`Rejection::NoCredentials`].
    pub(super) async fn session(
        self,
        now: SystemTime,
    ) -> Result<Arc<SigningCredentials>, Rejection> {
        let session = match self.role {
            None => self.credentials.current(now),
            Some(role) => timeout(CREDENTIALS_TIMEOUT, self.credentials.assume_role(role, now))
                .await
                .unwrap_or_default(),
        };
        session.ok_or(Rejection::NoCredentials)
    }
}
