//! `kinesis-gate check`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::app;
use crate::config::{Problem, Problems};
use crate::policy::Attachment;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Configurations (`.toml`, with every file they name) and policy documents (any other).
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Read policy documents as identity policies, which name no principal.
    #[arg(long)]
    identity: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for file in &arguments.files {
        match check(file, arguments.identity) {
            Ok(()) => println!("{}: valid", file.display()),
            Err(problems) => {
                eprintln!("{problems}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn check(file: &Path, identity: bool) -> Result<(), Problems> {
    if file
        .extension()
        .is_some_and(|extension| extension == "toml")
    {
        return app::load(file, app::clock).map(|_| ());
    }
    let text = std::fs::read_to_string(file).map_err(|error| {
        Problems(vec![Problem::of_file(
            file,
            format_args!("cannot be read: {error}"),
        )])
    })?;
    let attachment = if identity {
        Attachment::Identity
    } else {
        Attachment::Endpoint
    };
    app::compile(&text, file, attachment)
        .map(|_| ())
        .map_err(Problems)
}
