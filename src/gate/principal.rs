//! Who signed a request, as far as an access key id and the configuration tell.

use std::sync::Arc;

use crate::caller::Caller;
use crate::observe;
use crate::policy::{Fact, Principal, PrincipalKind};

use super::site::{self, Principals};

/// The signer of one request.
pub(super) struct KnownCaller<'a> {
    signed: Caller<'a>,
    /// What the configuration says of the key.
    stated: Option<&'a site::Principal>,
}

impl Principals {
    pub(super) fn caller<'a>(&'a self, signed: Caller<'a>) -> KnownCaller<'a> {
        KnownCaller {
            signed,
            stated: self.0.get(signed.access_key_id),
        }
    }
}

/// The principal in the words of a denial. Where only the key id is known, that is what stands
/// there: the caller has it already, and can tell by it which of its keys was used.
pub(super) fn user(caller: &observe::Caller, partition: &str) -> String {
    match caller {
        observe::Caller { arn: Some(arn), .. } => arn.to_string(),
        observe::Caller {
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

impl KnownCaller<'_> {
    /// The account, from the configuration or the key id; older key ids do not tell.
    pub(super) fn account(&self) -> Option<&str> {
        match self.stated {
            Some(stated) => Some(&stated.account),
            None => self.signed.account.as_ref().map(|account| account.as_str()),
        }
    }

    pub(super) fn account_fact(&self) -> Fact<&str> {
        self.account().map_or(Fact::Unknown, Fact::Known)
    }

    pub(super) fn arn(&self) -> Fact<&str> {
        self.stated
            .map_or(Fact::Unknown, |stated| Fact::Known(&stated.arn))
    }

    /// Something that only callers with temporary credentials have: `value` for them, absent for
    /// long-term keys, unknown where the key id does not tell which it is.
    pub(super) fn of_session<T>(&self, value: Fact<T>) -> Fact<T> {
        match self.signed.temporary {
            Some(true) => value,
            Some(false) => Fact::Absent,
            None => Fact::Unknown,
        }
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
        match (self.entity(), self.stated) {
            (Some("user"), Some(stated)) => stated
                .arn
                .rsplit('/')
                .next()
                .map_or(Fact::Unknown, Fact::Known),
            (Some("root" | "role"), _) => Fact::Absent,
            _ => Fact::Unknown,
        }
    }

    /// The principal as policies see it.
    pub(super) fn principal(&self) -> Principal<'_> {
        let session = match self.entity() {
            Some("user" | "root") => Fact::Absent,
            _ => self.of_session(Fact::Unknown),
        };
        Principal {
            kind: PrincipalKind::Aws,
            account: self.account_fact(),
            arn: self.arn(),
            session,
        }
    }

    /// The principal in the record.
    pub(super) fn record(&self) -> observe::Caller {
        observe::Caller {
            access_key_id: Some(self.signed.access_key_id.to_owned()),
            account: self.account().map(str::to_owned),
            arn: self.stated.map(|stated| Arc::clone(&stated.arn)),
        }
    }

    /// `user`, `role` or `root`, where the ARN is known.
    fn entity(&self) -> Option<&str> {
        let resource = self.stated?.arn.splitn(6, ':').nth(5)?;
        resource.split('/').next()
    }
}
