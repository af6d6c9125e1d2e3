//! The text of a statement's elements, as in its document.

use crate::policy::json::{self, Node, NodeKind};

/// The name and the text of a statement's principal, action and resource elements.
pub(super) struct StatementText {
    pub(super) principal: Option<(String, String)>,
    pub(super) action: Option<(String, String)>,
    pub(super) resource: Option<(String, String)>,
}

/// The texts of every statement, in order; empty if the document is not a policy.
pub(super) fn statements(document: &str) -> Vec<StatementText> {
    let Ok(root) = json::read(document) else {
        return Vec::new();
    };
    let nodes = match root.member("Statement") {
        Some(node) => node.list().unwrap_or(std::slice::from_ref(node)),
        None => return Vec::new(),
    };
    nodes
        .iter()
        .map(|it| statement_text(document, it))
        .collect()
}

fn statement_text(document: &str, statement: &Node<'_>) -> StatementText {
    let element = |names: [&str; 2]| {
        names.into_iter().find_map(|name| {
            let node = statement.member(name)?;
            Some((name.to_owned(), element_text(document, node)))
        })
    };
    StatementText {
        principal: element(["Principal", "NotPrincipal"]),
        action: element(["Action", "NotAction"]),
        resource: element(["Resource", "NotResource"]),
    }
}

/// The most values of a list in a line of a report.
const MAX_VALUES: usize = 8;

fn element_text(document: &str, node: &Node<'_>) -> String {
    let values: Option<Vec<&str>> = match &node.kind {
        NodeKind::String(text) => Some(vec![text]),
        NodeKind::List(nodes) => nodes.iter().map(Node::text).collect(),
        _ => None,
    };
    let Some(values) = values else {
        let text = document.get(node.start..node.end).unwrap_or_default();
        return text.split_whitespace().collect::<Vec<_>>().join(" ");
    };
    let shown: Vec<String> = values
        .iter()
        .take(MAX_VALUES)
        .map(|value| format!("`{value}`"))
        .collect();
    let more = values.len().saturating_sub(MAX_VALUES);
    let rest = match more {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("[{}{rest}]", shown.join(", "))
}
