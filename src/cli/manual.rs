//! `kinesis-gate completions` and `kinesis-gate man`: the command line's definition, for shells and
//! for readers.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Command;
use clap_complete::{Shell, generate};
use clap_mangen::Man;

use super::output::fail;

#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// Which shell they are for.
    shell: Shell,
}

pub(super) fn completions(arguments: &Completions, mut command: Command) -> ExitCode {
    // The generator would end the process at a closed pipe, so it writes to memory.
    let mut script = Vec::new();
    generate(arguments.shell, &mut command, "kinesis-gate", &mut script);
    print(&script)
}

/// Prints one page, with the sections of the commands after their list.
pub(super) fn man(mut command: Command) -> ExitCode {
    command.build();
    let mut page = Vec::new();
    let rendered = Man::new(command.clone()).render(&mut page).and_then(|()| {
        command
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help")
            .try_for_each(|sub| {
                writeln!(page, ".SH \"{}\"", sub.get_name().to_uppercase())?;
                let sub = Man::new(sub.clone());
                sub.render_description_section(&mut page)?;
                sub.render_options_section(&mut page)
            })
    });
    match rendered {
        Ok(()) => print(&page),
        Err(error) => fail(format_args!("cannot write the manual page: {error}")),
    }
}

fn print(text: &[u8]) -> ExitCode {
    match io::stdout().write_all(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(format_args!("cannot write to standard output: {error}")),
    }
}
