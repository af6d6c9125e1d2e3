//! `kinesis-gate check`: configurations and policy documents.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::output::{OutputFormat, exit_code, fail};
use super::{policy_check, progress};
use crate::app;
use crate::config::{Config, Problem, Problems};
use crate::policy::{Attachment, Listener};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Configurations (`.toml`, with every file they name) and policy documents (any other).
    #[arg(required_unless_present = "lines", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Read policy documents as identity policies, which name no principal.
    #[arg(long)]
    identity: bool,
    /// Also warn of every condition key and principal that the listeners of this configuration
    /// cannot know.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check many documents: JSON lines `{"id", "document": "<text>"}` from a file, or from
    /// standard input.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    lines: Option<PathBuf>,
    /// How to print what is found in policy documents.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    format: OutputFormat,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let attachment = match arguments.identity {
        true => Attachment::Identity,
        false => Attachment::Endpoint,
    };
    let config = arguments.config.as_deref();
    let vpc_is_known = match config.map(every_endpoint_has_a_vpc).transpose() {
        Ok(is_known) => is_known,
        Err(problems) => return fail(problems),
    };
    let knows = |key: crate::policy::Key<'_>| app::knows(key, vpc_is_known.unwrap_or(false));
    let listener = vpc_is_known.map(|_| Listener {
        knows: &knows,
        knows_principal_arn: false,
    });
    let mut is_valid = true;
    for file in &arguments.files {
        match check_file(file, attachment, listener.as_ref(), arguments.format) {
            Ok(file_is_valid) => is_valid &= file_is_valid,
            Err(problems) => {
                eprintln!("{problems}");
                is_valid = false;
            }
        }
    }
    if let Some(file) = &arguments.lines {
        match check_lines(file, attachment) {
            Ok(lines_are_valid) => is_valid &= lines_are_valid,
            Err(error) => return fail(format_args!("{}: {error}", file.display())),
        }
    }
    exit_code(is_valid)
}

/// Whether `aws:SourceVpc` is known for every endpoint of a configuration.
fn every_endpoint_has_a_vpc(file: &Path) -> Result<bool, Problems> {
    let text = read(file)?;
    let config = Config::parse(&text, file)?;
    let mut endpoints = config.endpoints.iter();
    Ok(endpoints.all(|endpoint| endpoint.vpc.is_some()))
}

fn read(file: &Path) -> Result<String, Problems> {
    std::fs::read_to_string(file).map_err(|error| {
        Problems(vec![Problem::of_file(
            file,
            format_args!("cannot be read: {error}"),
        )])
    })
}

fn check_file(
    file: &Path,
    attachment: Attachment,
    listener: Option<&Listener<'_>>,
    format: OutputFormat,
) -> Result<bool, Problems> {
    if file.extension().is_some_and(|it| it == "toml") {
        let loaded = app::load(file, app::clock)?;
        for notice in loaded.notices() {
            println!("note: {notice}");
        }
        println!("{}: valid", file.display());
        return Ok(true);
    }
    let text = read(file)?;
    let diagnostics = policy_check::diagnostics(&text, attachment, listener);
    let mut out = io::stdout().lock();
    let name = file.display().to_string();
    let is_valid = policy_check::print(&name, &diagnostics, format, &mut out).unwrap_or(false);
    if is_valid && format == OutputFormat::Text {
        println!("{name}: valid");
    }
    Ok(is_valid)
}

fn check_lines(file: &Path, attachment: Attachment) -> io::Result<bool> {
    let mut out = BufWriter::new(io::stdout().lock());
    let is_valid = policy_check::check_lines(progress::lines(file)?, attachment, &mut out)?;
    out.flush()?;
    Ok(is_valid)
}
