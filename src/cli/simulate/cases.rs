//! `simulate --cases`: one decision per JSON line.

use std::fmt;
use std::io::{self, BufRead, Write};

use serde::Serialize;

use super::given::{Given, Keys};
use super::layer::{Document, Layer, LayerDecision, deciding, name};
use super::options;
use crate::policy::json::{self, Node, NodeKind};
use crate::policy::{Attachment, Diagnostic, Outcome, Policy};

/// How the cases went.
#[derive(Debug, Default)]
pub(in crate::cli) struct Tally {
    pub(super) cases: usize,
    pub(super) expected: usize,
    pub(super) mismatched: usize,
    pub(super) unreadable: usize,
}

impl Tally {
    /// Was every case readable, and as expected where it says so?
    pub(in crate::cli) fn is_good(&self) -> bool {
        self.mismatched == 0 && self.unreadable == 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally {
            cases,
            expected,
            mismatched,
            unreadable,
        } = self;
        write!(
            f,
            "{cases} cases, {expected} with an expectation: {mismatched} not as expected"
        )?;
        if *unreadable > 0 {
            write!(f, ", {unreadable} not readable")?;
        }
        Ok(())
    }
}

/// Decides every line of `input`; blank lines are skipped.
pub(super) fn decide_all(input: impl BufRead, out: &mut impl Write) -> io::Result<Tally> {
    let mut tally = Tally::default();
    for line in input.split(b'\n') {
        let line = line?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        tally.cases += 1;
        let answer = match std::str::from_utf8(&line) {
            Ok(text) => decide_line(text.trim()),
            Err(_) => Answer::error("null".into(), "the line is not UTF-8".into()),
        };
        tally.expected += usize::from(answer.expect.is_some());
        tally.mismatched += usize::from(answer.mismatch == Some(true));
        tally.unreadable += usize::from(answer.error.is_some());
        serde_json::to_writer(&mut *out, &answer)?;
        out.write_all(b"\n")?;
    }
    Ok(tally)
}

/// The answer to one case.
#[derive(Serialize)]
pub(super) struct Answer {
    #[serde(serialize_with = "raw")]
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<&'static str>,
    #[serde(rename = "final", skip_serializing_if = "Option::is_none")]
    last: Option<&'static str>,
    /// The deciding statement: its Sid, or its number counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<String>,
    /// Which document the statement is of, `endpointPolicies[0]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    /// An unknown decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expect: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mismatch: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    findings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Answer {
    fn error(id: String, error: String) -> Answer {
        Answer {
            id,
            endpoint: None,
            identity: None,
            last: None,
            statement: None,
            policy: None,
            unknown: None,
            expect: None,
            mismatch: None,
            findings: Vec::new(),
            error: Some(error),
        }
    }
}

/// The id is written as it came: text or number.
fn raw<S: serde::Serializer>(id: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let value: serde_json::Value = serde_json::from_str(id).unwrap_or(serde_json::Value::Null);
    value.serialize(serializer)
}

fn decide_line(line: &str) -> Answer {
    let (root, duplicates) = match json::read_with_duplicates(line) {
        Ok(read) => read,
        Err(findings) => return Answer::error("null".into(), sentence(&findings)),
    };
    let id = root
        .member("id")
        .and_then(|id| line.get(id.start..id.end))
        .unwrap_or("null")
        .to_owned();
    let in_document = |finding: &&Diagnostic| {
        LAYERS
            .iter()
            .any(|layer| finding.path.starts_with(&format!("$.{layer}[")))
    };
    if let Some(outside) = duplicates.iter().find(|finding| !in_document(finding)) {
        return Answer::error(id, outside.to_string());
    }
    match decide_case(line, &root, &duplicates) {
        Ok(answer) => Answer { id, ..answer },
        Err(error) => Answer::error(id, error),
    }
}

/// The members of a case that hold documents.
const LAYERS: [&str; 2] = ["endpointPolicies", "identityPolicies"];

fn decide_case(line: &str, root: &Node<'_>, duplicates: &[Diagnostic]) -> Result<Answer, String> {
    let request = root.member("request").ok_or("the case has no `request`")?;
    let keys = Keys::from_json(request.member("context"), request.member("unknown"))?;
    let principal = match request.member("principal") {
        None => None,
        Some(node) => match &node.kind {
            NodeKind::Null => None,
            NodeKind::String(text) => Some(&**text),
            NodeKind::Map(members) => match members.as_slice() {
                [only] => Some(only.value.text().ok_or("`principal` is not a string")?),
                _ => return Err("`principal` is not a string".into()),
            },
            _ => return Err("`principal` is not a string".into()),
        },
    };
    let action = request
        .member("action")
        .and_then(Node::text)
        .ok_or("`action` is not a string")?;
    let resources = match request
        .member("resource")
        .map(|node| (&node.kind, node.text()))
    {
        None | Some((NodeKind::Null, _)) => Vec::new(),
        Some((_, Some(text))) => vec![text],
        Some((NodeKind::List(nodes), _)) => nodes
            .iter()
            .map(|node| {
                node.text()
                    .ok_or("`resource` is not a string or a list of strings")
            })
            .collect::<Result<_, _>>()?,
        Some(_) => return Err("`resource` is not a string or a list of strings".into()),
    };
    let given = Given::new(principal, action, &resources, keys)?;
    let expect = match root.member("expect") {
        None
        | Some(Node {
            kind: NodeKind::Null,
            ..
        }) => None,
        Some(node) => match node.text() {
            Some(text @ ("allow" | "explicitDeny" | "implicitDeny")) => Some(text.to_owned()),
            _ => return Err("`expect` is not `allow`, `explicitDeny` or `implicitDeny`".into()),
        },
    };
    let mut findings = Vec::new();
    let [endpoint, identity] = LAYERS;
    let endpoint = read_layer(
        line,
        root,
        endpoint,
        Attachment::Endpoint,
        duplicates,
        &mut findings,
    )?;
    let identity = read_layer(
        line,
        root,
        identity,
        Attachment::Identity,
        duplicates,
        &mut findings,
    )?;
    // No endpoint policy attached is AWS's default, full access.
    let endpoint = endpoint.filter(|layer| !layer.documents.is_empty() || layer.invalid);
    let endpoint = endpoint.as_ref().map(|layer| layer.decide(&given));
    let identity = identity.as_ref().map(|layer| layer.decide(&given));
    let decided = deciding(endpoint.as_ref(), identity.as_ref());
    let outcome = decided.map_or(Outcome::Allow, |decided| decided.decision.outcome);
    let mismatch = expect.as_ref().map(|expect| *expect != name(outcome));
    let named = decided.filter(|_| outcome != Outcome::ImplicitDeny);
    Ok(Answer {
        id: String::new(),
        endpoint: Some(endpoint.as_ref().map_or("allow", LayerDecision::name)),
        identity: identity.as_ref().map(LayerDecision::name),
        last: Some(name(outcome)),
        statement: named.and_then(LayerDecision::statement),
        policy: named
            .and_then(|decided| decided.by)
            .map(|document| document.name.clone()),
        unknown: decided
            .and_then(|decided| decided.decision.unknown)
            .map(|_| true),
        expect,
        mismatch,
        findings,
        error: None,
    })
}

fn read_layer(
    line: &str,
    root: &Node<'_>,
    member: &'static str,
    attachment: Attachment,
    duplicates: &[Diagnostic],
    findings: &mut Vec<String>,
) -> Result<Option<Layer>, String> {
    let nodes = match root.member(member) {
        None => return Ok(None),
        Some(node) => match &node.kind {
            NodeKind::Null => return Ok(None),
            NodeKind::List(nodes) => nodes.as_slice(),
            NodeKind::Map(_) | NodeKind::String(_) => std::slice::from_ref(node),
            _ => return Err(format!("`{member}` is not a list of documents")),
        },
    };
    let mut layer = Layer::default();
    for (index, node) in nodes.iter().enumerate() {
        let name = format!("{member}[{index}]");
        let path = format!("$.{name}.");
        let repeated: Vec<Diagnostic> = duplicates
            .iter()
            .filter(|finding| finding.path.starts_with(&path))
            .cloned()
            .collect();
        let compiled = match node.text() {
            _ if !repeated.is_empty() => Err(repeated),
            Some(text) => Policy::compile(text, &options(attachment)),
            None => Policy::compile_node(line, node, &options(attachment)),
        };
        match compiled {
            Ok(policy) => layer.documents.push(Document {
                name,
                policy,
                text: None,
            }),
            Err(found) => {
                layer.invalid = true;
                findings.extend(found.iter().map(|finding| format!("{name}: {finding}")));
            }
        }
    }
    Ok(Some(layer))
}

fn sentence(findings: &[Diagnostic]) -> String {
    findings
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}
