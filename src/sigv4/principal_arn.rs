//! The principal of an access key: user or role ARN, and session ARN.

use std::sync::Arc;

use super::account_id::AccountId;

/// A user or role, and a session of the role.
#[derive(Debug, Clone)]
pub struct PrincipalArn {
    /// The ARN of the user or role.
    pub arn: Arc<str>,
    /// The ARN of the role's session.
    pub session_arn: Option<Arc<str>>,
    /// The account in the ARN.
    pub account: Box<str>,
}

impl PrincipalArn {
    /// Parses the ARN of a user, role or root. The session's ARN is built from the session name
    /// `session`: it has the role's name without the path.
    ///
    /// `None` if the ARN is of something else, the session name is invalid, or there is a session
    /// name for an ARN that is not of a role.
    pub fn parse(arn: &str, session: Option<&str>) -> Option<PrincipalArn> {
        let mut parts = arn.splitn(6, ':');
        let mut part = || parts.next();
        let (Some("arn"), Some(partition), Some("iam"), Some(""), Some(account), Some(resource)) =
            (part(), part(), part(), part(), part(), part())
        else {
            return None;
        };
        let (kind, name) = resource.split_once('/').unwrap_or((resource, ""));
        let name = name.rsplit('/').next().unwrap_or_default();
        let is_principal = match kind {
            "user" | "role" => !name.is_empty(),
            "root" => resource == "root",
            _ => false,
        };
        if !is_principal || AccountId::parse(account).is_none() {
            return None;
        }
        let session_arn = match session {
            Some(session) if kind == "role" && is_session_name(session) => {
                Some(format!("arn:{partition}:sts::{account}:assumed-role/{name}/{session}").into())
            }
            Some(_) => return None,
            None => None,
        };
        Some(PrincipalArn {
            arn: arn.into(),
            session_arn,
            account: account.into(),
        })
    }
}

/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
fn is_session_name(text: &str) -> bool {
    (2..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
}
