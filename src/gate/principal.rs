//! Who calls, as far as it is proven, or an access key id and the configuration tell.

use std::sync::Arc;

use crate::credentials::RoleSession;
use crate::observe;
use crate::policy::{Fact, Principal as InPolicy, PrincipalKind};
use crate::reject::Rejection;
use crate::sigv4::{BodyHash, LocalKeys, PendingVerification, PrincipalArn, RequestSignature};

use super::ConnectionInfo;
use super::authenticate;
use super::principals::{CertificateIdentity, IdentityMap, MappedPrincipal, Organization};

/// The caller of one request.
pub(super) struct KnownCaller<'a> {
    pub(super) signed: Option<RequestSignature<'a>>,
    pub(super) principals: &'a IdentityMap,
    /// Who it is, where that is known.
    pub(super) holder: Option<&'a PrincipalArn>,
    /// What else is known of it.
    pub(super) details: Option<&'a MappedPrincipal>,
    /// Whether the gate itself has it proven, and not the service behind it.
    pub(super) authenticated: bool,
    /// The signature that is to prove it, until the body is there.
    pub(super) pending: Option<PendingVerification<'a>>,
}

impl<'a> KnownCaller<'a> {
    /// The caller of a request whose signature goes through.
    ///
    /// The access key, a client certificate and the endpoint's `principal` may each tell who calls.
    /// Where they contradict each other, or the account that the key id tells, nobody knows.
    pub(super) fn of_signature(
        connection: &'a ConnectionInfo,
        signed: RequestSignature<'a>,
    ) -> KnownCaller<'a> {
        let principals = &connection.listener.identity_map;
        let by_access_key = principals
            .by_access_key
            .get(signed.credential.access_key_id);
        let by_certificate = match &connection.certificate_identity {
            Some(CertificateIdentity::Principal(principal)) => Some(principal),
            Some(CertificateIdentity::Unmapped | CertificateIdentity::Ambiguous) | None => None,
        };
        let stated = connection.endpoint().principal.as_ref();
        let mut told = [by_access_key, by_certificate, stated]
            .into_iter()
            .flatten();
        let first = told.next();
        let agree = first.is_none_or(|first| {
            told.all(|other| other.holder.arn == first.holder.arn)
                && signed
                    .credential
                    .account
                    .is_none_or(|account| account.as_str() == &*first.holder.account)
        });
        let details = first.filter(|_| agree).map(|principal| &**principal);
        KnownCaller {
            signed: Some(signed),
            principals,
            holder: details.map(|principal| &principal.holder),
            details,
            authenticated: false,
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
    ) -> KnownCaller<'a> {
        KnownCaller {
            signed,
            principals: &connection.listener.identity_map,
            holder: Some(holder),
            details,
            authenticated: true,
            pending,
        }
    }

    /// Proves the signature, where one has to prove who calls, by the body that came. Whether there
    /// was one to prove.
    pub(super) fn prove(&self, body: &BodyHash) -> Result<bool, Rejection> {
        match &self.pending {
            Some(pending) => match pending.verify(body) {
                Ok(()) => Ok(true),
                Err(why) => Err(Rejection::InvalidSignature(why)),
            },
            None => Ok(false),
        }
    }

    /// The account, from the configuration or the key id; older key ids do not tell.
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

    /// What its requests are counted by: the user or role, all its sessions together, or else the
    /// access key id, which is all that is known then.
    pub(super) fn counted_as(&self) -> &str {
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

    /// Something that only callers with temporary credentials have: `value` for them, absent for
    /// long-term keys, unknown where it is not known which they are.
    pub(super) fn of_session<T>(&self, value: Fact<T>) -> Fact<T> {
        let temporary = if self.authenticated {
            // The local key, the certificate or the address stands for a user's own key, or for a
            // session of a role.
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

    /// The session of a role that its requests are signed as.
    pub(super) fn session_of(&self, role: &Arc<str>) -> RoleSession {
        let source_identity = |details: &'a MappedPrincipal| details.source_identity.as_deref();
        let tags = |details: &'a MappedPrincipal| details.tags.as_deref();
        RoleSession::new(
            role,
            self.holder,
            self.details.and_then(source_identity),
            self.details.and_then(tags),
        )
    }

    /// When the session began, in milliseconds since 1970, where the gate itself began it.
    pub(super) fn issued(&self) -> Option<i64> {
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

    /// `aws:userid`, where it is stated.
    pub(super) fn user_id(&self) -> Fact<&str> {
        let stated = self.details.and_then(|details| details.user_id.as_deref());
        stated.map_or(Fact::Unknown, Fact::Known)
    }

    /// `aws:SourceIdentity`, where it is stated.
    pub(super) fn source_identity(&self) -> Fact<&str> {
        let stated = self
            .details
            .and_then(|details| details.source_identity.as_deref());
        self.of_session(stated.map_or(Fact::Unknown, Fact::Known))
    }

    /// A tag of the caller: where tags are stated, all of them are.
    pub(super) fn tag(&self, key: &str) -> Fact<&str> {
        let Some(tags) = self.details.and_then(|details| details.tags.as_ref()) else {
            return Fact::Unknown;
        };
        let found = tags
            .iter()
            .find(|(known, _)| crate::policy::eq_name(known, key));
        found.map_or(Fact::Absent, |(_, value)| Fact::Known(value))
    }

    /// The organization as it is stated for the principal, or else for its account.
    pub(super) fn organization_id(&self) -> Option<&str> {
        self.stated(|organization| organization.id.as_deref())
    }

    /// Its paths.
    pub(super) fn organization_paths(&self) -> Option<&Vec<String>> {
        self.stated(|organization| organization.paths.as_ref())
    }

    /// The principal as policies see it.
    pub(super) fn principal(&self) -> InPolicy<'_> {
        let session = match (self.entity(), self.holder) {
            (Some("user" | "root"), _) => Fact::Absent,
            (
                _,
                Some(PrincipalArn {
                    session_arn: Some(session),
                    ..
                }),
            ) => Fact::Known(&**session),
            _ => self.of_session(Fact::Unknown),
        };
        InPolicy {
            kind: PrincipalKind::Aws,
            account: self.account_fact(),
            arn: self.arn(),
            session_arn: session,
        }
    }

    /// The caller in the record of a request that may not get to be proven: a key id that has still
    /// to be proven names nobody.
    pub(super) fn claimed(&self) -> observe::LoggedPrincipal {
        let caller = self.record();
        match &self.pending {
            None => caller,
            Some(_) => observe::LoggedPrincipal {
                account: None,
                arn: None,
                ..caller
            },
        }
    }

    /// The principal in the record: a session by its own ARN, as AWS says it.
    pub(super) fn record(&self) -> observe::LoggedPrincipal {
        let key = self
            .signed
            .as_ref()
            .map(|signed| signed.credential.access_key_id);
        observe::LoggedPrincipal {
            access_key_id: key.map(str::to_owned),
            account: self.account().map(str::to_owned),
            arn: self
                .holder
                .map(|holder| Arc::clone(holder.session_arn.as_ref().unwrap_or(&holder.arn))),
        }
    }

    fn stated<'s, T: ?Sized>(
        &'s self,
        of: impl Fn(&'s Organization) -> Option<&'s T>,
    ) -> Option<&'s T> {
        let principal = self.details.map(|details| &details.organization);
        let account = || self.principals.organizations.get(self.account()?);
        principal.and_then(&of).or_else(|| of(account()?))
    }

    /// `user`, `role` or `root`, where the ARN is known.
    fn entity(&self) -> Option<&str> {
        let arn = &self.holder?.arn;
        let colon = memchr::memchr_iter(b':', arn.as_bytes()).nth(4)?;
        arn.get(colon + 1..)?.split('/').next()
    }
}

/// Who calls, in the way that the endpoint wants to know it.
pub(super) fn caller<'a>(
    connection: &'a ConnectionInfo,
    signed: Option<RequestSignature<'a>>,
    parts: &'a http::request::Parts,
    keys: Option<&'a LocalKeys>,
    now: std::time::SystemTime,
) -> Result<KnownCaller<'a>, Rejection> {
    match (&connection.endpoint().re_sign, signed) {
        (Some(re_sign), signed) => authenticate::caller(
            &re_sign.client_authentication,
            connection,
            signed,
            parts,
            keys,
            now,
        ),
        (None, Some(signed)) => Ok(KnownCaller::of_signature(connection, signed)),
        (None, None) => Err(Rejection::Unauthenticated(
            crate::sigv4::ParseError::Unsigned,
        )),
    }
}

/// The principal in the words of a denial. Where only the key id is known, that is what stands
/// there: the caller has it already, and can tell by it which of its keys was used.
pub(super) fn user(caller: &observe::LoggedPrincipal, partition: &str) -> String {
    match caller {
        observe::LoggedPrincipal { arn: Some(arn), .. } => arn.to_string(),
        observe::LoggedPrincipal {
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
