//! The elements of a statement as its document has them.

use crate::policy::json::{self, Node, NodeKind};

/// Name and text of the elements that say whom, what and where a statement is about.
pub(super) struct Written {
    pub(super) principal: Option<(String, String)>,
    pub(super) action: Option<(String, String)>,
    pub(super) resource: Option<(String, String)>,
}

/// The elements of every statement, in order; none of a text that is no policy.
pub(super) fn statements(text: &str) -> Vec<Written> {
    let Ok(root) = json::read(text) else {
        return Vec::new();
    };
    let nodes = match root.member("Statement") {
        Some(node) => node.list().unwrap_or(std::slice::from_ref(node)),
        None => return Vec::new(),
    };
    nodes.iter().map(|node| of_statement(text, node)).collect()
}

fn of_statement(text: &str, statement: &Node<'_>) -> Written {
    let element = |names: [&str; 2]| {
        names.into_iter().find_map(|name| {
            let node = statement.member(name)?;
            Some((name.to_owned(), value(text, node)))
        })
    };
    Written {
        principal: element(["Principal", "NotPrincipal"]),
        action: element(["Action", "NotAction"]),
        resource: element(["Resource", "NotResource"]),
    }
}

/// More values of a list than a line of a report can show.
const MOST: usize = 8;

fn value(text: &str, node: &Node<'_>) -> String {
    let values: Option<Vec<&str>> = match &node.kind {
        NodeKind::String(text) => Some(vec![text]),
        NodeKind::List(nodes) => nodes.iter().map(Node::text).collect(),
        _ => None,
    };
    let Some(values) = values else {
        let written = text.get(node.start..node.end).unwrap_or_default();
        return written.split_whitespace().collect::<Vec<_>>().join(" ");
    };
    let shown: Vec<String> = values
        .iter()
        .take(MOST)
        .map(|value| format!("`{value}`"))
        .collect();
    let more = values.len().saturating_sub(MOST);
    let rest = if more > 0 {
        format!(", and {more} more")
    } else {
        String::new()
    };
    format!("[{}{rest}]", shown.join(", "))
}
