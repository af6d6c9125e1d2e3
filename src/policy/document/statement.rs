//! The elements of one statement: Sid, Effect, Principal, Action, Resource and Condition.

use crate::policy::Effect;
use crate::policy::action::{ActionElement, ActionPattern};
use crate::policy::diagnostic::Problem;
use crate::policy::document::aws_validation::check_resource;
use crate::policy::document::conditions::compile_conditions;
use crate::policy::document::json::{Member, Node, NodeKind};
use crate::policy::document::options::{Attachment, DocumentScope};
use crate::policy::document::principal::compile_principal;
use crate::policy::document::reporter::Reporter;
use crate::policy::document::sid::compile_sid;
use crate::policy::principal::PrincipalElement;
use crate::policy::resource::{ResourceElement, ResourcePattern};
use crate::policy::statement::Statement;

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

/// The problem of an element that is not part of the language.
pub(in crate::policy) fn unknown_element(name: &str, known: &[&str]) -> Problem {
    let message = format!("there is no element `{name}` here");
    let mut known = known.iter();
    let fix = match known.find(|known| known.eq_ignore_ascii_case(name)) {
        Some(meant) => format!("write `{meant}`"),
        None => "remove it".to_owned(),
    };
    Problem::new("unknown-element", message).fix(fix)
}

pub(in crate::policy) fn compile_statement(
    node: &Node<'_>,
    scope: &DocumentScope<'_>,
    reporter: &mut Reporter<'_>,
) -> Option<Statement> {
    let NodeKind::Map(members) = &node.kind else {
        reporter.wrong_type(node, "a statement");
        return None;
    };
    for member in members {
        if !ELEMENTS.contains(&&*member.name) {
            reporter.enter(&member.name, |reporter| {
                reporter.error(member.start, unknown_element(&member.name, ELEMENTS));
            });
        }
    }
    let sid = node
        .find("Sid")
        .and_then(|member| compile_sid(member, scope.options, reporter));
    let effect = compile_effect(node, reporter);
    let principal = match scope.options.attachment {
        Attachment::Identity => refuse_principal(node, reporter),
        Attachment::Endpoint => one_of_pair(node, "Principal", reporter)
            .and_then(|element| compile_principal(element, effect, scope, reporter)),
    };
    let (actions, action_bits) = compile_actions(node, scope, reporter);
    let resources = compile_resources(node, scope, reporter);
    let conditions = node
        .find("Condition")
        .map(|member| compile_conditions(member, scope, reporter));
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

/// Reports a Principal in an identity policy, whose principals are those that it is attached to.
fn refuse_principal(statement: &Node<'_>, reporter: &mut Reporter<'_>) -> Option<PrincipalElement> {
    let members = ["Principal", "NotPrincipal"].map(|name| statement.find(name));
    for member in members.into_iter().flatten() {
        let message = "an identity policy names no principal";
        let problem = Problem::new("unexpected-principal", message);
        let fix = "remove it; the policy is about whom it is attached to";
        reporter.error(member.start, problem.fix(fix));
    }
    Some(PrincipalElement::Everyone)
}

fn compile_effect(statement: &Node<'_>, reporter: &mut Reporter<'_>) -> Option<Effect> {
    let Some(value) = statement.member("Effect") else {
        let problem = Problem::new("missing-effect", "the statement has no `Effect`");
        reporter.error(statement.start, problem.fix("write `Allow` or `Deny`"));
        return None;
    };
    match value.text() {
        Some("Allow") => return Some(Effect::Allow),
        Some("Deny") => return Some(Effect::Deny),
        Some(other) => reporter.enter("Effect", |reporter| {
            let problem = Problem::new("effect", format!("there is no effect `{other}`"));
            let fix = "write `Allow` or `Deny`, in just this case";
            reporter.error(value.start, problem.fix(fix));
        }),
        None => reporter.enter("Effect", |reporter| reporter.wrong_type(value, "a string")),
    }
    None
}

/// Returns the element `name` or its negation, and whether it is negated. If the statement has both
/// or neither, that is an error.
fn one_of_pair<'m, 't>(
    statement: &'m Node<'t>,
    name: &str,
    reporter: &mut Reporter<'_>,
) -> Option<(bool, &'m Member<'t>)> {
    let not_name = format!("Not{name}");
    match (statement.find(name), statement.find(&not_name)) {
        (Some(member), None) => Some((false, member)),
        (None, Some(member)) => Some((true, member)),
        (Some(_), Some(second)) => {
            let message = format!("the statement has both `{name}` and `{not_name}`");
            let problem = Problem::new("both-of-a-pair", message);
            reporter.error(second.start, problem.fix("keep one of them"));
            None
        }
        (None, None) => {
            let (code, fix) = match name {
                "Action" => (
                    "missing-action",
                    "add `\"Action\": \"kinesis:*\"`, or the actions that are meant",
                ),
                "Resource" => (
                    "missing-resource",
                    "add `\"Resource\": \"*\"`, or the ARNs that are meant",
                ),
                _ => (
                    "missing-principal",
                    "add `\"Principal\": \"*\"`; only an identity policy has none",
                ),
            };
            let message = format!("the statement has neither `{name}` nor `{not_name}`");
            reporter.error(statement.start, Problem::new(code, message).fix(fix));
            None
        }
    }
}

fn compile_actions(
    statement: &Node<'_>,
    scope: &DocumentScope<'_>,
    reporter: &mut Reporter<'_>,
) -> (ActionElement, u128) {
    let mut patterns = Vec::new();
    let negated = compile_patterns(statement, "Action", reporter, |text| {
        patterns.push(ActionPattern::parse(text)?);
        Ok(())
    });
    let bits = patterns
        .iter()
        .fold(0, |bits, pattern| bits | scope.action_bits(pattern));
    let element = ActionElement {
        is_negated: negated,
        patterns: patterns.into(),
    };
    (element, if negated { !bits } else { bits })
}

fn compile_resources(
    statement: &Node<'_>,
    scope: &DocumentScope<'_>,
    reporter: &mut Reporter<'_>,
) -> ResourceElement {
    let mut patterns = Vec::new();
    let negated = compile_patterns(statement, "Resource", reporter, |text| {
        let pattern = ResourcePattern::parse(text, scope.variables)?;
        if scope.options.is_strict() {
            check_resource(text, scope.variables)?;
        }
        patterns.push(pattern);
        Ok(())
    });
    ResourceElement {
        is_negated: negated,
        patterns: patterns.into(),
    }
}

/// Compiles each pattern of the element `name` or of its negation. Returns whether it is negated.
fn compile_patterns(
    statement: &Node<'_>,
    name: &str,
    reporter: &mut Reporter<'_>,
    mut compile: impl FnMut(&str) -> Result<(), Problem>,
) -> bool {
    let Some((negated, member)) = one_of_pair(statement, name, reporter) else {
        return false;
    };
    reporter.enter(&member.name, |reporter| {
        reporter.each_string(&member.value, |reporter, at, text| {
            if let Err(problem) = compile(text) {
                reporter.error(at, problem);
            }
        });
    });
    negated
}
