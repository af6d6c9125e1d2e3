//! The Principal and NotPrincipal elements.
//!
//! IAM User Guide: reference_policies_elements_principal, …_notprincipal.

use crate::policy::Effect;
use crate::policy::diagnostic::Problem;
use crate::policy::document::json::{Member, NodeKind};
use crate::policy::document::options::DocumentScope;
use crate::policy::document::reporter::Reporter;
use crate::policy::principal::{ListedPrincipal, PrincipalElement};

const PRINCIPAL_TYPES: &[&str] = &["AWS", "Service", "Federated", "CanonicalUser"];

const SERVICE_SUFFIXES: &[&str] = &[
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".amazon.com",
    ".aws.internal",
];

/// Compiles a Principal element, or a NotPrincipal element if `negated`.
pub(in crate::policy) fn compile_principal(
    (negated, member): (bool, &Member<'_>),
    effect: Option<Effect>,
    scope: &DocumentScope<'_>,
    reporter: &mut Reporter<'_>,
) -> Option<PrincipalElement> {
    if negated && effect == Some(Effect::Allow) {
        let message = "`NotPrincipal` with `Allow` would allow everyone else";
        reporter.error(
            member.start,
            Problem::new("not-principal-allow", message)
                .fix("use `Principal`, or `NotPrincipal` with `Deny`"),
        );
    }
    let mut principals = Vec::new();
    reporter.enter(&member.name, |reporter| match &member.value.kind {
        NodeKind::String(text) if text == "*" => principals.push(ListedPrincipal::Everyone),
        NodeKind::String(_) => reporter.error(
            member.value.start,
            Problem::new("principal-form", "a principal is `\"*\"` or an object")
                .fix("write `{\"AWS\": …}`"),
        ),
        NodeKind::Map(types) => {
            for member in types {
                reporter.enter(&member.name, |reporter| {
                    reporter.each_string(
                        &member.value,
                        |reporter, at, text| match parse_principal(&member.name, text, scope) {
                            Ok(principal) => principals.push(principal),
                            Err(problem) => reporter.error(at, problem),
                        },
                    );
                    if !PRINCIPAL_TYPES.contains(&&*member.name) {
                        let message = format!("there is no kind `{}` of principal", member.name);
                        reporter.error(
                            member.start,
                            Problem::new("principal-kind", message)
                                .fix("write `AWS`, `Service`, `Federated` or `CanonicalUser`"),
                        );
                    }
                });
            }
        }
        _ => reporter.wrong_type(&member.value, "`\"*\"` or an object"),
    });
    Some(
        match (negated, principals.contains(&ListedPrincipal::Everyone)) {
            (false, true) => PrincipalElement::Everyone,
            (false, false) => PrincipalElement::AnyOf(principals.into()),
            (true, _) => PrincipalElement::NoneOf(principals.into()),
        },
    )
}

fn parse_principal(
    kind: &str,
    text: &str,
    scope: &DocumentScope<'_>,
) -> Result<ListedPrincipal, Problem> {
    if kind == "AWS" {
        return ListedPrincipal::parse_aws(text);
    }
    if !PRINCIPAL_TYPES.contains(&kind) {
        return Ok(ListedPrincipal::Nobody);
    }
    if text.contains(['*', '?']) {
        let message = format!("`{text}`: no wildcards are allowed under `{kind}`");
        return Err(Problem::new("principal-wildcard", message));
    }
    if text.is_empty() {
        return Err(Problem::new("principal-form", "the principal is empty"));
    }
    if kind != "Service" {
        return Ok(ListedPrincipal::Nobody);
    }
    let is_service = SERVICE_SUFFIXES.iter().any(|suffix| text.ends_with(suffix));
    if scope.options.is_strict() && !is_service {
        let message = format!("`{text}` is not a service principal");
        return Err(Problem::new("principal-service", message).fix("write `SERVICE.amazonaws.com`"));
    }
    Ok(ListedPrincipal::Service(text.into()))
}
