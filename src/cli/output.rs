//! The output of commands: its format, and the exit code of a failure.

use std::fmt::Display;
use std::process::ExitCode;

/// The format of a command's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum OutputFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Prints an error, and returns the exit code of a failure.
pub(super) fn fail(error: impl Display) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}

/// The exit code of a command that succeeded, or found something wrong.
pub(super) fn exit_code(is_success: bool) -> ExitCode {
    match is_success {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// The exit code of a command; prints its error.
pub(super) fn finish(result: Result<(), impl Display>) -> ExitCode {
    result.map_or_else(fail, |()| ExitCode::SUCCESS)
}
