//! The Principal and NotPrincipal elements, and what an identity policy is attached to.
//!
//! IAM User Guide: reference_policies_elements_principal, reference_policies_elements_notprincipal.

use std::sync::Arc;

use crate::policy::condition::arn::segments;
use crate::policy::diagnostic::Problem;
use crate::policy::pattern::Pattern;
use crate::policy::request::{Arn, EmptyContext, Fact, Principal, PrincipalKind};
use crate::policy::template::Syntax;
use crate::policy::ternary::Match;

/// Whom a statement is about.
#[derive(Clone, Debug)]
pub(super) enum PrincipalElement {
    /// Everyone: `"*"`, or an identity policy, which is about whom it is attached to.
    Everyone,
    /// Shared with other statements that list the same.
    Listed(Arc<[Form]>),
    /// NotPrincipal.
    Except(Box<[Form]>),
}

/// One principal of a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    Everyone,
    /// `111122223333`, or the root ARN, which means the same.
    Account(Box<str>),
    User(Box<str>),
    Role(Box<str>),
    /// `…:assumed-role/R/S` or `…:federated-user/N`.
    Session(Box<str>),
    Service(Box<str>),
    /// Identity providers, S3 canonical users, unique ids of deleted principals: never a caller.
    Nobody,
}

impl PrincipalElement {
    pub(super) fn matches(&self, principal: &Principal<'_>) -> Match {
        match self {
            PrincipalElement::Everyone => Match::Yes,
            PrincipalElement::Listed(forms) => any(forms, principal, |_| true),
            PrincipalElement::Except(forms) => exempt(forms, principal).negate(),
        }
    }
}

fn any(forms: &[Form], principal: &Principal<'_>, counts: impl Fn(&Form) -> bool) -> Match {
    let mut found = Match::No;
    for form in forms {
        if counts(form) {
            found = found.or(form.matches(principal));
        }
        if found == Match::Yes {
            break;
        }
    }
    found
}

/// CONTESTED: whom a NotPrincipal list exempts when it names only part of account, role and
/// session. AWS asks to list them all; a caller of whom one is missing is not exempt here.
fn exempt(forms: &[Form], principal: &Principal<'_>) -> Match {
    if forms.contains(&Form::Everyone) {
        return Match::Yes;
    }
    if !matches!(
        principal.kind,
        PrincipalKind::Aws | PrincipalKind::RoleSession
    ) {
        return any(forms, principal, |form| matches!(form, Form::Service(_)));
    }
    let account = any(forms, principal, |form| matches!(form, Form::Account(_)));
    let identity = match principal.arn {
        // The account form is the root user's own.
        Fact::Known(arn) if arn.ends_with(":root") => Match::Yes,
        Fact::Known(arn) if principal.session == Fact::Known(arn) => Match::Yes,
        _ => any(forms, principal, |form| {
            matches!(form, Form::User(_) | Form::Role(_))
        }),
    };
    let session = match principal.session {
        Fact::Absent => Match::Yes,
        _ => any(forms, principal, |form| matches!(form, Form::Session(_))),
    };
    account.and(identity).and(session)
}

impl Form {
    /// Reads a principal under the key `AWS`.
    pub(super) fn aws(text: &str) -> Result<Form, Problem> {
        if text == "*" {
            return Ok(Form::Everyone);
        }
        if text.contains(['*', '?']) {
            return Err(Problem::new(
                "principal-wildcard",
                format!("`{text}`: a wildcard cannot match part of a principal"),
            )
            .fix("name it whole, or use `\"*\"` with a condition on `aws:PrincipalArn`"));
        }
        if is_account(text) {
            return Ok(Form::Account(text.into()));
        }
        let unique = text.len() >= 16 && text.len() <= 128;
        if unique
            && text
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        {
            return Ok(Form::Nobody);
        }
        let refuse = || {
            Problem::new("principal-form", format!("`{text}` is not a principal"))
                .fix("write an account id, or the ARN of a user, a role or a session")
        };
        let arn = Arn::parse(text).ok_or_else(refuse)?;
        let account = arn
            .account
            .filter(|account| is_account(account))
            .ok_or_else(refuse)?;
        if !arn.partition.starts_with("aws") || !arn.region.is_empty() {
            return Err(refuse());
        }
        let (word, name) = arn.resource.split_once('/').unwrap_or((arn.resource, ""));
        let named = !name.is_empty() && !name.starts_with('/') && !name.ends_with('/');
        match (arn.service, word) {
            ("iam", "root") if arn.resource == "root" => Ok(Form::Account(account.into())),
            ("iam", "user") if named => Ok(Form::User(text.into())),
            ("iam", "role") if named => Ok(Form::Role(text.into())),
            ("iam", "saml-provider" | "oidc-provider") if named => Ok(Form::Nobody),
            ("sts", "assumed-role") if name.split('/').count() == 2 && named => {
                Ok(Form::Session(text.into()))
            }
            ("sts", "federated-user") if named => Ok(Form::Session(text.into())),
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
            (Form::Everyone, _) => Match::Yes,
            (Form::Nobody, _) | (_, PrincipalKind::Anonymous) => Match::No,
            (Form::Service(name), PrincipalKind::AwsService(service)) => {
                Match::from(name.eq_ignore_ascii_case(service))
            }
            (Form::Service(_), PrincipalKind::Unknown) => Match::Maybe,
            (Form::Service(_), PrincipalKind::Aws | PrincipalKind::RoleSession) => Match::No,
            (_, PrincipalKind::AwsService(_)) => Match::No,
            (Form::Account(id), kind) => at_most(
                kind,
                match principal.account {
                    Fact::Known(account) => Match::from(account == &**id),
                    Fact::Absent => Match::No,
                    Fact::Unknown => Match::Maybe,
                },
            ),
            (Form::User(arn), kind) => at_most(kind, named(arn, principal.arn, principal)),
            (Form::Role(arn), kind) => {
                let found = named(arn, principal.arn, principal);
                // A session says which role it is of, but not the role's path.
                let found = match principal.session {
                    Fact::Known(session) if role_name(session) != role_name(arn) => Match::No,
                    Fact::Known(_) if kind == PrincipalKind::RoleSession => {
                        found.or(same_owner(arn, principal.arn).at_most_maybe())
                    }
                    _ => found,
                };
                at_most(kind, found)
            }
            (Form::Session(arn), kind) => {
                let found = named(arn, principal.session, principal);
                let found = match principal.arn {
                    Fact::Known(role)
                        if found == Match::Maybe && role_name(role) != role_name(arn) =>
                    {
                        Match::No
                    }
                    _ => found,
                };
                at_most(kind, found)
            }
        }
    }
}

/// What an unknown sort of caller allows to be said.
fn at_most(kind: PrincipalKind<'_>, found: Match) -> Match {
    if kind == PrincipalKind::Unknown {
        found.at_most_maybe()
    } else {
        found
    }
}

fn named(arn: &str, fact: Fact<&str>, principal: &Principal<'_>) -> Match {
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

/// Are two ARNs of one partition and account?
fn same_owner(arn: &str, other: Fact<&str>) -> Match {
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

/// Twelve digits.
pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whom an identity policy is attached to: `*`, an account id, or an ARN in which `*` and `?` are
/// wildcards within a segment.
#[derive(Clone, Debug)]
pub struct PrincipalPattern(Attached);

#[derive(Clone, Debug)]
enum Attached {
    Everyone,
    Account(Box<str>),
    Arn {
        segments: Box<[Pattern; 6]>,
        session: bool,
    },
}

impl PrincipalPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A sentence that says what to write, where it is none of the three forms.
    pub fn parse(text: &str) -> Result<PrincipalPattern, String> {
        if text == "*" {
            return Ok(PrincipalPattern(Attached::Everyone));
        }
        if is_account(text) {
            return Ok(PrincipalPattern(Attached::Account(text.into())));
        }
        let refuse = || format!("`{text}` is not a principal: write `*`, an account id or an ARN");
        let parts = segments(text, false).ok_or_else(refuse)?;
        let [arn, _, service, region, _, _] = parts;
        if arn != "arn" || !matches!(service, "iam" | "sts") || !region.is_empty() {
            return Err(refuse());
        }
        let syntax = Syntax {
            variables: false,
            wildcards: true,
        };
        let mut patterns = Vec::with_capacity(6);
        for part in parts {
            patterns.push(Pattern::parse(part, syntax).map_err(|_| refuse())?);
        }
        let segments: [Pattern; 6] = patterns.try_into().map_err(|_| refuse())?;
        let session = service == "sts";
        Ok(PrincipalPattern(Attached::Arn {
            segments: Box::new(segments),
            session,
        }))
    }

    /// Is a policy with this attachment attached to that caller?
    #[must_use]
    pub fn matches(&self, principal: &Principal<'_>) -> Match {
        if let PrincipalKind::Anonymous | PrincipalKind::AwsService(_) = principal.kind {
            return Match::No;
        }
        let found = match &self.0 {
            Attached::Everyone => return Match::Yes,
            Attached::Account(id) => match principal.account {
                Fact::Known(account) => Match::from(account == &**id),
                Fact::Absent => Match::No,
                Fact::Unknown => Match::Maybe,
            },
            Attached::Arn { segments, session } => {
                let fact = if *session {
                    principal.session
                } else {
                    principal.arn
                };
                match (fact, principal.account) {
                    (Fact::Known(arn), _) => whole(segments, arn),
                    (Fact::Absent, _) | (Fact::Unknown, Fact::Absent) => Match::No,
                    (Fact::Unknown, Fact::Unknown) => Match::Maybe,
                    (Fact::Unknown, Fact::Known(account)) => {
                        let [_, _, _, _, pattern, _] = &**segments;
                        pattern.matches(account, &EmptyContext).at_most_maybe()
                    }
                }
            }
        };
        at_most(principal.kind, found)
    }
}

fn whole(segments: &[Pattern; 6], arn: &str) -> Match {
    let mut parts = arn.splitn(6, ':');
    let mut found = Match::Yes;
    for pattern in segments {
        let Some(part) = parts.next() else {
            return Match::No;
        };
        found = found.and(pattern.matches(part, &EmptyContext));
    }
    found
}
