//! `kinesis-gate run`: the gate as a process; signals reload it and drain it (graceful shutdown).

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::{self, RunningGate};
use crate::observe::{LogFormat, Sink};

use super::output::{fail, finish};

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
    if let Some(note) = raise_open_files(loaded.open_files()) {
        eprintln!("note: {note}");
    }
    let inherited = match inherited_sockets() {
        Ok(sockets) => sockets,
        Err(error) => return fail(format_args!("the sockets handed over: {error}")),
    };
    let bound = match loaded.bind_with(inherited) {
        Ok(bound) => bound,
        Err(problems) => return fail(problems),
    };
    let announcements = bound.announcements();
    let result = Sink::stdout().and_then(|out| {
        let running = bound.start(out, LogFormat::Json)?;
        for line in announcements {
            eprintln!("{line}");
        }
        serve(running)
    });
    finish(result.map_err(|error| format!("cannot serve: {error}")))
}

/// The listening sockets from the service manager: socket activation of systemd.
fn inherited_sockets() -> io::Result<Vec<TcpListener>> {
    let mut inherited = ListenFd::from_env();
    let sockets = (0..inherited.len()).map(|place| inherited.take_tcp_listener(place));
    let sockets = sockets.collect::<io::Result<Vec<_>>>()?;
    Ok(sockets.into_iter().flatten().collect())
}

/// Notifies the service manager, if there is one.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        eprintln!("the service manager cannot be told: {error}");
    }
}

/// Raises the limit of open files as far as possible. Returns a note if it stays below `needed`.
fn raise_open_files(needed: u64) -> Option<String> {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit >= needed => None,
        Ok(limit) => Some(format!(
            "{limit} files may be open at once, and `limits.connections` may need {needed}: raise \
             the hard limit of open files, or lower `connections`"
        )),
        Err(error) => Some(format!("the limit of open files cannot be raised: {error}")),
    }
}

/// Serves until a signal or the admin port requests a drain, then drains. SIGHUP reloads. Notifies
/// the service manager of each.
pub(super) fn serve(running: RunningGate) -> io::Result<()> {
    Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(stop_signal(&running))?;
    eprintln!("draining");
    notify(&[NotifyState::Stopping]);
    running.drain()
}

async fn stop_signal(running: &RunningGate) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    // Not earlier: without a handler, a signal ends the process.
    notify(&[NotifyState::Ready]);
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            () = running.drain_requested() => return Ok(()),
            _ = hangup.recv() => {
                if let Ok(now) = NotifyState::monotonic_usec_now() {
                    notify(&[NotifyState::Reloading, now]);
                }
                // The reload reports on standard error.
                let _ = running.reload();
                notify(&[NotifyState::Ready]);
            }
        }
    }
}
