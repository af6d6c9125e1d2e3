//! The IAM policy language: a document is compiled once, then decides every request.
//!
//! [`Policy::compile`] refuses what AWS would refuse, with every error at once. [`Policy::decide`]
//! is total: it returns a [`Decision`], never an error, and allocates nothing.
//!
//! Every match has three values. What cannot be known about a request is not *absent* from it: a
//! Deny that may apply denies, an Allow counts only when it surely applies. The same holds where
//! AWS's documentation contradicts itself; each such point is marked `CONTESTED` in the code and
//! listed in `docs/policy-language.md`.

mod action;
mod condition;
mod condition_key;
mod decision;
mod diagnostic;
mod document;
mod explain;
mod index;
mod lint;
mod pattern;
mod principal;
mod request;
mod resource;
mod selectors;
mod statement;
mod template;
mod ternary;
mod value_text;

use std::fmt;

pub use decision::{
    AttachedPolicy, ConditionId, Decision, Denial, IdentityRole, Layer, LayeredDecision, Layers,
    Outcome, Permitted, Unknown, Verdict,
};
pub use document::options::{Attachment, MAX_ENDPOINT_CHARACTERS, Options, Strictness};

pub use condition_key::{DataType, Key, Knowledge, REGISTRY, RegisteredKey, ValueType, same_name};
pub use diagnostic::{Diagnostic, Level};
pub use explain::{ConditionExplanation, Explanation, Requested};
pub use lint::{Listener, lint};
pub use selectors::{ActionSelector, ResourceSelector};

pub use principal::PrincipalPattern;
pub use request::{
    Action, Arn, Context, EmptyContext, Fact, Principal, PrincipalKind, Request, Resource,
    UnknownContext, Value, Values,
};
pub use ternary::Match;

pub use document::json;

use document::compile;
use index::Index;
use statement::Statement;

/// A compiled policy document.
#[derive(Debug)]
pub struct Policy {
    statements: Box<[Statement]>,
    index: Option<Index>,
}

/// What a statement does with the requests it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// `Allow`.
    Allow,
    /// `Deny`.
    Deny,
}

/// One statement of a policy, counted from 0 in the order of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatementId(u32);

impl StatementId {
    /// The place in the document, counted from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// How people find a statement. Displays as its Sid, or as `#2`, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementLabel<'p> {
    /// The `Sid`, if it has one.
    pub sid: Option<&'p str>,
    /// The place in the document, counted from 0.
    pub index: usize,
    /// The line of the document where it begins, counted from 1.
    pub line: u32,
}

impl StatementLabel<'_> {
    /// As it is displayed; for a Sid without the price of formatting.
    #[must_use]
    pub fn into_text(self) -> String {
        match self.sid {
            Some(sid) => sid.to_owned(),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for StatementLabel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sid {
            Some(sid) => f.write_str(sid),
            None => write!(f, "#{}", self.index + 1),
        }
    }
}

/// AWS's default endpoint policy, as it stands where none is attached.
const FULL_ACCESS: &str =
    r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}"#;

impl Policy {
    /// Compiles a document.
    ///
    /// # Errors
    /// Every error of the document, in its order.
    pub fn compile(text: &str, options: &Options<'_>) -> Result<Policy, Vec<Diagnostic>> {
        compile::compile(text, options)
    }

    /// Compiles a document that stands inside of a larger JSON text, already read.
    ///
    /// # Errors
    /// Every error of the document; places are those of `text`.
    pub fn compile_node(
        text: &str,
        node: &json::Node<'_>,
        options: &Options<'_>,
    ) -> Result<Policy, Vec<Diagnostic>> {
        compile::compile_node(text, node, options)
    }

    /// AWS's default endpoint policy: everything, for everyone.
    #[must_use]
    pub fn full_access(options: &Options<'_>) -> Policy {
        let options = Options {
            attachment: Attachment::Endpoint,
            ..*options
        };
        compile::compile(FULL_ACCESS, &options).unwrap_or_else(|_| Policy::of(Vec::new(), &[]))
    }

    fn of(statements: Vec<Statement>, actions: &[&str]) -> Policy {
        let index = Index::of(&statements, actions);
        Policy {
            statements: statements.into(),
            index,
        }
    }

    /// Decides a request. Total, and without allocation; costs as much as the statements that
    /// share the request's action and resource.
    #[must_use]
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        match &self.index {
            Some(index) => index.decide(&self.statements, request),
            None => self.decide_by_scan(request),
        }
    }

    /// The same answer without the index, from every statement in turn: what the index is tested
    /// against.
    #[must_use]
    pub fn decide_by_scan(&self, request: &Request<'_>) -> Decision {
        let mut search = statement::Search::new(request);
        for (statement, id) in self.statements.iter().zip(0..) {
            search.consider(StatementId(id), statement);
        }
        search.decision()
    }

    /// How people find a statement.
    #[must_use]
    pub fn statement(&self, id: StatementId) -> StatementLabel<'_> {
        let found = self.statements.get(id.index());
        StatementLabel {
            sid: found.and_then(|statement| statement.sid.as_deref()),
            index: id.index(),
            line: found.map_or(0, |statement| statement.line),
        }
    }

    /// How many statements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.statements.len()
    }

    /// Has it no statements? It allows nothing then.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// The key of a condition that an [`Unknown`] names.
    #[must_use]
    pub fn condition_key(&self, id: ConditionId) -> Option<Key<'_>> {
        let statement = self.statements.get(id.statement.index())?;
        let condition = statement.conditions.get(usize::from(id.index))?;
        Some(condition.key.key())
    }

    /// Every condition key that the document uses, in conditions and in variables, with the
    /// statement that does.
    pub fn keys(&self) -> impl Iterator<Item = (StatementId, Key<'_>)> {
        self.statements.iter().zip(0..).flat_map(|(statement, id)| {
            statement
                .keys()
                .into_iter()
                .map(move |key| (StatementId(id), key))
        })
    }

    /// Can the answer about an action differ from one resource to another?
    #[must_use]
    pub fn distinguishes_resources(&self, action: &Action<'_>) -> bool {
        self.statements.iter().any(|statement| {
            statement.action(action) != Match::No && statement.distinguishes_resources()
        })
    }
}
