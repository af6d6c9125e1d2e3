//! The command line: `run`, `check`, `credentials`, `simulate`, `learn`, `replay`, `tail`, `sandbox`,
//! `health`, `completions`, `man`.

mod check;
mod credentials;
mod decision_log;
mod health;
mod learn;
mod manual;
mod output;
mod policy_check;
mod progress;
mod replay;
mod run;
#[cfg(feature = "sandbox")]
mod sandbox;
mod simulate;
mod tail;

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

/// Runs the command of the process's arguments.
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

/// Decides every JSON line of `input` as `simulate --cases` does; skips blank lines. Returns
/// whether every line was readable and met its expectation.
///
/// If reading or writing fails.
/// When reading or writing fails.
pub fn simulate_cases(input: impl BufRead, out: &mut impl Write) -> io::Result<bool> {
    simulate::cases(input, out).map(|counts| counts.is_success())
}

/// Checks every JSON line of `input` as `check --lines` does, as an endpoint policy; skips blank
/// lines. Returns whether no document has an error.
///
/// If reading or writing fails.
/// When reading or writing fails.
pub fn check_lines(input: impl BufRead, out: &mut impl Write) -> io::Result<bool> {
    policy_check::check_lines(input, Attachment::Endpoint, out)
}
