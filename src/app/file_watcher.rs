//! The file watcher: reloads the configuration when one of its files changes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::reload::Reloader;

/// A thread that reloads changed files. It ends on drop.
pub(super) struct FileWatcher {
    signals: SyncSender<Signal>,
    thread: Option<JoinHandle<()>>,
}

enum Signal {
    Changed,
    End,
}

/// A change comes as many events; events within this time are one change.
const DEBOUNCE_TIME: Duration = Duration::from_millis(100);
/// How often files are read without an event: some file systems send no events.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

impl FileWatcher {
    pub(super) fn start(reloader: Arc<Reloader>) -> std::io::Result<FileWatcher> {
        let (signals, received) = sync_channel(1);
        let changes = signals.clone();
        let on_event = move |event: notify::Result<Event>| {
            if event.map_or(true, |event| is_change(&event)) {
                let _ = changes.try_send(Signal::Changed);
            }
        };
        let watcher = notify::recommended_watcher(on_event)
            .inspect_err(|error| eprintln!("files are not watched, only looked at: {error}"))
            .ok();
        let thread = thread::Builder::new().name("reload".to_owned());
        let thread = thread.spawn(move || run(&reloader, watcher, &received))?;
        Ok(FileWatcher {
            signals,
            thread: Some(thread),
        })
    }
}

fn run(reloader: &Reloader, mut watcher: Option<RecommendedWatcher>, received: &Receiver<Signal>) {
    let mut watched = BTreeSet::new();
    loop {
        if let Some(watcher) = &mut watcher {
            watch_folders(watcher, &mut watched, reloader);
        }
        // Also detects changes from before the folder was watched.
        reloader.reload_if_changed();
        match received.recv_timeout(POLL_INTERVAL) {
            Ok(Signal::Changed) => thread::sleep(DEBOUNCE_TIME),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Signal::End) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Watches the folders and not the files: a replaced file, or a link that is turned to another
/// folder as Kubernetes does it, is another file.
fn watch_folders(
    watcher: &mut RecommendedWatcher,
    watched: &mut BTreeSet<PathBuf>,
    reloader: &Reloader,
) {
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

/// Whether an event is a change. Opening and reading are not: the gate's own reads would be.
fn is_change(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

impl Drop for FileWatcher {
    fn drop(&mut self) {
        let _ = self.signals.send(Signal::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
