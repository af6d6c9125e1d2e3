//! Warnings about the Sid, the principals, the actions and the list of resources of a statement.

use crate::policy::Effect;
use crate::policy::action::ActionPattern;
use crate::policy::diagnostic::Problem;
use crate::policy::document::json::{Member, Node};
use crate::policy::document::reporter::Reporter;
use crate::policy::document::sid;
use crate::policy::lint::context::{LintContext, never_matches, unknowable};
use crate::policy::principal::{ListedPrincipal, PrincipalElement};
use crate::policy::resource::ResourcePattern;
use crate::policy::statement::Statement;

/// Actions of the authorization reference that are not the name of an operation.
const PERMISSIONS_WITHOUT_OPERATION: &[&str] = &["AssociateStreamsWithChannel", "InjectApiError"];

impl LintContext<'_> {
    pub(in crate::policy) fn check_statement(
        &self,
        node: &Node<'_>,
        statement: &Statement,
        reporter: &mut Reporter<'_>,
    ) {
        if self.is_endpoint() {
            self.check_principal(node, statement, reporter);
            check_sid(node, reporter);
        }
        self.check_actions(node, statement, reporter);
        self.check_resources(node, statement, reporter);
        if let Some(element) = node.member("Condition") {
            self.check_conditions(element, statement, reporter);
        }
    }

    fn check_principal(&self, node: &Node<'_>, statement: &Statement, reporter: &mut Reporter<'_>) {
        let at = |name| node.member(name).map_or(node.start, |value| value.start);
        match &statement.principal {
            PrincipalElement::Everyone => {
                if statement.effect == Effect::Allow && statement.conditions.is_empty() {
                    let problem = Problem::new("allow-anyone", "everyone is allowed, on no condition")
                        .fix("name accounts or roles, or add a condition such as `aws:PrincipalOrgID`");
                    reporter.enter("Principal", |reporter| reporter.warn(at("Principal"), problem));
                }
            }
            PrincipalElement::AnyOf(principals) => reporter.enter("Principal", |reporter| {
                let at = at("Principal");
                if principals.is_empty() {
                    reporter.warn(at, never_matches("no principal is listed"));
                } else if principals.iter().all(|principal| *principal == ListedPrincipal::Nobody) {
                    reporter.warn(
                        at,
                        never_matches("no such principal calls Kinesis")
                            .fix("name an account, a user or a role by its ARN"),
                    );
                }
                self.check_principal_arns(at, principals, statement.effect, reporter);
            }),
            PrincipalElement::NoneOf(principals) => reporter.enter("NotPrincipal", |reporter| {
                let at = at("NotPrincipal");
                reporter.warn(
                    at,
                    Problem::new("not-principal", "`NotPrincipal` exempts a caller only if the account, the role and the session are all listed")
                        .fix("use `\"Principal\":\"*\"` and `ArnNotEquals` on `aws:PrincipalArn`"),
                );
                self.check_principal_arns(at, principals, statement.effect, reporter);
            }),
        }
    }

    fn check_principal_arns(
        &self,
        at: usize,
        principals: &[ListedPrincipal],
        effect: Effect,
        reporter: &mut Reporter<'_>,
    ) {
        let is_arn = |principal: &ListedPrincipal| {
            matches!(
                principal,
                ListedPrincipal::User(_) | ListedPrincipal::Role(_) | ListedPrincipal::Session(_)
            )
        };
        if self
            .listener
            .is_some_and(|listener| !listener.knows_principal_arn)
            && principals.iter().any(is_arn)
        {
            reporter.warn(
                at,
                unknowable("the user, role or session that asks", effect),
            );
        }
    }

    fn check_actions(&self, node: &Node<'_>, statement: &Statement, reporter: &mut Reporter<'_>) {
        let element = &statement.actions;
        let name = if element.is_negated {
            "NotAction"
        } else {
            "Action"
        };
        let Some(Member { value, .. }) = node.find(name) else {
            return;
        };
        reporter.enter(name, |reporter| {
            if element.is_negated && statement.effect == Effect::Allow {
                reporter.warn(
                    value.start,
                    Problem::new("not-action-allow", "`NotAction` with `Allow` allows every action that is not listed, those to come too")
                        .fix("list the actions to allow under `Action`"),
                );
            }
            if element.patterns.is_empty() {
                return reporter.warn(value.start, empty_list("action", element.is_negated));
            }
            let mut patterns = element.patterns.iter();
            reporter.each_string(value, |reporter, at, _| {
                if let Some(pattern) = patterns.next() {
                    self.check_action_name(at, pattern, reporter);
                }
            });
            let is_kinesis = |pattern: &ActionPattern| match pattern {
                ActionPattern::Everything => true,
                ActionPattern::Named { service, .. } => service.eq_ignore_ascii_case("kinesis"),
            };
            if self.is_endpoint() && !element.is_negated && !element.patterns.iter().any(is_kinesis) {
                let message = "the statement can never match: no action is of Kinesis";
                let problem = Problem::new("other-service-action", message);
                reporter.warn(value.start, problem.fix("remove the statement, or write `kinesis:…`"));
            }
        });
    }

    fn check_action_name(&self, at: usize, pattern: &ActionPattern, reporter: &mut Reporter<'_>) {
        let ActionPattern::Named { service, name } = pattern else {
            return;
        };
        let actions = self.options.actions;
        if !service.eq_ignore_ascii_case("kinesis") || actions.is_empty() {
            return;
        }
        let mut known = actions.iter().chain(PERMISSIONS_WITHOUT_OPERATION);
        if !known.any(|known| pattern.matches("kinesis", known)) {
            let message = format!("Kinesis has no action `{name}`: it never matches");
            reporter.warn(
                at,
                Problem::new("unknown-action", message).fix("correct its name"),
            );
        }
    }

    fn check_resources(&self, node: &Node<'_>, statement: &Statement, reporter: &mut Reporter<'_>) {
        let element = &statement.resources;
        let name = if element.is_negated {
            "NotResource"
        } else {
            "Resource"
        };
        let Some(Member { value, .. }) = node.find(name) else {
            return;
        };
        reporter.enter(name, |reporter| {
            if element.patterns.is_empty() {
                return reporter.warn(value.start, empty_list("resource", element.is_negated));
            }
            let mut patterns = element.patterns.iter();
            reporter.each_string(value, |reporter, at, _| {
                if let Some(pattern) = patterns.next() {
                    self.check_resource(at, pattern, statement, reporter);
                }
            });
            reporter.each_string(value, |reporter, at, text| {
                self.check_variables(at, text, reporter);
                self.check_account(at, text, reporter);
            });
            let is_forwarded = |pattern: &ResourcePattern| match pattern {
                ResourcePattern::Everything => true,
                ResourcePattern::Arn(arn) => {
                    arn.may_match_service("kinesis") || arn.may_match_service("kms")
                }
            };
            if self.is_endpoint()
                && !element.is_negated
                && !element.patterns.iter().any(is_forwarded)
            {
                let message = "the statement can never match: no resource is of Kinesis";
                let problem = Problem::new("other-service-resource", message);
                reporter.warn(
                    value.start,
                    problem.fix("remove the statement, or write `arn:aws:kinesis:…`"),
                );
            }
        });
    }
}

fn check_sid(node: &Node<'_>, reporter: &mut Reporter<'_>) {
    if let Some(value) = node.member("Sid")
        && let Some(text) = value.text()
        && !sid::is_alphanumeric(text)
    {
        reporter.enter("Sid", |reporter| {
            reporter.warn(value.start, sid::form_problem(text))
        });
    }
}

fn empty_list(of: &str, negated: bool) -> Problem {
    if negated {
        let message = format!("no {of} is listed, and what that means is not documented");
        Problem::new("empty-list", message)
    } else {
        never_matches(&format!("no {of} is listed"))
    }
}
