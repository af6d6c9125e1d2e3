//! Looking at files as they change.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::reload::Reloader;

/// A thread that reloads what changes. Dropped, it ends.
pub(super) struct Watch {
    signals: SyncSender<Signal>,
    thread: Option<JoinHandle<()>>,
}

enum Signal {
    Changed,
    End,
}

/// A change comes as many events; what comes within this time is one.
const GATHER: Duration = Duration::from_millis(100);
/// How often files are looked at where no event tells: some file systems send none.
const LOOK: Duration = Duration::from_secs(10);

impl Watch {
    pub(super) fn start(reloader: Arc<Reloader>) -> std::io::Result<Watch> {
        let (signals, received) = sync_channel(1);
        let told = signals.clone();
        let tell = move |event: notify::Result<Event>| {
            if event.map_or(true, |event| is_change(&event)) {
                let _ = told.try_send(Signal::Changed);
            }
        };
        let watcher = notify::recommended_watcher(tell)
            .inspect_err(|error| eprintln!("files are not watched, only looked at: {error}"))
            .ok();
        let thread = thread::Builder::new().name("reload".to_owned());
        let thread = thread.spawn(move || look(&reloader, watcher, &received))?;
        Ok(Watch {
            signals,
            thread: Some(thread),
        })
    }
}

/// Folders are watched, not files: a file that is replaced, or a link that is turned to another
/// folder as Kubernetes does it, is another file.
fn follow(watcher: &mut RecommendedWatcher, watched: &mut BTreeSet<PathBuf>, reloader: &Reloader) {
    for folder in reloader.folders() {
        if watched.contains(&folder) {
            continue;
        }
        match watcher.watch(&folder, RecursiveMode::NonRecursive) {
            Ok(()) => {
                watched.insert(folder);
            }
            Err(error) => eprintln!("`{}` is not watched: {error}", folder.display()),
        }
    }
}

/// Opening and reading is none, or our own would be.
fn is_change(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

fn look(reloader: &Reloader, watcher: Option<RecommendedWatcher>, received: &Receiver<Signal>) {
    let mut watcher = watcher;
    let mut watched = BTreeSet::new();
    loop {
        if let Some(watcher) = &mut watcher {
            follow(watcher, &mut watched, reloader);
        }
        // What changed before its folder was watched.
        reloader.reload_if_changed();
        match received.recv_timeout(LOOK) {
            Ok(Signal::Changed) => thread::sleep(GATHER),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Signal::End) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.signals.send(Signal::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
