//! The command line: `run`, `check`, `credentials`, `simulate`, `learn`, `replay`, `tail`, `sandbox`,
//! `health`, `completions`, `man`.

mod check;
mod check_policy;
mod credentials;
mod health;
mod learn;
mod log;
mod manual;
mod progress;
mod replay;
mod run;
#[cfg(feature = "sandbox")]
mod sandbox;
mod simulate;
mod tail;

use std::fmt::Display;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::policy::Attachment;

/// A VPC endpoint for Amazon Kinesis Data Streams that you run yourself.
///
/// It terminates TLS, reads each request's action and stream, decides it by an endpoint policy,
/// and forwards it untouched or answers as AWS would: AccessDeniedException.
#[derive(Debug, Parser)]
#[command(name = "kinesis-gate", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gate.
    Run(run::Arguments),
    /// Check configurations and policy documents: valid, or every error, exit code 1.
    Check(check::Arguments),
    /// Credentials for clients of an endpoint that authenticates them by signature.
    Credentials(credentials::Arguments),
    /// Would this request be allowed, and why?
    Simulate(Box<simulate::Arguments>),
    /// From decision logs, the least endpoint policy that allows what was seen.
    Learn(learn::Arguments),
    /// Which past requests would another policy decide differently? Exit code 1 if it would deny
    /// any that was allowed.
    Replay(replay::Arguments),
    /// Decisions as they are made, from a gate's admin port.
    Tail(tail::Arguments),
    /// Try the gate here and now: an in-process Kinesis behind three endpoints, one for each
    /// policy that AWS publishes for Kinesis endpoints.
    #[cfg(feature = "sandbox")]
    Sandbox(sandbox::Arguments),
    /// Ask a gate's admin port whether it is ready: a probe for images that hold nothing else.
    /// Exit code 1 if it is not.
    Health(health::Arguments),
    /// Print completions for a shell.
    Completions(manual::Completions),
    /// Print the manual page, roff.
    Man,
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Credentials(arguments) => credentials::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Learn(arguments) => learn::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Tail(arguments) => tail::run(&arguments),
        #[cfg(feature = "sandbox")]
        Command::Sandbox(arguments) => sandbox::run(&arguments),
        Command::Health(arguments) => health::run(&arguments),
        Command::Completions(arguments) => manual::completions(&arguments, Arguments::command()),
        Command::Man => manual::man(Arguments::command()),
    }
}

/// Decides every JSON line of `input` as `simulate --cases` does; blank lines are skipped. Returns
/// whether every line was readable and as expected.
///
/// # Errors
/// Reading or writing failed.
pub fn simulate_cases(input: impl BufRead, out: &mut impl Write) -> io::Result<bool> {
    simulate::cases(input, out).map(|tally| tally.is_good())
}

/// Checks every JSON line of `input` as `check --lines` does, as endpoint policies; blank lines
/// are skipped. Returns whether no document has an error.
///
/// # Errors
/// Reading or writing failed.
pub fn check_lines(input: impl BufRead, out: &mut impl Write) -> io::Result<bool> {
    check_policy::lines(input, Attachment::Endpoint, out)
}

/// Says what went wrong, and fails.
fn fail(error: impl Display) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}
