//! Warnings about documents that load but are likely not to do what their author wants.
//!
//! Each has a stable code, a sentence on why, and a fix; `docs/policy-language.md` lists them.

mod condition;
mod resource;

use crate::policy::Effect;
use crate::policy::action::ActionPattern;
use crate::policy::condition::key::Key;
use crate::policy::diagnostic::{Diagnostic, Problem};
use crate::policy::document::compile::{Attachment, Options, Reporter, examine};
use crate::policy::document::json::{self, Node, NodeKind};
use crate::policy::document::sid;
use crate::policy::principal::{Form, PrincipalElement};
use crate::policy::resource::ResourcePattern;
use crate::policy::statement::Statement;

/// What the listener that a policy stands at can know.
#[derive(Clone, Copy)]
pub struct Listener<'a> {
    /// Can it know this condition key, or that it is absent?
    pub knows: &'a dyn Fn(Key<'_>) -> bool,
    /// Can it know the ARN of the user, role or session that asks, and not only the account?
    pub knows_principal_arn: bool,
}

/// All errors of a document or, where it has none, all warnings.
#[must_use]
pub fn lint(text: &str, options: &Options<'_>, listener: Option<&Listener<'_>>) -> Vec<Diagnostic> {
    let root = match json::read(text) {
        Ok(root) => root,
        Err(diagnostics) => return diagnostics,
    };
    let (statements, variables) = match examine(text, &root, options) {
        Ok(examined) => examined,
        Err(diagnostics) => return diagnostics,
    };
    let mut reporter = Reporter::new(text);
    let Some(listed) = root.member("Statement") else {
        return Vec::new();
    };
    let nodes = match &listed.kind {
        NodeKind::List(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(listed),
    };
    let document = Document {
        options,
        variables,
        listener,
        statements: &statements,
    };
    reporter.enter("Statement", |reporter| {
        for (index, (node, statement)) in nodes.iter().zip(&statements).enumerate() {
            if let NodeKind::List(_) = listed.kind {
                reporter.enter_index(index, |reporter| {
                    document.statement(node, statement, reporter)
                });
            } else {
                document.statement(node, statement, reporter);
            }
        }
        repeated_sids(nodes, reporter);
    });
    reporter.diagnostics
}

/// Actions of the authorization reference that no operation has the name of.
const PERMISSIONS_WITHOUT_OPERATION: &[&str] = &["AssociateStreamsWithChannel", "InjectApiError"];

pub(super) struct Document<'d> {
    options: &'d Options<'d>,
    pub(super) variables: bool,
    pub(super) listener: Option<&'d Listener<'d>>,
    pub(super) statements: &'d [Statement],
}

impl Document<'_> {
    pub(super) fn is_endpoint(&self) -> bool {
        self.options.attachment == Attachment::Endpoint
    }

    fn statement(&self, node: &Node<'_>, statement: &Statement, reporter: &mut Reporter<'_>) {
        let at = |name: &str| node.member(name).map_or(node.start, |member| member.start);
        if self.is_endpoint() {
            self.principal(node, statement, reporter);
            self.sid(node, reporter);
        }
        if statement.actions.negated {
            if statement.effect == Effect::Allow {
                reporter.enter("NotAction", |reporter| {
                    reporter.warn(
                        at("NotAction"),
                        Problem::new("not-action-allow", "`NotAction` with `Allow` allows every action that is not listed, those to come too")
                            .fix("list the actions to allow under `Action`"),
                    );
                });
            }
            self.actions(node, "NotAction", statement, reporter);
        } else {
            self.actions(node, "Action", statement, reporter);
        }
        let name = if statement.resources.negated {
            "NotResource"
        } else {
            "Resource"
        };
        self.resources(node, name, statement, reporter);
        if let Some(conditions) = node.member("Condition") {
            reporter.enter("Condition", |reporter| {
                condition::conditions(self, conditions, statement, reporter);
            });
        }
    }

    fn sid(&self, node: &Node<'_>, reporter: &mut Reporter<'_>) {
        let Some(member) = node.member("Sid") else {
            return;
        };
        let (at, text) = (member.start, member.text().unwrap_or(""));
        if !sid::is_plain(text) {
            reporter.enter("Sid", |reporter| {
                reporter.warn(at, sid::form_problem(text));
            });
        }
    }

    fn principal(&self, node: &Node<'_>, statement: &Statement, reporter: &mut Reporter<'_>) {
        let (name, forms) = match &statement.principal {
            PrincipalElement::Everyone => {
                if statement.effect == Effect::Allow && statement.conditions.is_empty() {
                    let at = node
                        .member("Principal")
                        .map_or(node.start, |member| member.start);
                    reporter.enter("Principal", |reporter| {
                        reporter.warn(
                            at,
                            Problem::new("allow-anyone", "everyone is allowed, on no condition")
                                .fix("name accounts or roles, or add a condition such as `aws:PrincipalOrgID`"),
                        );
                    });
                }
                return;
            }
            PrincipalElement::Listed(forms) => ("Principal", &**forms),
            PrincipalElement::Except(forms) => ("NotPrincipal", &**forms),
        };
        let at = node.member(name).map_or(node.start, |member| member.start);
        reporter.enter(name, |reporter| {
            if name == "NotPrincipal" {
                reporter.warn(
                    at,
                    Problem::new("not-principal", "`NotPrincipal` exempts a caller only if the account, the role and the session are all listed")
                        .fix("use `\"Principal\":\"*\"` and `ArnNotEquals` on `aws:PrincipalArn`"),
                );
            }
            if forms.is_empty() && name == "Principal" {
                reporter.warn(at, never("no principal is listed"));
            }
            if !forms.is_empty() && name == "Principal" && forms.iter().all(|form| *form == Form::Nobody) {
                reporter.warn(
                    at,
                    never("no such principal calls Kinesis").fix("name an account, a user or a role by its ARN"),
                );
            }
            let fine = |form: &Form| matches!(form, Form::User(_) | Form::Role(_) | Form::Session(_));
            if self.listener.is_some_and(|listener| !listener.knows_principal_arn) && forms.iter().any(fine) {
                reporter.warn(at, unknowable("the user, role or session that asks", statement.effect));
            }
        });
    }

    fn actions(
        &self,
        node: &Node<'_>,
        name: &str,
        statement: &Statement,
        reporter: &mut Reporter<'_>,
    ) {
        let Some(member) = node.member(name) else {
            return;
        };
        let patterns = &statement.actions.patterns;
        reporter.enter(name, |reporter| {
            if patterns.is_empty() {
                let problem = if name == "Action" {
                    never("no action is listed")
                } else {
                    Problem::new(
                        "empty-list",
                        "no action is listed, and what that means is not documented",
                    )
                };
                return reporter.warn(member.start, problem);
            }
            each(member, patterns, reporter, |at, pattern, reporter| {
                let ActionPattern::Named { service, name } = pattern else {
                    return;
                };
                if !service.eq_ignore_ascii_case("kinesis") || self.options.actions.is_empty() {
                    return;
                }
                let mut known = self
                    .options
                    .actions
                    .iter()
                    .chain(PERMISSIONS_WITHOUT_OPERATION);
                if !known.any(|known| pattern.matches("kinesis", known)) {
                    reporter.warn(
                        at,
                        Problem::new(
                            "unknown-action",
                            format!("Kinesis has no action `{name}`: it never matches"),
                        )
                        .fix("correct its name"),
                    );
                }
            });
            let of_kinesis = |pattern: &ActionPattern| match pattern {
                ActionPattern::Everything => true,
                ActionPattern::Named { service, .. } => service.eq_ignore_ascii_case("kinesis"),
            };
            if self.is_endpoint() && name == "Action" && !patterns.iter().any(of_kinesis) {
                reporter.warn(
                    member.start,
                    Problem::new(
                        "other-service-action",
                        "the statement can never match: no action is of Kinesis",
                    )
                    .fix("remove the statement, or write `kinesis:…`"),
                );
            }
        });
    }

    fn resources(
        &self,
        node: &Node<'_>,
        name: &str,
        statement: &Statement,
        reporter: &mut Reporter<'_>,
    ) {
        let Some(member) = node.member(name) else {
            return;
        };
        let element = &statement.resources;
        reporter.enter(name, |reporter| {
            if element.patterns.is_empty() {
                let problem = if element.negated {
                    Problem::new(
                        "empty-list",
                        "no resource is listed, and what that means is not documented",
                    )
                } else {
                    never("no resource is listed")
                };
                return reporter.warn(member.start, problem);
            }
            each(
                member,
                &element.patterns,
                reporter,
                |at, pattern, reporter| {
                    self.resource(at, pattern, statement, reporter);
                },
            );
            texts(member, reporter, |at, text, reporter| {
                if !self.variables && text.contains("${") {
                    reporter.warn(at, condition::needs_version());
                }
                if self.is_endpoint() && condition::mixed_account(text, self.variables) {
                    reporter.warn(at, condition::mixed_account_problem(text));
                }
            });
            let of_gate = |pattern: &ResourcePattern| match pattern {
                ResourcePattern::Everything => true,
                ResourcePattern::Arn(pattern) => {
                    pattern.service_is("kinesis") || pattern.service_is("kms")
                }
            };
            if self.is_endpoint() && !element.negated && !element.patterns.iter().any(of_gate) {
                reporter.warn(
                    member.start,
                    Problem::new(
                        "other-service-resource",
                        "the statement can never match: no resource is of Kinesis",
                    )
                    .fix("remove the statement, or write `arn:aws:kinesis:…`"),
                );
            }
        });
    }
}

fn never(why: &str) -> Problem {
    Problem::new(
        "never-matches",
        format!("the statement can never match: {why}"),
    )
}

/// What an unknowable fact does to a statement.
pub(super) fn unknowable(what: &str, effect: Effect) -> Problem {
    let then = match effect {
        Effect::Allow => "an Allow that depends on it never applies",
        Effect::Deny => "a Deny that depends on it applies whatever it is",
    };
    Problem::new(
        "unknowable",
        format!("this listener cannot know {what}: {then}"),
    )
    .fix("state it in the configuration, or let the gate authenticate its callers")
}

/// Visits the strings of a member together with what each was compiled to.
fn each<T>(
    member: &Node<'_>,
    compiled: &[T],
    reporter: &mut Reporter<'_>,
    mut visit: impl FnMut(usize, &T, &mut Reporter<'_>),
) {
    match &member.kind {
        NodeKind::List(nodes) => {
            for (index, (node, one)) in nodes.iter().zip(compiled).enumerate() {
                reporter.enter_index(index, |reporter| visit(node.start, one, reporter));
            }
        }
        _ => {
            if let Some(one) = compiled.first() {
                visit(member.start, one, reporter);
            }
        }
    }
}

/// Visits the strings of a member.
fn texts(
    member: &Node<'_>,
    reporter: &mut Reporter<'_>,
    mut visit: impl FnMut(usize, &str, &mut Reporter<'_>),
) {
    match &member.kind {
        NodeKind::List(nodes) => {
            for (index, node) in nodes.iter().enumerate() {
                reporter.enter_index(index, |reporter| {
                    visit(node.start, node.text().unwrap_or(""), reporter);
                });
            }
        }
        _ => visit(member.start, member.text().unwrap_or(""), reporter),
    }
}

fn repeated_sids(nodes: &[Node<'_>], reporter: &mut Reporter<'_>) {
    let mut sids: Vec<(&str, usize)> = nodes
        .iter()
        .filter_map(|node| node.member("Sid"))
        .filter_map(|sid| sid.text().map(|text| (text, sid.start)))
        .filter(|(text, _)| !text.is_empty())
        .collect();
    sids.sort_unstable();
    for pair in sids.windows(2) {
        if let [(first, _), (second, at)] = pair
            && first == second
        {
            reporter.warn(
                *at,
                Problem::new(
                    "duplicate-sid",
                    format!("the Sid `{second}` is given twice; decisions name it"),
                )
                .fix("give every statement its own"),
            );
        }
    }
}
