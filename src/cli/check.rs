//! `kinesis-gate check`.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::check_policy::{self, Format};
use super::progress;
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
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let attachment = if arguments.identity {
        Attachment::Identity
    } else {
        Attachment::Endpoint
    };
    let vpc_is_stated = match arguments
        .config
        .as_deref()
        .map(every_endpoint_states_its_vpc)
    {
        Some(Err(problems)) => {
            eprintln!("{problems}");
            return ExitCode::FAILURE;
        }
        Some(Ok(stated)) => Some(stated),
        None => None,
    };
    let knows = |key: crate::policy::Key<'_>| app::knows(key, vpc_is_stated.unwrap_or(false));
    let listener = vpc_is_stated.map(|_| Listener {
        knows: &knows,
        knows_principal_arn: false,
    });
    let mut good = true;
    for file in &arguments.files {
        match check(file, attachment, listener.as_ref(), arguments.format) {
            Ok(valid) => good &= valid,
            Err(problems) => {
                eprintln!("{problems}");
                good = false;
            }
        }
    }
    if let Some(file) = &arguments.lines {
        match check_lines(file, attachment) {
            Ok(valid) => good &= valid,
            Err(error) => return super::fail(format_args!("{}: {error}", file.display())),
        }
    }
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether `aws:SourceVpc` is known whichever endpoint of a configuration a request comes through.
fn every_endpoint_states_its_vpc(file: &Path) -> Result<bool, Problems> {
    let text = read(file)?;
    let config = Config::parse(&text, file)?;
    Ok(config
        .endpoints
        .iter()
        .all(|endpoint| endpoint.vpc.is_some()))
}

fn read(file: &Path) -> Result<String, Problems> {
    std::fs::read_to_string(file).map_err(|error| {
        Problems(vec![Problem::of_file(
            file,
            format_args!("cannot be read: {error}"),
        )])
    })
}

fn check(
    file: &Path,
    attachment: Attachment,
    listener: Option<&Listener<'_>>,
    format: Format,
) -> Result<bool, Problems> {
    if file
        .extension()
        .is_some_and(|extension| extension == "toml")
    {
        let loaded = app::load(file, app::clock)?;
        for notice in loaded.notices() {
            println!("note: {notice}");
        }
        println!("{}: valid", file.display());
        return Ok(true);
    }
    let text = read(file)?;
    let findings = check_policy::findings(&text, attachment, listener);
    let mut out = io::stdout().lock();
    let name = file.display().to_string();
    let valid = check_policy::print(&name, &findings, format, &mut out).unwrap_or(false);
    if valid && format == Format::Text {
        println!("{name}: valid");
    }
    Ok(valid)
}

fn check_lines(file: &Path, attachment: Attachment) -> io::Result<bool> {
    let mut out = BufWriter::new(io::stdout().lock());
    let valid = check_policy::lines(progress::lines(file)?, attachment, &mut out)?;
    out.flush()?;
    Ok(valid)
}
