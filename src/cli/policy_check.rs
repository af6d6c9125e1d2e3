//! `kinesis-gate check` of policy documents: the policy linter's errors and warnings.

use std::io::{self, BufRead, Write};

use serde::Serialize;
use serde_json::Value;

use crate::kinesis::ACTION_NAMES;
use crate::policy::json::{self, Node, NodeKind};
use crate::policy::{Attachment, Diagnostic, Level, Listener, Options, lint};

use super::output::OutputFormat;

/// All errors of a document, or all warnings if it has no errors.
pub(super) fn diagnostics(
    text: &str,
    attachment: Attachment,
    listener: Option<&Listener<'_>>,
) -> Vec<Diagnostic> {
    let options = Options {
        actions: ACTION_NAMES,
        ..match attachment {
            Attachment::Endpoint => Options::ENDPOINT,
            Attachment::Identity => Options::IDENTITY,
        }
    };
    lint(text, &options, listener)
}

/// Prints the diagnostics of one document. Returns whether there are no errors.
pub(super) fn print(
    name: &str,
    diagnostics: &[Diagnostic],
    format: OutputFormat,
    out: &mut impl Write,
) -> io::Result<bool> {
    match format {
        OutputFormat::Json => Report::new(Some(name), None, diagnostics).write(out)?,
        OutputFormat::Text => {
            for diagnostic in diagnostics {
                writeln!(out, "{name}: {}: {diagnostic}", word(diagnostic.level))?;
            }
        }
    }
    Ok(diagnostics.iter().all(|it| it.level != Level::Error))
}

/// Checks JSON lines `{"id", "document": "<text>"}` and writes `{"id", "level", "findings"}` for
/// each; skips blank lines. A line may have `"attachment": "identity"`. Returns whether no line has
/// an error.
pub(super) fn check_lines(
    input: impl BufRead,
    attachment: Attachment,
    out: &mut impl Write,
) -> io::Result<bool> {
    let mut is_valid = true;
    for line in input.split(b'\n') {
        let line = line?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let line = String::from_utf8_lossy(&line);
        let (id, diagnostics) = check_line(line.trim(), attachment);
        let report = Report::new(None, Some(&id), &diagnostics);
        is_valid &= report.level != "error";
        report.write(out)?;
    }
    Ok(is_valid)
}

fn check_line(line: &str, attachment: Attachment) -> (Value, Vec<Diagnostic>) {
    let root = match json::read(line) {
        Ok(root) => root,
        Err(errors) => return (Value::Null, errors),
    };
    let source = |node: &Node<'_>| line.get(node.start..node.end);
    let id = root.member("id").and_then(source);
    let id = id.and_then(|id| serde_json::from_str(id).ok());
    let attachment = match root.member("attachment").and_then(Node::text) {
        Some("identity") => Attachment::Identity,
        Some("endpoint") => Attachment::Endpoint,
        _ => attachment,
    };
    let diagnostics = match root.member("document") {
        None => vec![no_document()],
        Some(node) => match &node.kind {
            NodeKind::String(text) => diagnostics(text, attachment, None),
            _ => diagnostics(source(node).unwrap_or(""), attachment, None),
        },
    };
    (id.unwrap_or_default(), diagnostics)
}

fn no_document() -> Diagnostic {
    Diagnostic {
        code: "line",
        level: Level::Error,
        line: 1,
        column: 1,
        path: "$".into(),
        message: "the line has no `document`".into(),
        fix: Some("write `{\"id\": …, \"document\": \"<text>\"}`".into()),
    }
}

/// The report of one document, as JSON.
#[derive(Serialize)]
struct Report<'d> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'d Value>,
    /// The highest level of the diagnostics, or `none`.
    level: &'static str,
    findings: Vec<ReportedDiagnostic<'d>>,
}

#[derive(Serialize)]
struct ReportedDiagnostic<'d> {
    code: &'static str,
    level: &'static str,
    line: u32,
    column: u32,
    path: &'d str,
    message: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<&'d str>,
}

impl<'d> Report<'d> {
    fn new(
        file: Option<&'d str>,
        id: Option<&'d Value>,
        diagnostics: &'d [Diagnostic],
    ) -> Report<'d> {
        let reported = diagnostics.iter().map(|it| ReportedDiagnostic {
            code: it.code,
            level: word(it.level),
            line: it.line,
            column: it.column,
            path: &it.path,
            message: &it.message,
            fix: it.fix.as_deref(),
        });
        let levels = diagnostics.iter().map(|it| it.level);
        Report {
            file,
            id,
            level: levels.max().map_or("none", word),
            findings: reported.collect(),
        }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warn",
    }
}
