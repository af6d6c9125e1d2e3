//! Authenticating clients, and what their requests are signed with in their stead.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::request::Parts;
use tokio::time::timeout;

use crate::credentials::{LocalStore, RoleSession, SigningCredentials, UpstreamCredentials};
use crate::policy::{Match, PrincipalPattern};
use crate::reject::Rejection;
use crate::sigv4::{LocalKeys, ParseError, RequestHead, RequestSignature};

use super::ConnectionInfo;
use super::principal::KnownCaller;
use super::principals::{CertificateIdentity, MappedPrincipal};

/// An endpoint that authenticates its clients, and signs anew.
pub struct ReSignConfig {
    /// How clients prove who they are.
    pub client_authentication: ClientAuthentication,
    /// The gate's own credentials.
    pub credentials: Arc<UpstreamCredentials>,
    /// Their account, where it is stated.
    pub account: Option<String>,
    /// The roles to sign as, by principal. With any, a principal that has none is refused.
    pub roles: Vec<RoleMapping>,
}

/// How clients prove who they are.
pub enum ClientAuthentication {
    /// By a signature with local credentials.
    Sigv4(Arc<LocalStore>),
    /// By a client certificate.
    Mtls,
    /// By being on this host.
    Loopback,
}

/// A role, for some principals.
pub struct RoleMapping {
    /// For whom.
    pub principal: PrincipalPattern,
    /// Its ARN.
    pub arn: Arc<str>,
    /// The account in it.
    pub account: String,
}

/// How long a request waits for credentials that are not there yet.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who calls, as far as the head proves it.
pub(super) fn caller<'a>(
    how: &ClientAuthentication,
    connection: &'a ConnectionInfo,
    signed: Option<RequestSignature<'a>>,
    parts: &'a Parts,
    keys: Option<&'a LocalKeys>,
    now: SystemTime,
) -> Result<KnownCaller<'a>, Rejection> {
    let stated = |principal: &'a Arc<MappedPrincipal>, signed| {
        let (holder, details) = (&principal.holder, Some(&**principal));
        KnownCaller::authenticated(connection, signed, holder, details, None)
    };
    match (how, &connection.certificate_identity, keys) {
        (ClientAuthentication::Sigv4(_), _, Some(keys)) => {
            let missing = Rejection::Unauthenticated(ParseError::Unsigned);
            let signed = signed.ok_or(missing)?;
            let head = RequestHead {
                method: parts.method.as_str(),
                path: parts.uri.path(),
                query: parts.uri.query(),
                headers: &parts.headers,
                authority: parts.uri.authority().map(|authority| authority.as_str()),
            };
            let pending = keys
                .verify_head(signed, head, now)
                .map_err(Rejection::InvalidSignature)?;
            let holder = &pending.key().principal;
            let known = connection.listener.identity_map.by_arn.get(&*holder.arn);
            let details = known.map(|known| &**known);
            Ok(KnownCaller::authenticated(
                connection,
                Some(signed),
                holder,
                details,
                Some(pending),
            ))
        }
        (ClientAuthentication::Mtls, Some(CertificateIdentity::Principal(principal)), _) => {
            Ok(stated(principal, signed))
        }
        (ClientAuthentication::Mtls, Some(CertificateIdentity::Ambiguous), _) => Err(
            Rejection::UnknownClient("the client certificate is of several principals"),
        ),
        (ClientAuthentication::Mtls, Some(CertificateIdentity::Unmapped) | None, _) => Err(
            Rejection::UnknownClient("the client certificate is of no principal"),
        ),
        (ClientAuthentication::Loopback, _, _) => match &connection.endpoint().principal {
            Some(principal) if connection.peer.is_loopback() => Ok(stated(principal, signed)),
            _ => Err(Rejection::UnknownClient("the client is not on loopback")),
        },
        (ClientAuthentication::Sigv4(_), _, None) => Err(Rejection::UnknownClient(
            "there are no local credentials to verify with",
        )),
    }
}

/// What a request will be signed with: the gate's own credentials, or a role.
pub(super) struct Signing<'a> {
    own: &'a UpstreamCredentials,
    role: Option<RoleSession>,
    account: Option<String>,
}

impl ReSignConfig {
    /// The keys to verify signatures with, as they are now.
    pub(super) fn keys(&self) -> Option<Arc<LocalKeys>> {
        match &self.client_authentication {
            ClientAuthentication::Sigv4(store) => Some(store.keys()),
            ClientAuthentication::Mtls | ClientAuthentication::Loopback => None,
        }
    }

    /// What this caller's request will be signed with.
    ///
    /// # Errors
    /// When there are roles, and none for this caller for certain.
    pub(super) fn signing(&self, caller: &KnownCaller<'_>) -> Result<Signing<'_>, Rejection> {
        if self.roles.is_empty() {
            return Ok(Signing {
                own: &self.credentials,
                role: None,
                account: self.account.clone().or_else(|| self.credentials.account()),
            });
        }
        let principal = caller.principal();
        // The first that is for this caller, if it is so for certain.
        let role = self
            .roles
            .iter()
            .map(|role| (role, role.principal.matches(&principal)))
            .find(|(_, found)| *found != Match::No);
        let Some((role, Match::Yes)) = role else {
            return Err(Rejection::NoRole);
        };
        Ok(Signing {
            own: &self.credentials,
            role: Some(caller.session_of(&role.arn)),
            account: Some(role.account.clone()),
        })
    }
}

impl Signing<'_> {
    /// The account that names without an account mean.
    pub(super) fn into_account(self) -> Option<String> {
        self.account
    }

    /// The credentials: at once, but for a role that nobody had yet.
    pub(super) async fn session(
        self,
        now: SystemTime,
    ) -> Result<Arc<SigningCredentials>, Rejection> {
        let session = match self.role {
            None => self.own.current(now),
            Some(wanted) => timeout(PATIENCE, self.own.assume_role(wanted, now))
                .await
                .unwrap_or_default(),
        };
        session.ok_or(Rejection::NoCredentials)
    }
}
