//! Compilation: from the text of a document to a [`Policy`], or to all of its errors.
//!
//! IAM User Guide: reference_policies_grammar; PrivateLink Guide: vpc-endpoints-access.

use crate::policy::Policy;
use crate::policy::diagnostic::{Diagnostic, Problem};
use crate::policy::document::intern::intern;
use crate::policy::document::json::{self, Node, NodeKind};
use crate::policy::document::options::{Attachment, DocumentScope, Options};
use crate::policy::document::reporter::Reporter;
use crate::policy::document::sid;
use crate::policy::document::statement::{compile_statement, unknown_element};
use crate::policy::statement::Statement;

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
    compile_statements(text, root, options).map(|(mut statements, _)| {
        intern(&mut statements);
        Policy::new(statements, options.actions)
    })
}

/// The statements of a valid document, and whether its version has variables.
pub(in crate::policy) fn compile_statements(
    text: &str,
    root: &Node<'_>,
    options: &Options<'_>,
) -> Result<(Vec<Statement>, bool), Vec<Diagnostic>> {
    let mut reporter = Reporter::new(text);
    let source = text.get(root.start..root.end).unwrap_or("");
    let is_whole = root.start == 0 || text.trim() == source;
    let source = if is_whole { text } else { source };
    if let Some(most) = options.max_characters
        && source.len() > most
        && let count = source.chars().count()
        && count > most
    {
        let message = format!("the document has {count} characters, {most} is the most");
        reporter.error(
            root.start,
            Problem::new("too-long", message)
                .fix("merge statements, or leave out white space, which counts"),
        );
    }
    let compiled = compile_document(root, options, &mut reporter);
    if reporter.diagnostics.is_empty() {
        Ok(compiled)
    } else {
        Err(reporter.diagnostics)
    }
}

fn compile_document(
    root: &Node<'_>,
    options: &Options<'_>,
    reporter: &mut Reporter<'_>,
) -> (Vec<Statement>, bool) {
    let NodeKind::Map(members) = &root.kind else {
        let message = format!("a policy is an object, not {}", root.describe());
        reporter.error(root.start, Problem::new("document-type", message));
        return (Vec::new(), false);
    };
    let mut variables = false;
    for member in members {
        let value = &member.value;
        reporter.enter(&member.name, |reporter| match &*member.name {
            "Version" => variables = has_variables(value, reporter),
            "Id" => {
                if value.text().is_none() {
                    reporter.wrong_type(value, "a string");
                }
                if options.attachment == Attachment::Identity && options.is_strict() {
                    let problem = Problem::new("unexpected-id", "an identity policy has no `Id`");
                    reporter.error(member.start, problem.fix("remove it"));
                }
            }
            "Statement" => {}
            name => reporter.error(
                member.start,
                unknown_element(name, &["Version", "Id", "Statement"]),
            ),
        });
    }
    let Some(element) = root.member("Statement") else {
        reporter.error(
            root.start,
            Problem::new("missing-statement", "the document has no `Statement`"),
        );
        return (Vec::new(), false);
    };
    let scope = DocumentScope::new(options, variables);
    let mut statements = Vec::new();
    reporter.enter("Statement", |reporter| match &element.kind {
        NodeKind::Map(_) => statements.extend(compile_statement(element, &scope, reporter)),
        NodeKind::List(nodes) if nodes.is_empty() => reporter.error(
            element.start,
            Problem::new("missing-statement", "the list of statements is empty"),
        ),
        NodeKind::List(nodes) => {
            for (index, node) in nodes.iter().enumerate() {
                reporter.enter_index(index, |reporter| {
                    statements.extend(compile_statement(node, &scope, reporter));
                });
            }
        }
        _ => reporter.wrong_type(element, "a statement or a list of statements"),
    });
    // IAM requires it of identity policies; an endpoint policy only has a warning.
    if options.attachment == Attachment::Identity && options.is_strict() {
        for (sid, at) in sid::duplicates(element) {
            let message = format!("the Sid `{sid}` is given twice");
            reporter.error(at, Problem::new("duplicate-sid", message));
        }
    }
    (statements, variables)
}

/// Whether the version that a Version element names has variables.
fn has_variables(node: &Node<'_>, reporter: &mut Reporter<'_>) -> bool {
    match node.text() {
        Some("2012-10-17") => return true,
        Some("2008-10-17") => {}
        Some(other) => reporter.error(
            node.start,
            Problem::new(
                "version",
                format!("there is no version `{other}` of the language"),
            )
            .fix("write `2012-10-17`"),
        ),
        None => reporter.wrong_type(node, "a string"),
    }
    false
}
