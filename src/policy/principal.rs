//! The Principal and NotPrincipal elements of a statement, and the principals of identity policies.
//!
//! IAM User Guide: reference_policies_elements_principal, reference_policies_elements_notprincipal.

use std::sync::Arc;

use crate::policy::condition::arn::segments;
use crate::policy::diagnostic::Problem;
use crate::policy::pattern::Pattern;
use crate::policy::request::{Arn, EmptyContext, Fact, Principal, PrincipalKind};
use crate::policy::template::Syntax;
use crate::policy::ternary::Match;

/// The Principal or NotPrincipal element of a statement.
#[derive(Clone, Debug)]
pub(super) enum PrincipalElement {
    /// `"*"`, or a statement of an identity policy, which has neither element.
    Everyone,
    /// Principal. Statements with equal lists share one.
    AnyOf(Arc<[ListedPrincipal]>),
    /// NotPrincipal.
    NoneOf(Box<[ListedPrincipal]>),
}

/// One principal of a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum ListedPrincipal {
    Everyone,
    /// `111122223333`, or the root ARN, which means the same.
    Account(Box<str>),
    User(Box<str>),
    Role(Box<str>),
    /// `…:assumed-role/R/S` or `…:federated-user/N`.
    Session(Box<str>),
    Service(Box<str>),
    /// Identity providers, S3 canonical users, unique ids of deleted principals: no caller.
    Nobody,
}

impl PrincipalElement {
    pub(super) fn matches(&self, principal: &Principal<'_>) -> Match {
        match self {
            PrincipalElement::Everyone => Match::Yes,
            PrincipalElement::AnyOf(list) => match_any(list, principal, |_| true),
            PrincipalElement::NoneOf(list) => match_exemption(list, principal).negate(),
        }
    }
}

fn match_any(
    list: &[ListedPrincipal],
    principal: &Principal<'_>,
    counts: impl Fn(&ListedPrincipal) -> bool,
) -> Match {
    let mut result = Match::No;
    for listed in list {
        if counts(listed) {
            result = result.or(listed.matches(principal));
        }
        if result == Match::Yes {
            break;
        }
    }
    result
}

/// CONTESTED: the callers that a NotPrincipal list exempts when it names only part of account, role
/// and session. AWS asks to list all three; without one of them the caller is not exempt here.
fn match_exemption(list: &[ListedPrincipal], principal: &Principal<'_>) -> Match {
    use ListedPrincipal::{Account, Everyone, Role, Service, Session, User};
    if list.contains(&Everyone) {
        return Match::Yes;
    }
    if !matches!(
        principal.kind,
        PrincipalKind::Aws | PrincipalKind::RoleSession
    ) {
        return match_any(list, principal, |listed| matches!(listed, Service(_)));
    }
    let account = match_any(list, principal, |listed| matches!(listed, Account(_)));
    let identity = match principal.arn {
        // The account stands for its root user.
        Fact::Known(arn) if arn.ends_with(":root") => Match::Yes,
        Fact::Known(arn) if principal.session_arn == Fact::Known(arn) => Match::Yes,
        _ => match_any(list, principal, |listed| {
            matches!(listed, User(_) | Role(_))
        }),
    };
    let session = match principal.session_arn {
        Fact::Absent => Match::Yes,
        _ => match_any(list, principal, |listed| matches!(listed, Session(_))),
    };
    account.and(identity).and(session)
}

impl ListedPrincipal {
    /// Parses a principal under the key `AWS`.
    pub(super) fn parse_aws(text: &str) -> Result<ListedPrincipal, Problem> {
        if text == "*" {
            return Ok(ListedPrincipal::Everyone);
        }
        if text.contains(['*', '?']) {
            return Err(Problem::new(
                "principal-wildcard",
                format!("`{text}`: a wildcard cannot match part of a principal"),
            )
            .fix("name it whole, or use `\"*\"` with a condition on `aws:PrincipalArn`"));
        }
        if is_account_id(text) {
            return Ok(ListedPrincipal::Account(text.into()));
        }
        let in_unique_id = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        if (16..=128).contains(&text.len()) && text.bytes().all(in_unique_id) {
            return Ok(ListedPrincipal::Nobody);
        }
        let refuse = || {
            Problem::new("principal-form", format!("`{text}` is not a principal"))
                .fix("write an account id, or the ARN of a user, a role or a session")
        };
        let arn = Arn::parse(text).ok_or_else(refuse)?;
        let account = arn
            .account
            .filter(|id| is_account_id(id))
            .ok_or_else(refuse)?;
        if !arn.partition.starts_with("aws") || !arn.region.is_empty() {
            return Err(refuse());
        }
        let (kind, name) = arn.resource.split_once('/').unwrap_or((arn.resource, ""));
        let has_name = !name.is_empty() && !name.starts_with('/') && !name.ends_with('/');
        match (arn.service, kind) {
            ("iam", "root") if arn.resource == "root" => {
                Ok(ListedPrincipal::Account(account.into()))
            }
            ("iam", "user") if has_name => Ok(ListedPrincipal::User(text.into())),
            ("iam", "role") if has_name => Ok(ListedPrincipal::Role(text.into())),
            ("iam", "saml-provider" | "oidc-provider") if has_name => Ok(ListedPrincipal::Nobody),
            ("sts", "assumed-role") if name.split('/').count() == 2 && has_name => {
                Ok(ListedPrincipal::Session(text.into()))
            }
            ("sts", "federated-user") if has_name => Ok(ListedPrincipal::Session(text.into())),
            ("iam", "group") => Err(Problem::new(
                "principal-group",
                format!("`{text}`: a group is not a principal"),
            )
            .fix("name its users, or attach an identity policy to the group")),
            _ => Err(refuse()),
        }
    }

    fn matches(&self, principal: &Principal<'_>) -> Match {
        match (self, principal.kind) {
            (ListedPrincipal::Everyone, _) => Match::Yes,
            (ListedPrincipal::Nobody, _) | (_, PrincipalKind::Anonymous) => Match::No,
            (ListedPrincipal::Service(name), PrincipalKind::AwsService(service)) => {
                Match::from(name.eq_ignore_ascii_case(service))
            }
            (ListedPrincipal::Service(_), PrincipalKind::Unknown) => Match::Maybe,
            (ListedPrincipal::Service(_), PrincipalKind::Aws | PrincipalKind::RoleSession) => {
                Match::No
            }
            (_, PrincipalKind::AwsService(_)) => Match::No,
            (ListedPrincipal::Account(id), kind) => {
                limit_certainty(kind, match_account(id, principal.account))
            }
            (ListedPrincipal::User(arn), kind) => {
                limit_certainty(kind, match_arn(arn, principal.arn, principal))
            }
            (ListedPrincipal::Role(arn), kind) => {
                let by_arn = match_arn(arn, principal.arn, principal);
                // A session's ARN contains the name of its role, but not the role's path.
                let result = match principal.session_arn {
                    Fact::Known(session) if role_name(session) != role_name(arn) => Match::No,
                    Fact::Known(_) if kind == PrincipalKind::RoleSession => {
                        by_arn.or(match_owner(arn, principal.arn).at_most_maybe())
                    }
                    _ => by_arn,
                };
                limit_certainty(kind, result)
            }
            (ListedPrincipal::Session(arn), kind) => {
                let by_arn = match_arn(arn, principal.session_arn, principal);
                let result = match principal.arn {
                    Fact::Known(role)
                        if by_arn == Match::Maybe && role_name(role) != role_name(arn) =>
                    {
                        Match::No
                    }
                    _ => by_arn,
                };
                limit_certainty(kind, result)
            }
        }
    }
}

/// Downgrades a certain match for a caller of unknown kind.
fn limit_certainty(kind: PrincipalKind<'_>, result: Match) -> Match {
    if kind == PrincipalKind::Unknown {
        result.at_most_maybe()
    } else {
        result
    }
}

fn match_account(id: &str, account: Fact<&str>) -> Match {
    match account {
        Fact::Known(account) => Match::from(account == id),
        Fact::Absent => Match::No,
        Fact::Unknown => Match::Maybe,
    }
}

fn match_arn(arn: &str, fact: Fact<&str>, principal: &Principal<'_>) -> Match {
    match fact {
        Fact::Known(known) => Match::from(known == arn),
        Fact::Absent => Match::No,
        Fact::Unknown => match (principal.account, Arn::parse(arn)) {
            (Fact::Known(account), Some(arn)) if arn.account != Some(account) => Match::No,
            (Fact::Absent, _) => Match::No,
            _ => Match::Maybe,
        },
    }
}

/// Whether two ARNs have the same partition and account.
fn match_owner(arn: &str, other: Fact<&str>) -> Match {
    let Fact::Known(other) = other else {
        return Match::Maybe;
    };
    let owner = |arn| Arn::parse(arn).map(|arn| (arn.partition, arn.account));
    Match::from(owner(arn) == owner(other))
}

/// `R` of `…:role/path/R` and of `…:assumed-role/R/S`; else the whole text.
fn role_name(arn: &str) -> &str {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or(arn);
    if let Some(path) = resource.strip_prefix("role/") {
        return path.rsplit('/').next().unwrap_or(path);
    }
    match resource.strip_prefix("assumed-role/") {
        Some(session) => session.split('/').next().unwrap_or(session),
        None => resource,
    }
}

/// Whether a text is twelve digits.
pub(super) fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The principals that an identity policy is attached to: `*`, an account id, or an ARN in which `*`
/// and `?` are wildcards within a segment.
#[derive(Clone, Debug)]
pub struct PrincipalPattern(PatternForm);

#[derive(Clone, Debug)]
enum PatternForm {
    Everyone,
    Account(Box<str>),
    Arn {
        segments: Box<[Pattern; 6]>,
        is_session: bool,
    },
}

impl PrincipalPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// A sentence that says what to write, where it is none of the three forms.
    pub fn parse(text: &str) -> Result<PrincipalPattern, String> {
        if text == "*" {
            return Ok(PrincipalPattern(PatternForm::Everyone));
        }
        if is_account_id(text) {
            return Ok(PrincipalPattern(PatternForm::Account(text.into())));
        }
        let refuse = || format!("`{text}` is not a principal: write `*`, an account id or an ARN");
        let parts = segments(text, false).ok_or_else(refuse)?;
        let [arn, _, service, region, _, _] = parts;
        if arn != "arn" || !matches!(service, "iam" | "sts") || !region.is_empty() {
            return Err(refuse());
        }
        let mut patterns = Vec::with_capacity(6);
        for part in parts {
            patterns.push(Pattern::parse(part, Syntax::WILDCARDS).map_err(|_| refuse())?);
        }
        let segments: [Pattern; 6] = patterns.try_into().map_err(|_| refuse())?;
        Ok(PrincipalPattern(PatternForm::Arn {
            segments: Box::new(segments),
            is_session: service == "sts",
        }))
    }

    /// Whether `principal` is among the principals of the pattern.
    #[must_use]
    pub fn matches(&self, principal: &Principal<'_>) -> Match {
        if let PrincipalKind::Anonymous | PrincipalKind::AwsService(_) = principal.kind {
            return Match::No;
        }
        let result = match &self.0 {
            PatternForm::Everyone => return Match::Yes,
            PatternForm::Account(id) => match_account(id, principal.account),
            PatternForm::Arn {
                segments,
                is_session,
            } => {
                let arn = if *is_session {
                    principal.session_arn
                } else {
                    principal.arn
                };
                match (arn, principal.account) {
                    (Fact::Known(arn), _) => match_segments(segments, arn),
                    (Fact::Absent, _) | (Fact::Unknown, Fact::Absent) => Match::No,
                    (Fact::Unknown, Fact::Unknown) => Match::Maybe,
                    (Fact::Unknown, Fact::Known(account)) => {
                        let [_, _, _, _, pattern, _] = &**segments;
                        pattern.matches(account, &EmptyContext).at_most_maybe()
                    }
                }
            }
        };
        limit_certainty(principal.kind, result)
    }
}

fn match_segments(patterns: &[Pattern; 6], arn: &str) -> Match {
    let mut segments = arn.splitn(6, ':');
    let mut result = Match::Yes;
    for pattern in patterns {
        let Some(segment) = segments.next() else {
            return Match::No;
        };
        result = result.and(pattern.matches(segment, &EmptyContext));
    }
    result
}
