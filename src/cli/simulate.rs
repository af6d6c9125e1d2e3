//! `kinesis-gate simulate`: the decision about a described request, explained (the policy simulator).

mod cases;
mod layer;
mod report;
mod request;
mod statement_text;

use std::io::{self, BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::policy::{Attachment, Policy};

use super::output::{OutputFormat, exit_code, fail};
use super::progress;

use layer::{Document, Layer, options};

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
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    format: OutputFormat,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let result = match &arguments.cases {
        Some(file) => run_cases(file),
        None => run_one(arguments),
    };
    result.unwrap_or_else(fail)
}

fn run_cases(file: &Path) -> Result<ExitCode, String> {
    let input = progress::lines(file)
        .map_err(|error| format!("{}: cannot be read: {error}", file.display()))?;
    let mut out = BufWriter::new(io::stdout().lock());
    let counts = cases::decide_all(input, &mut out).map_err(|error| error.to_string())?;
    out.flush().map_err(|error| error.to_string())?;
    if counts.expectations > 0 || counts.unreadable > 0 {
        eprintln!("{counts}");
    }
    Ok(exit_code(counts.is_success()))
}

/// Decides every JSON line of `input`.
pub(super) fn cases(input: impl BufRead, out: &mut impl Write) -> io::Result<cases::CaseCounts> {
    cases::decide_all(input, out)
}

fn run_one(arguments: &Arguments) -> Result<ExitCode, String> {
    let action = arguments.action.as_deref().unwrap_or_default();
    let resources: Vec<&str> = arguments.resources.iter().map(String::as_str).collect();
    let request = request::DescribedRequest::new(
        arguments.principal.as_deref(),
        action,
        &resources,
        request::ContextKeys::from_arguments(&arguments.context, &arguments.unknown)?,
    )?;
    let endpoint = load(&arguments.policies, Attachment::Endpoint)?;
    let identity = load(&arguments.identity_policies, Attachment::Identity)?;
    let report = report::Report::new(endpoint.as_ref(), identity.as_ref(), &request);
    let mut out = io::stdout().lock();
    let printed = match arguments.format {
        OutputFormat::Text => write!(out, "{report}"),
        OutputFormat::Json => writeln!(out, "{}", report.to_json()),
    };
    printed.map_err(|error| error.to_string())?;
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
        let policy = Policy::compile(&text, &options(attachment)).map_err(|errors| {
            let lines = errors.iter().map(|error| format!("{name}: {error}"));
            lines.collect::<Vec<String>>().join("\n")
        })?;
        layer.documents.push(Document {
            name,
            policy,
            text: Some(text),
        });
    }
    Ok(Some(layer))
}
