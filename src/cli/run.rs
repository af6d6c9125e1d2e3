//! `kinesis-gate run`.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::{self, Running};
use crate::observe::Format;

use super::fail;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration, TOML. `config/` holds commented examples.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let loaded = match app::load(&arguments.config, app::clock) {
        Ok(loaded) => loaded,
        Err(problems) => return fail(problems),
    };
    for notice in loaded.notices() {
        eprintln!("note: {notice}");
    }
    let bound = match loaded.bind() {
        Ok(bound) => bound,
        Err(problems) => return fail(problems),
    };
    let announcements = bound.announcements();
    let served = bound.start(io::stdout(), Format::Json).and_then(|running| {
        for line in announcements {
            eprintln!("{line}");
        }
        serve(running)
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(format_args!("cannot serve: {error}")),
    }
}

/// Serves until the process is told to stop, then drains.
pub(super) fn serve(running: Running) -> io::Result<()> {
    Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(stop_signal())?;
    eprintln!("draining");
    running.drain()
}

async fn stop_signal() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
