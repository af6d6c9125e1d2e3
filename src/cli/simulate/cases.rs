//! `simulate --cases`: one decision for each JSON line.

use std::fmt;
use std::io::{self, BufRead, Write};

use serde::Serialize;

use crate::policy::json::{self, Node, NodeKind};
use crate::policy::{Attachment, Diagnostic, Outcome, Policy};

use super::layer::{Document, Layer, LayerDecision, deciding_layer, options, outcome_name};
use super::request::{ContextKeys, DescribedRequest};

/// The number of cases, by result.
#[derive(Debug, Default)]
pub(in crate::cli) struct CaseCounts {
    pub(super) cases: usize,
    /// Cases with an expectation.
    pub(super) expectations: usize,
    pub(super) mismatches: usize,
    pub(super) unreadable: usize,
}

impl CaseCounts {
    /// Whether every case was readable and met its expectation.
    pub(in crate::cli) fn is_success(&self) -> bool {
        self.mismatches == 0 && self.unreadable == 0
    }
}

impl fmt::Display for CaseCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CaseCounts {
            cases,
            expectations,
            mismatches,
            unreadable,
        } = self;
        write!(
            f,
            "{cases} cases, {expectations} with an expectation: {mismatches} not as expected"
        )?;
        if *unreadable > 0 {
            write!(f, ", {unreadable} not readable")?;
        }
        Ok(())
    }
}

/// Decides every line of `input`; skips blank lines.
pub(super) fn decide_all(input: impl BufRead, out: &mut impl Write) -> io::Result<CaseCounts> {
    let mut counts = CaseCounts::default();
    for line in input.split(b'\n') {
        let line = line?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        counts.cases += 1;
        let result = match std::str::from_utf8(&line) {
            Ok(text) => decide_line(text.trim()),
            Err(_) => CaseResult::error("null", "the line is not UTF-8"),
        };
        counts.expectations += usize::from(result.expect.is_some());
        counts.mismatches += usize::from(result.mismatch == Some(true));
        counts.unreadable += usize::from(result.error.is_some());
        serde_json::to_writer(&mut *out, &result)?;
        out.write_all(b"\n")?;
    }
    Ok(counts)
}

/// The result of one case.
#[derive(Default, Serialize)]
struct CaseResult {
    #[serde(serialize_with = "raw")]
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<&'static str>,
    #[serde(rename = "final", skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    /// The deciding statement: its Sid, or its number counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<String>,
    /// The document of the statement, such as `endpointPolicies[0]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    /// Whether an unknown fact made the decision.
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

impl CaseResult {
    fn error(id: &str, error: impl Into<String>) -> CaseResult {
        CaseResult {
            id: id.to_owned(),
            error: Some(error.into()),
            ..CaseResult::default()
        }
    }
}

/// Writes the id as text or number, as in the case.
fn raw<S: serde::Serializer>(id: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let value: serde_json::Value = serde_json::from_str(id).unwrap_or(serde_json::Value::Null);
    value.serialize(serializer)
}

fn decide_line(line: &str) -> CaseResult {
    let (root, duplicates) = match json::read_with_duplicates(line) {
        Ok(read) => read,
        Err(errors) => return CaseResult::error("null", join(&errors)),
    };
    let id = root.member("id");
    let id = id.and_then(|id| line.get(id.start..id.end));
    let id = id.unwrap_or("null");
    let is_in_document = |duplicate: &&Diagnostic| {
        let path = &duplicate.path;
        let mut layers = LAYERS.iter();
        layers.any(|layer| path.starts_with(&format!("$.{layer}[")))
    };
    if let Some(outside) = duplicates.iter().find(|it| !is_in_document(it)) {
        return CaseResult::error(id, outside.to_string());
    }
    match decide_case(line, &root, &duplicates) {
        Ok(result) => CaseResult {
            id: id.to_owned(),
            ..result
        },
        Err(error) => CaseResult::error(id, error),
    }
}

/// The members of a case that hold documents.
const LAYERS: [&str; 2] = ["endpointPolicies", "identityPolicies"];

fn decide_case(
    line: &str,
    root: &Node<'_>,
    duplicates: &[Diagnostic],
) -> Result<CaseResult, String> {
    let request = root.member("request").ok_or("the case has no `request`")?;
    let keys = ContextKeys::from_json(request.member("context"), request.member("unknown"))?;
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
    let request = DescribedRequest::new(principal, action, &resources, keys)?;
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
    let mut read =
        |member, attachment| read_layer(line, root, member, attachment, duplicates, &mut findings);
    let endpoint = read(endpoint, Attachment::Endpoint)?;
    let identity = read(identity, Attachment::Identity)?;
    // Without an endpoint policy, AWS's default applies: full access.
    let endpoint = endpoint.filter(|layer| !layer.documents.is_empty() || layer.is_invalid);
    let endpoint = endpoint.as_ref().map(|layer| layer.decide(&request));
    let identity = identity.as_ref().map(|layer| layer.decide(&request));
    let deciding = deciding_layer(endpoint.as_ref(), identity.as_ref());
    let outcome = deciding.map_or(Outcome::Allow, |it| it.decision.outcome);
    let mismatch = expect
        .as_ref()
        .map(|expect| *expect != outcome_name(outcome));
    let explicit = deciding.filter(|_| outcome != Outcome::ImplicitDeny);
    Ok(CaseResult {
        id: String::new(),
        endpoint: Some(endpoint.as_ref().map_or("allow", LayerDecision::name)),
        identity: identity.as_ref().map(LayerDecision::name),
        outcome: Some(outcome_name(outcome)),
        statement: explicit.and_then(LayerDecision::statement),
        policy: explicit.and_then(|it| Some(it.document?.name.clone())),
        unknown: deciding.and_then(|it| it.decision.unknown.map(|_| true)),
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
            .filter(|duplicate| duplicate.path.starts_with(&path))
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
                layer.is_invalid = true;
                findings.extend(found.iter().map(|finding| format!("{name}: {finding}")));
            }
        }
    }
    Ok(Some(layer))
}

fn join(errors: &[Diagnostic]) -> String {
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    errors.join("; ")
}
