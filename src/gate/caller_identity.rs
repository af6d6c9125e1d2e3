//! The caller identity: the principal of one request, proven by the gate, or looked up in the
//! identity map by access key id.

use std::sync::Arc;

use crate::credentials::RoleSession;
use crate::observe::LoggedPrincipal;
use crate::policy::{Fact, Principal, PrincipalKind, eq_name};
use crate::reject::Rejection;
use crate::sigv4::{BodyHash, PendingVerification, PrincipalArn, RequestSignature};

use super::connection::ConnectionInfo;
use super::endpoints::{CertificateIdentity, IdentityMap, MappedPrincipal, Organization};

/// The caller of one request.
pub(super) struct CallerIdentity<'a> {
    /// The parsed signature, where the request has one.
    pub(super) signed: Option<RequestSignature<'a>>,
    pub(super) identity_map: &'a IdentityMap,
    /// The ARN of the user or role, with session and account, where they are known.
    pub(super) holder: Option<&'a PrincipalArn>,
    /// The configuration's entry for the principal.
    pub(super) details: Option<&'a MappedPrincipal>,
    /// Whether the gate authenticates the caller. Otherwise the service does.
    pub(super) is_authenticated: bool,
    /// The signature that proves the caller, to be verified once the body has been read.
    pub(super) pending: Option<PendingVerification<'a>>,
}

impl<'a> CallerIdentity<'a> {
    /// The caller of a request whose signature passes through.
    ///
    /// The access key, a client certificate and the endpoint's `principal` may each name the
    /// principal. It is unknown where these contradict each other, or the account in the key id.
    pub(super) fn from_signature(
        connection: &'a ConnectionInfo,
        signed: RequestSignature<'a>,
    ) -> CallerIdentity<'a> {
        let identity_map = &connection.listener.identity_map;
        let by_access_key = identity_map
            .by_access_key
            .get(signed.credential.access_key_id);
        let by_certificate = match &connection.certificate_identity {
            Some(CertificateIdentity::Principal(principal)) => Some(principal),
            Some(CertificateIdentity::Unmapped | CertificateIdentity::Ambiguous) | None => None,
        };
        let stated = connection.endpoint().principal.as_ref();
        let mut candidates = [by_access_key, by_certificate, stated]
            .into_iter()
            .flatten();
        let first = candidates.next();
        let agree = first.is_none_or(|first| {
            candidates.all(|other| other.holder.arn == first.holder.arn)
                && signed
                    .credential
                    .account
                    .is_none_or(|account| account.as_str() == &*first.holder.account)
        });
        let details = first.filter(|_| agree).map(|principal| &**principal);
        CallerIdentity {
            signed: Some(signed),
            identity_map,
            holder: details.map(|principal| &principal.holder),
            details,
            is_authenticated: false,
            pending: None,
        }
    }

    /// The caller of a request that the gate authenticates.
    pub(super) fn authenticated(
        connection: &'a ConnectionInfo,
        signed: Option<RequestSignature<'a>>,
        holder: &'a PrincipalArn,
        details: Option<&'a MappedPrincipal>,
        pending: Option<PendingVerification<'a>>,
    ) -> CallerIdentity<'a> {
        CallerIdentity {
            signed,
            identity_map: &connection.listener.identity_map,
            holder: Some(holder),
            details,
            is_authenticated: true,
            pending,
        }
    }

    /// Verifies the pending signature against the hash of the body. Returns whether the gate
    /// authenticates this caller by signature.
    ///
    /// # Errors
    /// [`Rejection::InvalidSignature`].
    pub(super) fn verify_signature(&self, body: &BodyHash) -> Result<bool, Rejection> {
        match &self.pending {
            Some(pending) => match pending.verify(body) {
                Ok(()) => Ok(true),
                Err(why) => Err(Rejection::InvalidSignature(why)),
            },
            None => Ok(false),
        }
    }

    /// The account, from the configuration or the key id. Older key ids encode no account.
    pub(super) fn account(&self) -> Option<&str> {
        match (self.holder, &self.signed) {
            (Some(holder), _) => Some(&holder.account),
            (None, Some(signed)) => signed
                .credential
                .account
                .as_ref()
                .map(|account| account.as_str()),
            (None, None) => None,
        }
    }

    /// The key by which rate limits count the caller's requests: the user or role with all its
    /// sessions, or the access key id, where only that is known.
    pub(super) fn rate_limit_key(&self) -> &str {
        let key = self
            .signed
            .as_ref()
            .map(|signed| signed.credential.access_key_id);
        self.holder
            .map_or(key.unwrap_or_default(), |holder| &holder.arn)
    }

    pub(super) fn account_fact(&self) -> Fact<&str> {
        self.account().map_or(Fact::Unknown, Fact::Known)
    }

    pub(super) fn arn(&self) -> Fact<&str> {
        self.holder
            .map_or(Fact::Unknown, |holder| Fact::Known(&holder.arn))
    }

    /// A fact that only callers with temporary credentials have: `value` for such callers, absent
    /// for long-term keys, unknown for keys that may be of either kind.
    pub(super) fn session_fact<T>(&self, value: Fact<T>) -> Fact<T> {
        let temporary = if self.is_authenticated {
            // A local key, a certificate or an address stands for a long-term key of a user, or for
            // a session of a role.
            self.entity().map(|entity| entity == "role")
        } else {
            self.signed
                .as_ref()
                .and_then(|signed| signed.credential.is_temporary())
        };
        match temporary {
            Some(true) => value,
            Some(false) => Fact::Absent,
            None => Fact::Unknown,
        }
    }

    /// The role session that the caller's requests are re-signed with.
    pub(super) fn role_session(&self, role: &Arc<str>) -> RoleSession {
        let source_identity = |details: &'a MappedPrincipal| details.source_identity.as_deref();
        let tags = |details: &'a MappedPrincipal| details.tags.as_deref();
        RoleSession::new(
            role,
            self.holder,
            self.details.and_then(source_identity),
            self.details.and_then(tags),
        )
    }

    /// When the session began, in milliseconds since 1970; `None` unless the gate issued the key.
    pub(super) fn issue_time(&self) -> Option<i64> {
        let pending = self.pending.as_ref()?;
        Some(pending.key().issued_at.saturating_mul(1000))
    }

    /// `aws:PrincipalType`.
    pub(super) fn principal_type(&self) -> Fact<&'static str> {
        match self.entity() {
            Some("user") => Fact::Known("User"),
            Some("root") => Fact::Known("Account"),
            Some("role") => Fact::Known("AssumedRole"),
            _ => Fact::Unknown,
        }
    }

    /// `aws:username`: users have one, roles and root have none.
    pub(super) fn user_name(&self) -> Fact<&str> {
        match (self.entity(), self.holder) {
            (Some("user"), Some(holder)) => holder
                .arn
                .rsplit('/')
                .next()
                .map_or(Fact::Unknown, Fact::Known),
            (Some("root" | "role"), _) => Fact::Absent,
            _ => Fact::Unknown,
        }
    }

    /// `aws:userid`, if the configuration states it.
    pub(super) fn user_id(&self) -> Fact<&str> {
        let stated = self.details.and_then(|details| details.user_id.as_deref());
        stated.map_or(Fact::Unknown, Fact::Known)
    }

    /// `aws:SourceIdentity`, if the configuration states it.
    pub(super) fn source_identity(&self) -> Fact<&str> {
        let stated = self
            .details
            .and_then(|details| details.source_identity.as_deref());
        self.session_fact(stated.map_or(Fact::Unknown, Fact::Known))
    }

    /// A tag of the caller. A configuration that states tags states all of them.
    pub(super) fn tag(&self, key: &str) -> Fact<&str> {
        let Some(tags) = self.details.and_then(|details| details.tags.as_ref()) else {
            return Fact::Unknown;
        };
        let found = tags.iter().find(|(known, _)| eq_name(known, key));
        found.map_or(Fact::Absent, |(_, value)| Fact::Known(value))
    }

    /// The organization that is stated for the principal, or otherwise for the account.
    pub(super) fn organization_id(&self) -> Option<&str> {
        self.organization_value(|organization| organization.id.as_deref())
    }

    /// The paths in the organization, from the same source.
    pub(super) fn organization_paths(&self) -> Option<&Vec<String>> {
        self.organization_value(|organization| organization.paths.as_ref())
    }

    /// The principal that policies match.
    pub(super) fn principal(&self) -> Principal<'_> {
        let session = match (self.entity(), self.holder) {
            (Some("user" | "root"), _) => Fact::Absent,
            (
                _,
                Some(PrincipalArn {
                    session_arn: Some(session),
                    ..
                }),
            ) => Fact::Known(&**session),
            _ => self.session_fact(Fact::Unknown),
        };
        Principal {
            kind: PrincipalKind::Aws,
            account: self.account_fact(),
            arn: self.arn(),
            session_arn: session,
        }
    }

    /// The caller as recorded before the signature is verified: an unverified key id names no
    /// principal.
    pub(super) fn claimed_principal(&self) -> LoggedPrincipal {
        let caller = self.logged_principal();
        match &self.pending {
            None => caller,
            Some(_) => LoggedPrincipal {
                account: None,
                arn: None,
                ..caller
            },
        }
    }

    /// The caller as recorded. A session has its own ARN there, as AWS writes it.
    pub(super) fn logged_principal(&self) -> LoggedPrincipal {
        let key = self
            .signed
            .as_ref()
            .map(|signed| signed.credential.access_key_id);
        LoggedPrincipal {
            access_key_id: key.map(str::to_owned),
            account: self.account().map(str::to_owned),
            arn: self
                .holder
                .map(|holder| Arc::clone(holder.session_arn.as_ref().unwrap_or(&holder.arn))),
        }
    }

    fn organization_value<'s, T: ?Sized>(
        &'s self,
        of: impl Fn(&'s Organization) -> Option<&'s T>,
    ) -> Option<&'s T> {
        let principal = self.details.map(|details| &details.organization);
        let account = || self.identity_map.organizations.get(self.account()?);
        principal.and_then(&of).or_else(|| of(account()?))
    }

    /// `user`, `role` or `root`, where the ARN is known.
    fn entity(&self) -> Option<&str> {
        let arn = &self.holder?.arn;
        let colon = memchr::memchr_iter(b':', arn.as_bytes()).nth(4)?;
        arn.get(colon + 1..)?.split('/').next()
    }
}

/// The principal in the message of a denial. Where only the key id is known, the message names that
/// id: the caller knows it, and can tell which key was used.
pub(super) fn principal_text(caller: &LoggedPrincipal, partition: &str) -> String {
    match caller {
        LoggedPrincipal { arn: Some(arn), .. } => arn.to_string(),
        LoggedPrincipal {
            access_key_id,
            account,
            ..
        } => format!(
            "arn:{partition}:iam::{}:access-key/{}",
            account.as_deref().unwrap_or_default(),
            access_key_id.as_deref().unwrap_or_default()
        ),
    }
}
