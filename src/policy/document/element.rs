//! The elements of one statement.

use std::collections::HashMap;

use crate::policy::Effect;
use crate::policy::action::{ActionElement, ActionPattern};
use crate::policy::condition::element::conditions;
use crate::policy::diagnostic::Problem;
use crate::policy::document::aws_validation;
use crate::policy::document::compile::{Attachment, Options, Reporter, Strictness};
use crate::policy::document::json::{Member, Node, NodeKind};
use crate::policy::document::sid;
use crate::policy::principal::{Form, PrincipalElement};
use crate::policy::resource::{ResourceElement, ResourcePattern};
use crate::policy::statement::{MAX_NUMBERED, Statement};

/// What every statement of one document shares.
pub(in crate::policy) struct Scope<'o> {
    pub(in crate::policy) attachment: Attachment,
    pub(in crate::policy) strictness: Strictness,
    /// The document's version has variables.
    pub(in crate::policy) variables: bool,
    actions: &'o [&'o str],
    /// The bits of patterns already matched: large policies repeat them.
    bits: std::cell::RefCell<HashMap<ActionPattern, u128>>,
}

impl<'o> Scope<'o> {
    pub(in crate::policy) fn new(options: &Options<'o>, variables: bool) -> Scope<'o> {
        Scope {
            attachment: options.attachment,
            strictness: options.strictness,
            variables,
            actions: options.actions,
            bits: std::cell::RefCell::default(),
        }
    }

    fn bits(&self, pattern: &ActionPattern) -> u128 {
        if let Some(bits) = self.bits.borrow().get(pattern) {
            return *bits;
        }
        let mut bits = 0;
        for (name, number) in self.actions.iter().zip(0..MAX_NUMBERED) {
            if pattern.matches("kinesis", name) {
                bits |= 1 << number;
            }
        }
        self.bits.borrow_mut().insert(pattern.clone(), bits);
        bits
    }
}

const ELEMENTS: &[&str] = &[
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];

const PRINCIPAL_KINDS: &[&str] = &["AWS", "Service", "Federated", "CanonicalUser"];

/// The problem of an element that the language does not have.
pub(in crate::policy) fn unknown(name: &str, known: &[&str]) -> Problem {
    let problem = Problem::new(
        "unknown-element",
        format!("there is no element `{name}` here"),
    );
    match known.iter().find(|known| known.eq_ignore_ascii_case(name)) {
        Some(meant) => problem.fix(format!("write `{meant}`")),
        None => problem.fix("remove it"),
    }
}

pub(in crate::policy) fn statement(
    node: &Node<'_>,
    scope: &Scope<'_>,
    reporter: &mut Reporter<'_>,
) -> Option<Statement> {
    let NodeKind::Map(members) = &node.kind else {
        reporter.wrong_type(node, "a statement");
        return None;
    };
    for member in members {
        if !ELEMENTS.contains(&&*member.name) {
            reporter.enter(&member.name, |reporter| {
                reporter.error(member.start, unknown(&member.name, ELEMENTS));
            });
        }
    }
    let find = |name: &str| members.iter().find(|member| member.name == name);
    let sid = find("Sid").and_then(|member| sid::read(member, scope, reporter));
    let effect = effect(node, find("Effect"), reporter);
    let principal = principal(
        node,
        find("Principal"),
        find("NotPrincipal"),
        effect,
        scope,
        reporter,
    );
    let (actions, action_bits) = actions(node, find("Action"), find("NotAction"), scope, reporter);
    let resources = resources(node, find("Resource"), find("NotResource"), scope, reporter);
    let conditions = find("Condition").map(|member| conditions(member, scope, reporter));
    Some(Statement {
        sid,
        line: reporter.line(node.start),
        effect: effect?,
        principal: principal?,
        actions,
        action_bits,
        resources,
        conditions: conditions.unwrap_or_default().into(),
    })
}

fn effect(
    node: &Node<'_>,
    member: Option<&Member<'_>>,
    reporter: &mut Reporter<'_>,
) -> Option<Effect> {
    let Some(member) = member else {
        reporter.error(
            node.start,
            Problem::new("missing-effect", "the statement has no `Effect`")
                .fix("write `Allow` or `Deny`"),
        );
        return None;
    };
    let mut found = None;
    reporter.enter("Effect", |reporter| match member.value.text() {
        Some("Allow") => found = Some(Effect::Allow),
        Some("Deny") => found = Some(Effect::Deny),
        Some(other) => reporter.error(
            member.value.start,
            Problem::new("effect", format!("there is no effect `{other}`"))
                .fix("write `Allow` or `Deny`, in just this case"),
        ),
        None => reporter.wrong_type(&member.value, "a string"),
    });
    found
}

/// The one of a pair that is there: negated, and the member.
fn one_of<'m, 't>(
    node: &Node<'_>,
    names: [&str; 2],
    plain: Option<&'m Member<'t>>,
    negated: Option<&'m Member<'t>>,
    reporter: &mut Reporter<'_>,
) -> Option<(bool, &'m Member<'t>)> {
    let [name, not_name] = names;
    match (plain, negated) {
        (Some(member), None) => Some((false, member)),
        (None, Some(member)) => Some((true, member)),
        (Some(_), Some(second)) => {
            reporter.error(
                second.start,
                Problem::new(
                    "both-of-a-pair",
                    format!("the statement has both `{name}` and `{not_name}`"),
                )
                .fix("keep one of them"),
            );
            None
        }
        (None, None) => {
            let code = match name {
                "Action" => "missing-action",
                "Resource" => "missing-resource",
                _ => "missing-principal",
            };
            let problem = Problem::new(
                code,
                format!("the statement has neither `{name}` nor `{not_name}`"),
            );
            let problem = problem.fix(match name {
                "Action" => "add `\"Action\": \"kinesis:*\"`, or the actions that are meant",
                "Resource" => "add `\"Resource\": \"*\"`, or the ARNs that are meant",
                _ => "add `\"Principal\": \"*\"`; only an identity policy has none",
            });
            reporter.error(node.start, problem);
            None
        }
    }
}

fn principal(
    node: &Node<'_>,
    plain: Option<&Member<'_>>,
    negated: Option<&Member<'_>>,
    effect: Option<Effect>,
    scope: &Scope<'_>,
    reporter: &mut Reporter<'_>,
) -> Option<PrincipalElement> {
    if scope.attachment == Attachment::Identity {
        for member in [plain, negated].into_iter().flatten() {
            reporter.error(
                member.start,
                Problem::new(
                    "unexpected-principal",
                    "an identity policy names no principal",
                )
                .fix("remove it; the policy is about whom it is attached to"),
            );
        }
        return Some(PrincipalElement::Everyone);
    }
    let (not, member) = one_of(
        node,
        ["Principal", "NotPrincipal"],
        plain,
        negated,
        reporter,
    )?;
    if not && effect == Some(Effect::Allow) {
        reporter.error(
            member.start,
            Problem::new(
                "not-principal-allow",
                "`NotPrincipal` with `Allow` would allow everyone else",
            )
            .fix("use `Principal`, or `NotPrincipal` with `Deny`"),
        );
    }
    let mut forms = Vec::new();
    reporter.enter(&member.name, |reporter| match &member.value.kind {
        NodeKind::String(text) if text == "*" => forms.push(Form::Everyone),
        NodeKind::String(_) => reporter.error(
            member.value.start,
            Problem::new("principal-form", "a principal is `\"*\"` or an object")
                .fix("write `{\"AWS\": …}`"),
        ),
        NodeKind::Map(kinds) => {
            for kind in kinds {
                reporter.enter(&kind.name, |reporter| {
                    strings(
                        &kind.value,
                        reporter,
                        |at, text, reporter| match principal_form(&kind.name, text, scope) {
                            Ok(form) => forms.push(form),
                            Err(problem) => reporter.error(at, problem),
                        },
                    );
                    if !PRINCIPAL_KINDS.contains(&&*kind.name) {
                        reporter.error(
                            kind.start,
                            Problem::new(
                                "principal-kind",
                                format!("there is no kind `{}` of principal", kind.name),
                            )
                            .fix("write `AWS`, `Service`, `Federated` or `CanonicalUser`"),
                        );
                    }
                });
            }
        }
        _ => reporter.wrong_type(&member.value, "`\"*\"` or an object"),
    });
    Some(match (not, forms.contains(&Form::Everyone)) {
        (false, true) => PrincipalElement::Everyone,
        (false, false) => PrincipalElement::Listed(forms.into()),
        (true, _) => PrincipalElement::Except(forms.into()),
    })
}

fn principal_form(kind: &str, text: &str, scope: &Scope<'_>) -> Result<Form, Problem> {
    if kind == "AWS" {
        return Form::aws(text);
    }
    if !PRINCIPAL_KINDS.contains(&kind) {
        return Ok(Form::Nobody);
    }
    if text.contains(['*', '?']) {
        return Err(Problem::new(
            "principal-wildcard",
            format!("`{text}`: no wildcards are allowed under `{kind}`"),
        ));
    }
    if text.is_empty() {
        return Err(Problem::new("principal-form", "the principal is empty"));
    }
    if kind != "Service" {
        return Ok(Form::Nobody);
    }
    let domain = [
        ".amazonaws.com",
        ".amazonaws.com.cn",
        ".amazon.com",
        ".aws.internal",
    ];
    if scope.strictness == Strictness::Aws && !domain.iter().any(|end| text.ends_with(end)) {
        return Err(Problem::new(
            "principal-service",
            format!("`{text}` is not a service principal"),
        )
        .fix("write `SERVICE.amazonaws.com`"));
    }
    Ok(Form::Service(text.into()))
}

fn actions(
    node: &Node<'_>,
    plain: Option<&Member<'_>>,
    negated: Option<&Member<'_>>,
    scope: &Scope<'_>,
    reporter: &mut Reporter<'_>,
) -> (ActionElement, u128) {
    let mut patterns = Vec::new();
    let mut bits = 0;
    let found = one_of(node, ["Action", "NotAction"], plain, negated, reporter);
    let not = found.is_some_and(|(not, _)| not);
    if let Some((_, member)) = found {
        reporter.enter(&member.name, |reporter| {
            strings(
                &member.value,
                reporter,
                |at, text, reporter| match ActionPattern::parse(text) {
                    Ok(pattern) => {
                        bits |= scope.bits(&pattern);
                        patterns.push(pattern);
                    }
                    Err(problem) => reporter.error(at, problem),
                },
            );
        });
    }
    let bits = if not { !bits } else { bits };
    (
        ActionElement {
            negated: not,
            patterns: patterns.into(),
        },
        bits,
    )
}

fn resources(
    node: &Node<'_>,
    plain: Option<&Member<'_>>,
    negated: Option<&Member<'_>>,
    scope: &Scope<'_>,
    reporter: &mut Reporter<'_>,
) -> ResourceElement {
    let mut patterns = Vec::new();
    let found = one_of(node, ["Resource", "NotResource"], plain, negated, reporter);
    if let Some((_, member)) = found {
        reporter.enter(&member.name, |reporter| {
            strings(
                &member.value,
                reporter,
                |at, text, reporter| match resource(text, scope) {
                    Ok(pattern) => patterns.push(pattern),
                    Err(problem) => reporter.error(at, problem),
                },
            );
        });
    }
    ResourceElement {
        negated: found.is_some_and(|(not, _)| not),
        patterns: patterns.into(),
    }
}

fn resource(text: &str, scope: &Scope<'_>) -> Result<ResourcePattern, Problem> {
    let pattern = ResourcePattern::compile(text, scope.variables)?;
    if scope.strictness == Strictness::Aws {
        aws_validation::check_resource(text, scope.variables)?;
    }
    Ok(pattern)
}

/// A string or a list of strings.
fn strings(
    node: &Node<'_>,
    reporter: &mut Reporter<'_>,
    mut each: impl FnMut(usize, &str, &mut Reporter<'_>),
) {
    match &node.kind {
        NodeKind::String(text) => each(node.start, text, reporter),
        NodeKind::List(nodes) => {
            for (index, node) in nodes.iter().enumerate() {
                reporter.enter_index(index, |reporter| match node.text() {
                    Some(text) => each(node.start, text, reporter),
                    None => reporter.wrong_type(node, "a string"),
                });
            }
        }
        _ => reporter.wrong_type(node, "a string or a list of strings"),
    }
}
