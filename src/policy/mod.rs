//! The IAM policy language: a document is compiled once, and then decides every request.
//!
//! [`Policy::compile`] refuses what AWS would refuse, with every error at once. [`Policy::decide`]
//! is total: it returns a [`Decision`], never an error, and allocates nothing.
//!
//! Every match has three values. A fact that is unknown is not *absent* from the request: a Deny
//! that may apply denies, and an Allow counts only if it certainly applies. The same holds where
//! AWS's documentation contradicts itself; each such point is marked `CONTESTED` in the code and
//! listed in `docs/policy-language.md`.

mod action;
mod condition;
mod condition_key;
mod decision;
mod diagnostic;
mod document;
mod explain;
mod glob;
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
    AttachedPolicy, AuditMode, ConditionId, Decision, IdentityRole, Layer, LayeredDecision, Layers,
    Outcome, Permitted, Unknown, Verdict,
};
pub use document::options::{Attachment, MAX_ENDPOINT_CHARACTERS, Options, Strictness};

pub use condition_key::{DataType, Key, Knowledge, REGISTRY, RegisteredKey, ValueType, eq_name};
pub use diagnostic::{Diagnostic, Level};
pub use explain::{ConditionExplanation, Explanation, RequestValues};
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

/// The effect of a statement on the requests that it matches.
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
    /// Its index in the document, counted from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A statement's name for people. Displays as its Sid, or as `#2`, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementLabel<'p> {
    /// The `Sid`, if it has one.
    pub sid: Option<&'p str>,
    /// The statement's index in the document, counted from 0.
    pub index: usize,
    /// The line of the document at which the statement begins, counted from 1.
    pub line: u32,
}

impl StatementLabel<'_> {
    /// The displayed text. For a Sid, this avoids the cost of formatting.
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

/// AWS's default endpoint policy, for an endpoint without its own policy.
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

    /// Compiles a document that is part of a larger, already parsed JSON text.
    ///
    /// # Errors
    /// Every error of the document, with positions in `text`.
    pub fn compile_node(
        text: &str,
        node: &json::Node<'_>,
        options: &Options<'_>,
    ) -> Result<Policy, Vec<Diagnostic>> {
        compile::compile_node(text, node, options)
    }

    /// AWS's default endpoint policy: it allows everything to everyone.
    #[must_use]
    pub fn full_access(options: &Options<'_>) -> Policy {
        let options = Options {
            attachment: Attachment::Endpoint,
            ..*options
        };
        compile::compile(FULL_ACCESS, &options).unwrap_or_else(|_| Policy::new(Vec::new(), &[]))
    }

    fn new(statements: Vec<Statement>, actions: &[&str]) -> Policy {
        let index = Index::new(&statements, actions);
        Policy {
            statements: statements.into(),
            index,
        }
    }

    /// Decides a request, without allocation. The cost depends on the number of statements with the
    /// request's action and resource.
    #[must_use]
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        match &self.index {
            Some(index) => index.decide(&self.statements, request),
            None => self.decide_by_scan(request),
        }
    }

    /// Decides a request by every statement in turn. The tests compare the index with this scan.
    #[must_use]
    pub fn decide_by_scan(&self, request: &Request<'_>) -> Decision {
        let mut search = statement::Search::new(request);
        for (statement, id) in self.statements.iter().zip(0..) {
            search.consider(StatementId(id), statement);
        }
        search.decision()
    }

    /// The label of a statement.
    #[must_use]
    pub fn label(&self, id: StatementId) -> StatementLabel<'_> {
        let statement = self.statements.get(id.index());
        StatementLabel {
            sid: statement.and_then(|statement| statement.sid.as_deref()),
            index: id.index(),
            line: statement.map_or(0, |statement| statement.line),
        }
    }

    /// The number of statements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.statements.len()
    }

    /// Whether the policy has no statements, and so allows nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// The condition key of an [`Unknown`].
    #[must_use]
    pub fn condition_key(&self, id: ConditionId) -> Option<Key<'_>> {
        let statement = self.statements.get(id.statement.index())?;
        let condition = statement.conditions.get(usize::from(id.index))?;
        Some(condition.key.key())
    }

    /// Every condition key in conditions and variables, with its statement.
    pub fn condition_keys(&self) -> impl Iterator<Item = (StatementId, Key<'_>)> {
        self.statements.iter().zip(0..).flat_map(|(statement, id)| {
            statement
                .condition_keys()
                .into_iter()
                .map(move |key| (StatementId(id), key))
        })
    }

    /// Whether the decision on an action may differ between resources.
    #[must_use]
    pub fn may_depend_on_resource(&self, action: &Action<'_>) -> bool {
        self.statements.iter().any(|statement| {
            statement.match_action(action) != Match::No && statement.may_depend_on_resource()
        })
    }
}
