//! `kinesis-gate check` of policy documents: errors, and warnings worth having.

use std::io::{self, BufRead, Write};

use serde::Serialize;

use crate::kinesis::ACTION_NAMES;
use crate::policy::json::{self, Node, NodeKind};
use crate::policy::{Attachment, Diagnostic, Level, Listener, Options, lint};

/// How to print findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// All errors of a document or, where it has none, all warnings.
pub(super) fn findings(
    text: &str,
    attachment: Attachment,
    listener: Option<&Listener<'_>>,
) -> Vec<Diagnostic> {
    let options = match attachment {
        Attachment::Endpoint => Options::ENDPOINT,
        Attachment::Identity => Options::IDENTITY,
    };
    lint(
        text,
        &Options {
            actions: ACTION_NAMES,
            ..options
        },
        listener,
    )
}

/// Writes what was found in one document. Returns whether it is free of errors.
pub(super) fn print(
    name: &str,
    findings: &[Diagnostic],
    format: Format,
    out: &mut impl Write,
) -> io::Result<bool> {
    match format {
        Format::Json => {
            let level = level(findings);
            let findings = findings.iter().map(Found::of).collect();
            serde_json::to_writer(
                &mut *out,
                &Checked {
                    file: name,
                    level,
                    findings,
                },
            )?;
            writeln!(out)?;
        }
        Format::Text => {
            for finding in findings {
                writeln!(out, "{name}: {}: {}", word(finding.level), finding)?;
            }
        }
    }
    Ok(findings.iter().all(|finding| finding.level != Level::Error))
}

/// Checks JSON lines `{"id", "document": "<text>"}` and writes `{"id", "level", "findings"}` for
/// each; blank lines are skipped. A line may say `"attachment": "identity"`. Returns whether no
/// line has an error.
pub(super) fn lines(
    input: impl BufRead,
    attachment: Attachment,
    out: &mut impl Write,
) -> io::Result<bool> {
    let mut good = true;
    for line in input.split(b'\n') {
        let line = line?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let line = String::from_utf8_lossy(&line);
        let (id, found) = check_line(line.trim(), attachment);
        let level = level(&found);
        good &= level != "error";
        let findings = found.iter().map(Found::of).collect();
        serde_json::to_writer(
            &mut *out,
            &CheckedLine {
                id: &id,
                level,
                findings,
            },
        )?;
        out.write_all(b"\n")?;
    }
    Ok(good)
}

fn check_line(line: &str, attachment: Attachment) -> (serde_json::Value, Vec<Diagnostic>) {
    let root = match json::read(line) {
        Ok(root) => root,
        Err(findings) => return (serde_json::Value::Null, findings),
    };
    let id = root
        .member("id")
        .and_then(|id| line.get(id.start..id.end))
        .and_then(|id| serde_json::from_str(id).ok())
        .unwrap_or_default();
    let attachment = match root.member("attachment").and_then(Node::text) {
        Some("identity") => Attachment::Identity,
        Some("endpoint") => Attachment::Endpoint,
        _ => attachment,
    };
    let found = match root.member("document") {
        None => vec![not_a_line("the line has no `document`")],
        Some(node) => match &node.kind {
            NodeKind::String(text) => findings(text, attachment, None),
            _ => findings(
                line.get(node.start..node.end).unwrap_or(""),
                attachment,
                None,
            ),
        },
    };
    (id, found)
}

fn not_a_line(message: &str) -> Diagnostic {
    Diagnostic {
        code: "line",
        level: Level::Error,
        line: 1,
        column: 1,
        path: "$".into(),
        message: message.into(),
        fix: Some("write `{\"id\": …, \"document\": \"<text>\"}`".into()),
    }
}

#[derive(Serialize)]
struct Checked<'f> {
    file: &'f str,
    level: &'static str,
    findings: Vec<Found<'f>>,
}

#[derive(Serialize)]
struct CheckedLine<'f> {
    id: &'f serde_json::Value,
    level: &'static str,
    findings: Vec<Found<'f>>,
}

#[derive(Serialize)]
struct Found<'f> {
    code: &'static str,
    level: &'static str,
    line: u32,
    column: u32,
    path: &'f str,
    message: &'f str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<&'f str>,
}

impl<'f> Found<'f> {
    fn of(finding: &'f Diagnostic) -> Found<'f> {
        Found {
            code: finding.code,
            level: word(finding.level),
            line: finding.line,
            column: finding.column,
            path: &finding.path,
            message: &finding.message,
            fix: finding.fix.as_deref(),
        }
    }
}

fn level(findings: &[Diagnostic]) -> &'static str {
    findings
        .iter()
        .map(|finding| finding.level)
        .max()
        .map_or("none", word)
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warn",
    }
}
