//! Token rules: the opaque tokens, iterators among them, whose streams the gate has to know.
//!
//! These are the tokens of operations for which policies or rate limits distinguish streams. For
//! other operations, a response streams through unread and no token is bound.

use crate::kinesis::{Operation, operations};

/// The token rules of one endpoint.
#[derive(Debug, Default)]
pub struct TokenRules(Box<[Option<TokenRule>]>);

/// A token that a response issues and the gate has to know.
#[derive(Debug, Clone, Copy)]
pub(in crate::gate) struct TokenRule {
    /// The operation that takes the token.
    pub(in crate::gate) taker: &'static Operation,
    /// The member of the response that holds it.
    pub(in crate::gate) member: &'static str,
    /// Whether enforced policies or rate limits need the token, and not only candidates.
    is_required: bool,
    /// Whether rate limits need the token, even where policies allow every stream.
    is_rate_limited: bool,
}

/// Whether policies and rate limits need to know the streams of an operation's tokens.
pub(super) struct TokenNeed {
    pub(super) policies: bool,
    pub(super) candidates: bool,
    pub(super) rate_limits: bool,
}

impl TokenRules {
    /// The rules for every operation. `need` returns which rules need an operation's tokens.
    pub(super) fn compile(need: impl Fn(&'static Operation) -> TokenNeed) -> TokenRules {
        let rule = |operation: &'static Operation| {
            let (taker, member) = operation.issued_token()?;
            let need = need(taker);
            let is_required = need.policies || need.rate_limits;
            (is_required || need.candidates).then_some(TokenRule {
                taker,
                member,
                is_required,
                is_rate_limited: need.rate_limits,
            })
        };
        TokenRules(operations().iter().map(rule).collect())
    }

    /// The token that responses to an operation issue, if the gate has to know it.
    pub(in crate::gate) fn issued_by(&self, operation: &Operation) -> Option<TokenRule> {
        *self.0.get(usize::from(operation.number))?
    }

    /// Whether the gate has to know the stream of the token in a request. If every stream is
    /// allowed, only rate limits need it.
    pub(in crate::gate) fn require_token_of(
        &self,
        operation: &Operation,
        is_allowed: bool,
    ) -> bool {
        // An operation that takes tokens issues the next one.
        let rule = operation
            .input_token
            .and_then(|_| self.issued_by(operation));
        rule.is_some_and(|rule| match is_allowed {
            true => rule.is_rate_limited,
            false => rule.is_required,
        })
    }
}
