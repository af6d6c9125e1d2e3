//! Options of compilation: the attachment of a document, and the strictness.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::policy::action::ActionPattern;
use crate::policy::statement::MAX_NUMBERED;

/// The longest endpoint policy that AWS accepts, in characters, white space included.
pub const MAX_ENDPOINT_CHARACTERS: usize = 20_480;

/// The kind of thing that a document is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// A VPC endpoint: every statement must have a Principal or NotPrincipal.
    Endpoint,
    /// A user, group or role: no statement may have a Principal or NotPrincipal.
    Identity,
}

/// Which documents are refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// Every document that AWS's policy check reports an error for.
    #[default]
    Aws,
    /// Only documents without one clear meaning, to evaluate documents that AWS would refuse.
    Evaluable,
}

/// How to compile a document.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The kind of thing that the document is attached to.
    pub attachment: Attachment,
    /// Names of actions of the service `kinesis`. The index of a name is the number of its action.
    pub actions: &'a [&'a str],
    /// The most characters that the document may have.
    pub max_characters: Option<usize>,
    /// Which documents are refused.
    pub strictness: Strictness,
}

impl Options<'_> {
    /// An endpoint policy as AWS accepts it, without numbered actions.
    pub const ENDPOINT: Options<'static> = Options {
        attachment: Attachment::Endpoint,
        actions: &[],
        max_characters: Some(MAX_ENDPOINT_CHARACTERS),
        strictness: Strictness::Aws,
    };

    /// An identity policy, without numbered actions.
    pub const IDENTITY: Options<'static> = Options {
        attachment: Attachment::Identity,
        max_characters: None,
        ..Options::ENDPOINT
    };

    pub(in crate::policy) fn is_strict(&self) -> bool {
        self.strictness == Strictness::Aws
    }
}

/// The state that all statements of one document share.
pub(in crate::policy) struct DocumentScope<'o> {
    pub(in crate::policy) options: &'o Options<'o>,
    /// The document's version has variables.
    pub(in crate::policy) variables: bool,
    /// The numbers of the actions that each pattern matches. Large policies repeat patterns.
    action_bits: RefCell<HashMap<ActionPattern, u128>>,
}

impl<'o> DocumentScope<'o> {
    pub(in crate::policy) fn new(options: &'o Options<'o>, variables: bool) -> DocumentScope<'o> {
        DocumentScope {
            options,
            variables,
            action_bits: RefCell::default(),
        }
    }

    /// A bit for the number of each action that `pattern` matches.
    pub(in crate::policy) fn action_bits(&self, pattern: &ActionPattern) -> u128 {
        if let Some(bits) = self.action_bits.borrow().get(pattern) {
            return *bits;
        }
        let names = self.options.actions.iter().zip(0..MAX_NUMBERED);
        let bits = names
            .filter(|(name, _)| pattern.matches("kinesis", name))
            .fold(0, |bits, (_, number)| bits | 1 << number);
        self.action_bits.borrow_mut().insert(pattern.clone(), bits);
        bits
    }
}
