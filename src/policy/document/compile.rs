//! From the text of a document to a [`Policy`], or to all of its errors.
//!
//! IAM User Guide: reference_policies_grammar; PrivateLink Guide: vpc-endpoints-access.

use std::fmt::Write as _;

use crate::policy::Policy;
use crate::policy::diagnostic::{Diagnostic, Level, LineIndex, Problem};
use crate::policy::document::element;
use crate::policy::document::intern::share;
use crate::policy::document::json::{self, Node, NodeKind};
use crate::policy::statement::Statement;

/// The longest endpoint policy that AWS takes, in characters, white space included.
pub const MAX_ENDPOINT_CHARACTERS: usize = 20_480;

/// What a document is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// A VPC endpoint: every statement has a Principal or NotPrincipal.
    Endpoint,
    /// A user, group or role: no statement has one.
    Identity,
}

/// How much is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// All that AWS's policy check reports as an error.
    #[default]
    Aws,
    /// Only what has no one meaning: for asking what a document would do.
    Evaluable,
}

/// How a document is to be compiled.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// What it is attached to.
    pub attachment: Attachment,
    /// The names of the service `kinesis`'s actions that have a number, in order of number.
    pub actions: &'a [&'a str],
    /// The longest text to take, in characters.
    pub max_characters: Option<usize>,
    /// How much is refused.
    pub strictness: Strictness,
}

impl Options<'_> {
    /// An endpoint policy as AWS takes it, with no numbered actions.
    pub const ENDPOINT: Options<'static> = Options {
        attachment: Attachment::Endpoint,
        actions: &[],
        max_characters: Some(MAX_ENDPOINT_CHARACTERS),
        strictness: Strictness::Aws,
    };

    /// An identity policy, with no numbered actions.
    pub const IDENTITY: Options<'static> = Options {
        attachment: Attachment::Identity,
        actions: &[],
        max_characters: None,
        strictness: Strictness::Aws,
    };
}

pub(in crate::policy) fn compile(
    text: &str,
    options: &Options<'_>,
) -> Result<Policy, Vec<Diagnostic>> {
    let root = json::read(text)?;
    compile_node(text, &root, options)
}

pub(in crate::policy) fn compile_node(
    text: &str,
    root: &Node<'_>,
    options: &Options<'_>,
) -> Result<Policy, Vec<Diagnostic>> {
    examine(text, root, options).map(|(mut statements, _)| {
        share(&mut statements);
        Policy::of(statements, options.actions)
    })
}

/// The statements of a valid document, and whether its version has variables.
pub(in crate::policy) fn examine(
    text: &str,
    root: &Node<'_>,
    options: &Options<'_>,
) -> Result<(Vec<Statement>, bool), Vec<Diagnostic>> {
    let mut reporter = Reporter::new(text);
    let written = text.get(root.start..root.end).unwrap_or("");
    let whole = if root.start == 0 || text.trim() == written {
        text
    } else {
        written
    };
    if let Some(most) = options.max_characters
        && whole.len() > most
        && whole.chars().count() > most
    {
        reporter.error(
            root.start,
            Problem::new(
                "too-long",
                format!(
                    "the document has {} characters, {most} is the most",
                    whole.chars().count()
                ),
            )
            .fix("merge statements, or leave out white space, which counts"),
        );
    }
    let examined = document(root, options, &mut reporter);
    if reporter.diagnostics.is_empty() {
        Ok(examined)
    } else {
        Err(reporter.diagnostics)
    }
}

fn document(
    root: &Node<'_>,
    options: &Options<'_>,
    reporter: &mut Reporter<'_>,
) -> (Vec<Statement>, bool) {
    let NodeKind::Map(members) = &root.kind else {
        reporter.error(
            root.start,
            Problem::new(
                "document-type",
                format!("a policy is an object, not {}", root.describe()),
            ),
        );
        return (Vec::new(), false);
    };
    let mut version = Version::Absent;
    let mut listed: Option<&Node<'_>> = None;
    for member in members {
        reporter.enter(&member.name, |reporter| match &*member.name {
            "Version" => version = read_version(&member.value, reporter),
            "Id" => {
                if member.value.text().is_none() {
                    reporter.wrong_type(&member.value, "a string");
                }
                if options.attachment == Attachment::Identity
                    && options.strictness == Strictness::Aws
                {
                    reporter.error(
                        member.start,
                        Problem::new("unexpected-id", "an identity policy has no `Id`")
                            .fix("remove it"),
                    );
                }
            }
            "Statement" => listed = Some(&member.value),
            name => reporter.error(
                member.start,
                element::unknown(name, &["Version", "Id", "Statement"]),
            ),
        });
    }
    let Some(listed) = listed else {
        reporter.error(
            root.start,
            Problem::new("missing-statement", "the document has no `Statement`"),
        );
        return (Vec::new(), false);
    };
    let variables = version == Version::Of2012;
    let scope = element::Scope::new(options, variables);
    let mut statements = Vec::new();
    let mut sids: Vec<(String, usize)> = Vec::new();
    reporter.enter("Statement", |reporter| match &listed.kind {
        NodeKind::Map(_) => statements.extend(element::statement(listed, &scope, reporter)),
        NodeKind::List(nodes) if nodes.is_empty() => reporter.error(
            listed.start,
            Problem::new("missing-statement", "the list of statements is empty"),
        ),
        NodeKind::List(nodes) => {
            for (index, node) in nodes.iter().enumerate() {
                reporter.enter_index(index, |reporter| {
                    statements.extend(element::statement(node, &scope, reporter));
                    if let Some(sid) = node.member("Sid")
                        && let Some(text) = sid.text()
                    {
                        sids.push((text.to_owned(), sid.start));
                    }
                });
            }
        }
        _ => reporter.wrong_type(listed, "a statement or a list of statements"),
    });
    if options.attachment == Attachment::Identity && options.strictness == Strictness::Aws {
        refuse_repeated_sids(sids, reporter);
    }
    (statements, variables)
}

/// Required of identity policies; endpoint policies are only warned.
fn refuse_repeated_sids(mut sids: Vec<(String, usize)>, reporter: &mut Reporter<'_>) {
    sids.sort();
    for pair in sids.windows(2) {
        if let [(first, _), (second, at)] = pair
            && first == second
            && !first.is_empty()
        {
            reporter.error(
                *at,
                Problem::new(
                    "duplicate-sid",
                    format!("the Sid `{second}` is given twice"),
                ),
            );
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Absent,
    Of2008,
    Of2012,
}

fn read_version(node: &Node<'_>, reporter: &mut Reporter<'_>) -> Version {
    match node.text() {
        Some("2012-10-17") => Version::Of2012,
        Some("2008-10-17") => Version::Of2008,
        Some(other) => {
            reporter.error(
                node.start,
                Problem::new(
                    "version",
                    format!("there is no version `{other}` of the language"),
                )
                .fix("write `2012-10-17`"),
            );
            Version::Absent
        }
        None => {
            reporter.wrong_type(node, "a string");
            Version::Absent
        }
    }
}

/// Collects diagnostics with their places.
pub(in crate::policy) struct Reporter<'t> {
    lines: LineIndex<'t>,
    path: String,
    pub(in crate::policy) diagnostics: Vec<Diagnostic>,
}

/// More diagnostics than anybody reads; a document of a megabyte of errors is not to cost more.
const MAX_DIAGNOSTICS: usize = 200;

impl<'t> Reporter<'t> {
    pub(in crate::policy) fn new(text: &'t str) -> Reporter<'t> {
        Reporter {
            lines: LineIndex::new(text),
            path: String::from("$"),
            diagnostics: Vec::new(),
        }
    }

    pub(in crate::policy) fn enter(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        let outer = self.path.len();
        self.path.push('.');
        self.path.push_str(name);
        inside(self);
        self.path.truncate(outer);
    }

    pub(in crate::policy) fn enter_index(&mut self, index: usize, inside: impl FnOnce(&mut Self)) {
        let outer = self.path.len();
        let _ = write!(self.path, "[{index}]");
        inside(self);
        self.path.truncate(outer);
    }

    pub(in crate::policy) fn error(&mut self, at: usize, problem: Problem) {
        self.report(Level::Error, at, problem);
    }

    pub(in crate::policy) fn warn(&mut self, at: usize, problem: Problem) {
        self.report(Level::Warning, at, problem);
    }

    pub(in crate::policy) fn wrong_type(&mut self, node: &Node<'_>, expected: &str) {
        let found = node.describe();
        self.error(
            node.start,
            Problem::new(
                "wrong-type",
                format!("{expected} is expected here, not {found}"),
            ),
        );
    }

    pub(in crate::policy) fn line(&self, offset: usize) -> u32 {
        self.lines.line(offset)
    }

    fn report(&mut self, level: Level, at: usize, problem: Problem) {
        if self.diagnostics.len() >= MAX_DIAGNOSTICS {
            return;
        }
        let position = self.lines.position(at);
        self.diagnostics
            .push(problem.at(level, position, self.path.clone()));
    }
}
