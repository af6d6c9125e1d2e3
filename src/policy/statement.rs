//! Compiled statements, and the search for the statement that decides.

use crate::policy::action::ActionElement;
use crate::policy::condition::Condition;
use crate::policy::condition_key::Key;
use crate::policy::decision::{ConditionId, Decision, Outcome, Unknown};
use crate::policy::principal::PrincipalElement;
use crate::policy::request::{Action, Request};
use crate::policy::resource::{ResourceElement, ResourcePattern};
use crate::policy::ternary::Match;
use crate::policy::{Effect, StatementId};

#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) sid: Option<Box<str>>,
    pub(super) line: u32,
    pub(super) effect: Effect,
    pub(super) principal: PrincipalElement,
    pub(super) actions: ActionElement,
    /// The numbered actions that `actions` matches: bit N for number N.
    pub(super) action_bits: u128,
    pub(super) resources: ResourceElement,
    pub(super) conditions: Box<[Condition]>,
}

/// The width of [`Statement::action_bits`].
pub(super) const MAX_NUMBERED: u16 = 128;

impl Statement {
    /// Whether the statement matches, and for a `Maybe`, the first unknown that prevents a `Yes`.
    pub(super) fn matches(
        &self,
        id: StatementId,
        request: &Request<'_>,
    ) -> (Match, Option<Unknown>) {
        match self.match_action(&request.action) {
            Match::No => (Match::No, None),
            action => self.match_rest(id, action, request),
        }
    }

    pub(super) fn match_action(&self, action: &Action<'_>) -> Match {
        match action.number {
            Some(number) if number < MAX_NUMBERED && !self.actions.patterns.is_empty() => {
                Match::from(self.action_bits >> number & 1 == 1)
            }
            _ => self.actions.matches(action),
        }
    }

    fn match_rest(
        &self,
        id: StatementId,
        action: Match,
        request: &Request<'_>,
    ) -> (Match, Option<Unknown>) {
        let mut unknown = (action == Match::Maybe).then_some(Unknown::Action);
        let resource = self
            .resources
            .matches(&request.resource, self.effect, request.context);
        if resource == Match::No {
            return (Match::No, None);
        }
        if resource == Match::Maybe {
            unknown = unknown.or(Some(Unknown::Resource));
        }
        let principal = self.principal.matches(&request.principal);
        if principal == Match::No {
            return (Match::No, None);
        }
        if principal == Match::Maybe {
            unknown = unknown.or(Some(Unknown::Principal));
        }
        let mut result = action.and(resource).and(principal);
        for (condition, index) in self.conditions.iter().zip(0..) {
            match condition.matches(request.context) {
                Match::Yes => {}
                Match::No => return (Match::No, None),
                Match::Maybe => {
                    result = Match::Maybe;
                    unknown = unknown.or(Some(Unknown::Key(ConditionId {
                        statement: id,
                        index,
                    })));
                }
            }
        }
        (result, unknown)
    }

    pub(super) fn condition_keys(&self) -> Vec<Key<'_>> {
        let mut keys = Vec::new();
        for condition in &self.conditions {
            keys.push(condition.key.key());
            keys.extend(condition.values.variables());
        }
        for pattern in &self.resources.patterns {
            if let ResourcePattern::Arn(pattern) = pattern {
                keys.extend(pattern.resource.variables());
            }
        }
        keys
    }

    pub(super) fn may_depend_on_resource(&self) -> bool {
        let is_of_resource = |key: Key<'_>| {
            matches!(
                key,
                Key::ResourceAccount
                    | Key::ResourceOrgId
                    | Key::ResourceOrgPaths
                    | Key::ResourceTag(_)
            )
        };
        !self.resources.has_everything() || self.condition_keys().into_iter().any(is_of_resource)
    }
}

/// The search for the deciding statement, in any order of statements.
///
/// An explicit deny is the first Deny that is `Yes`, else the first that is `Maybe`. Otherwise the
/// first Allow that is `Yes` allows. Otherwise the result is an implicit deny, whose unknown is
/// that of the first Allow that is `Maybe`.
pub(super) struct Search<'r> {
    request: &'r Request<'r>,
    deny: Option<StatementId>,
    may_deny: Option<(StatementId, Unknown)>,
    allow: Option<StatementId>,
    may_allow: Option<(StatementId, Unknown)>,
}

impl<'r> Search<'r> {
    pub(super) fn new(request: &'r Request<'r>) -> Search<'r> {
        Search {
            request,
            deny: None,
            may_deny: None,
            allow: None,
            may_allow: None,
        }
    }

    pub(super) fn consider(&mut self, id: StatementId, statement: &Statement) {
        if self.is_moot(id, statement.effect) {
            return;
        }
        let (result, unknown) = statement.matches(id, self.request);
        let unknown = unknown.unwrap_or(Unknown::Resource);
        match (statement.effect, result) {
            (_, Match::No) => {}
            (Effect::Deny, Match::Yes) => self.deny = Some(id),
            (Effect::Allow, Match::Yes) => self.allow = Some(id),
            (Effect::Deny, Match::Maybe) => keep_first(&mut self.may_deny, id, unknown),
            (Effect::Allow, Match::Maybe) => keep_first(&mut self.may_allow, id, unknown),
        }
    }

    /// Whether a statement can no longer change the decision.
    fn is_moot(&self, id: StatementId, effect: Effect) -> bool {
        match effect {
            Effect::Deny => self.deny.is_some_and(|deny| deny <= id),
            Effect::Allow => {
                self.deny.is_some()
                    || self.may_deny.is_some()
                    || self.allow.is_some_and(|allow| allow <= id)
            }
        }
    }

    pub(super) fn decision(&self) -> Decision {
        let decide = |outcome, statement, unknown| Decision {
            outcome,
            statement: Some(statement),
            unknown,
        };
        match (self.deny, self.may_deny, self.allow, self.may_allow) {
            (Some(id), ..) => decide(Outcome::ExplicitDeny, id, None),
            (None, Some((id, unknown)), ..) => decide(Outcome::ExplicitDeny, id, Some(unknown)),
            (None, None, Some(id), _) => decide(Outcome::Allow, id, None),
            (None, None, None, Some((id, unknown))) => {
                decide(Outcome::ImplicitDeny, id, Some(unknown))
            }
            (None, None, None, None) => Decision::NOTHING_ALLOWS,
        }
    }
}

fn keep_first(slot: &mut Option<(StatementId, Unknown)>, id: StatementId, unknown: Unknown) {
    if slot.is_none_or(|(before, _)| id < before) {
        *slot = Some((id, unknown));
    }
}
