//! `kinesis-gate run`.

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::{self, Running};
use crate::observe::{LogFormat, Sink};

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
    if let Some(note) = raise_open_files(loaded.open_files()) {
        eprintln!("note: {note}");
    }
    let handed = match handed_over() {
        Ok(handed) => handed,
        Err(error) => return fail(format_args!("the sockets handed over: {error}")),
    };
    let bound = match loaded.bind_with(handed) {
        Ok(bound) => bound,
        Err(problems) => return fail(problems),
    };
    let announcements = bound.announcements();
    let served = Sink::stdout().and_then(|out| {
        let running = bound.start(out, LogFormat::Json)?;
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

/// Sockets that listen already, from the service manager: systemd's socket activation.
fn handed_over() -> io::Result<Vec<TcpListener>> {
    let mut handed = ListenFd::from_env();
    let each = (0..handed.len()).map(|place| handed.take_tcp_listener(place));
    let sockets = each.collect::<io::Result<Vec<_>>>()?;
    Ok(sockets.into_iter().flatten().collect())
}

/// Tells the service manager, if there is one.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        eprintln!("the service manager cannot be told: {error}");
    }
}

/// Raises the limit of open files as far as this process may; says if that is less than `needed`.
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

/// Serves until the process, or its admin port, is told to stop, then drains. SIGHUP reloads. The
/// service manager is told of each.
pub(super) fn serve(running: Running) -> io::Result<()> {
    Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(stop_signal(&running))?;
    eprintln!("draining");
    tell(&[NotifyState::Stopping]);
    running.drain()
}

async fn stop_signal(running: &Running) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    // Not before: a signal that nobody waits for would end the process.
    tell(&[NotifyState::Ready]);
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            () = running.asked_to_drain() => return Ok(()),
            _ = hangup.recv() => {
                if let Ok(now) = NotifyState::monotonic_usec_now() {
                    tell(&[NotifyState::Reloading, now]);
                }
                // It is told on standard error.
                let _ = running.reload();
                tell(&[NotifyState::Ready]);
            }
        }
    }
}
