//! `kinesis-gate simulate`: would this request be allowed, and why?

mod cases;
mod given;
mod layer;
mod report;
mod written;

use std::io::{self, BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use layer::{Document, Layer};

use super::progress;
use crate::policy::{Attachment, Options, Policy, Strictness};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// An endpoint policy; several count as one. None: AWS's default, which allows everything.
    #[arg(long = "policy", value_name = "FILE")]
    policies: Vec<PathBuf>,
    /// An identity policy of the caller; several count as one. None: the caller's are not asked.
    #[arg(long = "identity-policy", value_name = "FILE")]
    identity_policies: Vec<PathBuf>,
    /// Who asks: an ARN, an account id, a service principal, `*` for unsigned. Left out: unknown.
    #[arg(long, value_name = "ARN")]
    principal: Option<String>,
    /// What is asked, as `kinesis:PutRecord`.
    #[arg(long, value_name = "ACTION", required_unless_present = "cases")]
    action: Option<String>,
    /// An ARN, or `*` for none; repeat for an operation that names several.
    #[arg(long = "resource", value_name = "ARN")]
    resources: Vec<String>,
    /// A condition key's value; repeat the key for several values. Keys not given are absent.
    #[arg(long = "context", value_name = "KEY=VALUE")]
    context: Vec<String>,
    /// A condition key that the gate could not know.
    #[arg(long = "unknown", value_name = "KEY")]
    unknown: Vec<String>,
    /// Decide many: JSON lines `{"id", "endpointPolicies", "identityPolicies"?, "request",
    /// "expect"?}` from a file, or `-`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["policies", "identity_policies", "action"])]
    cases: Option<PathBuf>,
    /// How to print one decision.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let result = match &arguments.cases {
        Some(file) => run_cases(file),
        None => run_one(arguments),
    };
    match result {
        Ok(code) => code,
        Err(message) => super::fail(message),
    }
}

fn run_cases(file: &Path) -> Result<ExitCode, String> {
    let input = progress::lines(file)
        .map_err(|error| format!("{}: cannot be read: {error}", file.display()))?;
    let mut out = BufWriter::new(io::stdout().lock());
    let tally = cases::decide_all(input, &mut out).map_err(|error| error.to_string())?;
    out.flush().map_err(|error| error.to_string())?;
    if tally.expected > 0 || tally.unreadable > 0 {
        eprintln!("{tally}");
    }
    Ok(if tally.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Decides every JSON line of `input`.
pub(super) fn cases(input: impl BufRead, out: &mut impl Write) -> io::Result<cases::Tally> {
    cases::decide_all(input, out)
}

fn run_one(arguments: &Arguments) -> Result<ExitCode, String> {
    let action = arguments.action.as_deref().unwrap_or_default();
    let resources: Vec<&str> = arguments.resources.iter().map(String::as_str).collect();
    let given = given::Given::new(
        arguments.principal.as_deref(),
        action,
        &resources,
        given::Keys::from_arguments(&arguments.context, &arguments.unknown)?,
    )?;
    let endpoint = load(&arguments.policies, Attachment::Endpoint)?;
    let identity = load(&arguments.identity_policies, Attachment::Identity)?;
    let report = report::Report::of(endpoint.as_ref(), identity.as_ref(), &given);
    let mut out = io::stdout().lock();
    let written = match arguments.format {
        Format::Text => write!(out, "{report}"),
        Format::Json => writeln!(out, "{}", report.to_json()),
    };
    written.map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

fn load(files: &[PathBuf], attachment: Attachment) -> Result<Option<Layer>, String> {
    if files.is_empty() {
        return Ok(None);
    }
    let mut layer = Layer::default();
    for file in files {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("{name}: cannot be read: {error}"))?;
        let policy = Policy::compile(&text, &options(attachment)).map_err(|findings| {
            let lines: Vec<String> = findings
                .iter()
                .map(|finding| format!("{name}: {finding}"))
                .collect();
            lines.join("\n")
        })?;
        layer.documents.push(Document {
            name,
            policy,
            text: Some(text),
        });
    }
    Ok(Some(layer))
}

/// Everything that has one meaning is decided here, also what `check` refuses as AWS does.
fn options(attachment: Attachment) -> Options<'static> {
    Options {
        attachment,
        actions: &[],
        max_characters: None,
        strictness: Strictness::Evaluable,
    }
}
