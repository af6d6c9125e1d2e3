//! Taking over a changed configuration while requests go on: validated whole, swapped whole, or not
//! at all.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};

use crate::admin::{ReloadStatus, Status};
use crate::config::{Config, Intercept, Problem, Problems};
use crate::credentials::Keeper;
use crate::gate::{RateRules, SnapshotCell};
use crate::listener::ListenerState;
use crate::observe::{Clock, DecisionLog};

use super::control::timestamp;
use super::identity::Kept;
use super::{Loaded, load};

/// What a running gate is replaced in.
pub(super) struct Reloader {
    pub(super) file: PathBuf,
    pub(super) clock: Clock,
    pub(super) listeners: Vec<Listening>,
    pub(super) log: DecisionLog,
    state: Mutex<State>,
    /// By itself: who asks for it does not wait for a reload under way.
    status: Mutex<Status>,
    /// As well.
    rates: Mutex<Arc<RateRules>>,
}

/// A listener that serves.
pub(super) struct Listening {
    /// Its address in the configuration.
    pub(super) configured: SocketAddr,
    /// Where it listens.
    pub(super) bound: SocketAddr,
    pub(super) intercept: Option<Intercept>,
    pub(super) door: Arc<SnapshotCell<ListenerState>>,
}

/// What changes with each reload.
struct State {
    /// The configuration that the process started with: what of it cannot change stays in force.
    first: Config,
    /// The configuration that was read last, whether it was taken over or not.
    read: Config,
    /// Of the files when they were last looked at.
    seen: Digest,
    before: load::Before,
    keepers: Vec<Keeper>,
}

/// Of the content of files.
type Digest = [u8; 32];

/// How often files that change while they are read are read again, and after how long.
const TRIES: usize = 5;
const SETTLE: Duration = Duration::from_millis(50);

impl Reloader {
    pub(super) fn new(
        loaded: &Loaded,
        listeners: Vec<Listening>,
        log: DecisionLog,
        keepers: Vec<Keeper>,
        status: Status,
    ) -> Reloader {
        let state = State {
            first: loaded.config.clone(),
            read: loaded.config.clone(),
            seen: digest(&loaded.config.files(&loaded.file)),
            before: load::Before {
                endpoints: loaded.endpoints.clone(),
                kept: loaded.kept.clone(),
            },
            keepers,
        };
        Reloader {
            file: loaded.file.clone(),
            clock: loaded.clock,
            listeners,
            log,
            state: Mutex::new(state),
            status: Mutex::new(status),
            rates: Mutex::new(Arc::clone(&loaded.kept.rates)),
        }
    }

    /// Reads the configuration and all that it names again, and lets it hold.
    ///
    /// # Errors
    /// Every problem; what was in force stays so.
    pub(super) fn reload(&self) -> Result<(), Problems> {
        self.log.reopen();
        self.take_over(&mut self.state())
    }

    /// The same, if a file has changed since it was last looked at.
    pub(super) fn reload_if_changed(&self) {
        let mut state = self.state();
        let files = state.read.files(&self.file);
        let now = digest(&files);
        if now == state.seen {
            return;
        }
        thread::sleep(SETTLE);
        // Whoever is still writing causes another look.
        if digest(&files) == now {
            let _ = self.take_over(&mut state);
        }
    }

    /// The folders in which files may change.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        let files = self.state().read.files(&self.file);
        let folder = |file: &PathBuf| match file.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut folders: Vec<PathBuf> = files.iter().map(folder).collect();
        folders.sort();
        folders.dedup();
        folders
    }

    pub(super) fn status(&self) -> Status {
        self.told().clone()
    }

    /// The rules about requests a second that hold, and how many each had no room for.
    pub(super) fn over_rates(&self) -> Vec<(Arc<str>, u64)> {
        let rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let rates = rates.0.iter();
        rates
            .map(|rate| (Arc::clone(&rate.name), rate.limiter.limited_count()))
            .collect()
    }

    fn told(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_over(&self, state: &mut State) -> Result<(), Problems> {
        let now = timestamp((self.clock)());
        match self.load(state) {
            Ok(loaded) => {
                for notice in &loaded.notices {
                    eprintln!("note: {notice}");
                }
                let needs_restart = self.swap(loaded, state);
                for change in &needs_restart {
                    eprintln!("note: {change} takes effect at the next start");
                }
                let reload = &mut self.told().reload;
                reload.generation += 1;
                reload.last_success = now;
                reload.last_error = None;
                reload.needs_restart = needs_restart;
                eprintln!("reloaded {}", self.file.display());
                Ok(())
            }
            Err(problems) => {
                eprintln!("not reloaded, what was in force stays: {problems}");
                let reload: &mut ReloadStatus = &mut self.told().reload;
                reload.failures += 1;
                reload.last_error = Some(format!("{now} {problems}"));
                Err(problems)
            }
        }
    }

    /// Opens all that the configuration names, in one state of its files.
    fn load(&self, state: &mut State) -> Result<Loaded, Problems> {
        for _ in 0..TRIES {
            let text = super::read(&self.file)?;
            if let Ok(config) = Config::parse(&text, &self.file) {
                state.read = config;
            }
            let files = state.read.files(&self.file);
            state.seen = digest(&files);
            let loaded = super::load_for(&self.file, self.clock, Some(&state.before))?;
            let unchanged = loaded.config.files(&self.file) == files;
            if unchanged && digest(&files) == state.seen {
                return Ok(loaded);
            }
            thread::sleep(SETTLE);
        }
        let message = "or what it names, changes faster than it can be read";
        Err(Problems(vec![Problem::of_file(&self.file, message)]))
    }

    /// Lets it hold, and tells what of it cannot before the next start.
    fn swap(&self, loaded: Loaded, state: &mut State) -> Vec<String> {
        let mut kept_back = state.first.fixed_differences(&loaded.config);
        let mut doors: Vec<Option<_>> = loaded.doors.into_iter().map(Some).collect();
        for listening in &self.listeners {
            let configured = |at: &Option<super::At>| {
                at.as_ref().is_some_and(|at| {
                    at.address == listening.configured && at.door.intercept == listening.intercept
                })
            };
            let found = doors.iter_mut().find(|at| configured(at));
            match found.and_then(Option::take) {
                Some(at) => listening.door.store(at.door),
                None => kept_back.push(format!(
                    "that no listener, or another one, is at `{}`",
                    listening.configured
                )),
            }
        }
        for at in doors.into_iter().flatten() {
            kept_back.push(format!("the listener at `{}`", at.address));
        }
        self.log.apply(&loaded.config.log);
        let fresh = loaded.kept.beyond(&state.before.kept);
        if !fresh.is_empty() {
            match Keeper::start(fresh.stores(), fresh.sources, self.clock) {
                Ok(keeper) => state.keepers.push(keeper),
                Err(error) => eprintln!("credentials: cannot be kept fresh: {error}"),
            }
        }
        self.rates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&loaded.kept.rates);
        state.before.kept = loaded.kept;
        let addresses: Vec<SocketAddr> = self.listeners.iter().map(|it| it.bound).collect();
        loaded.inventory.update(&mut self.told(), &addresses);
        kept_back
    }
}

fn digest(files: &[PathBuf]) -> Digest {
    let mut context = Context::new(&SHA256);
    for file in files {
        match std::fs::read(file) {
            Ok(content) => {
                context.update(&(content.len() as u64).to_be_bytes());
                context.update(&content);
            }
            Err(_) => context.update(b"unreadable"),
        }
    }
    let mut digest = Digest::default();
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

impl Kept {
    /// What is in here and was not in `before`.
    fn beyond(&self, before: &Kept) -> Kept {
        let stores = self.stores.iter();
        let stores = stores.filter(|(file, _)| !before.stores.contains_key(*file));
        let known = |profile: &Option<String>| {
            let mut sources = before.sources.iter();
            sources.any(|source| source.profile == *profile)
        };
        let sources = self.sources.iter();
        Kept {
            stores: stores.map(|(f, s)| (f.clone(), Arc::clone(s))).collect(),
            sources: sources
                .filter(|source| !known(&source.profile))
                .cloned()
                .collect(),
            rates: Arc::clone(&self.rates),
        }
    }
}
