//! Reload: a changed configuration is validated as a whole, and its snapshots are swapped all at
//! once or not at all, while requests go on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};

use crate::admin::Status;
use crate::config::{Config, Intercept, Problem, Problems};
use crate::credentials::CredentialRefresher;
use crate::gate::{RateRules, SnapshotCell};
use crate::listener::ListenerState;
use crate::observe::{Clock, DecisionLog};

use super::load;
use super::loaded_gate::{LoadedGate, LoadedListener};
use super::persistent::PreviousLoad;
use super::status::timestamp;

/// Reloads the configuration of a running gate.
pub(super) struct Reloader {
    pub(super) file: PathBuf,
    pub(super) clock: Clock,
    pub(super) listeners: Vec<ActiveListener>,
    pub(super) log: DecisionLog,
    state: Mutex<State>,
    /// Apart from `state`, so that a reader does not wait for a reload in progress.
    status: Mutex<Status>,
    /// Apart from `state`, for the same reason.
    rates: Mutex<Arc<RateRules>>,
}

/// A listener that is serving.
pub(super) struct ActiveListener {
    /// Its address in the configuration.
    pub(super) configured: SocketAddr,
    /// The address at which it listens.
    pub(super) bound: SocketAddr,
    pub(super) intercept: Option<Intercept>,
    pub(super) state: Arc<SnapshotCell<ListenerState>>,
}

/// The state that each reload changes.
struct State {
    /// The configuration that the process started with: its fixed settings stay in force.
    initial: Config,
    /// The configuration that was parsed last, in force or not.
    latest: Config,
    /// Digest of the files when they were last read.
    digest: Digest,
    previous: PreviousLoad,
    refreshers: Vec<CredentialRefresher>,
}

/// SHA-256 of the content of files.
type Digest = [u8; 32];

/// The most attempts to read files that change while they are read.
const MAX_READS: usize = 5;
/// How long files must stay unchanged before they are read.
const SETTLE_TIME: Duration = Duration::from_millis(50);

impl Reloader {
    pub(super) fn new(
        loaded: &LoadedGate,
        listeners: Vec<ActiveListener>,
        log: DecisionLog,
        refreshers: Vec<CredentialRefresher>,
        status: Status,
    ) -> Reloader {
        let state = State {
            initial: loaded.config.clone(),
            latest: loaded.config.clone(),
            digest: digest(&loaded.config.files(&loaded.file)),
            previous: PreviousLoad {
                endpoints: loaded.endpoint_ids(),
                persistent: loaded.persistent.clone(),
            },
            refreshers,
        };
        Reloader {
            file: loaded.file.clone(),
            clock: loaded.clock,
            listeners,
            log,
            state: Mutex::new(state),
            status: Mutex::new(status),
            rates: Mutex::new(Arc::clone(&loaded.persistent.rates)),
        }
    }

    /// Loads the configuration again and puts it in force. Also reopens the decision log's file.
    ///
    /// # Errors
    /// All problems; the previous configuration stays in force.
    pub(super) fn reload(&self) -> Result<(), Problems> {
        self.log.reopen();
        self.replace(&mut self.state())
    }

    /// Reloads if a file has changed since it was last read.
    pub(super) fn reload_if_changed(&self) {
        let mut state = self.state();
        let files = state.latest.files(&self.file);
        let current = digest(&files);
        if current == state.digest {
            return;
        }
        thread::sleep(SETTLE_TIME);
        // A file that is still being written triggers another event.
        if digest(&files) == current {
            let _ = self.replace(&mut state);
        }
    }

    /// The folders in which files may change.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        let files = self.state().latest.files(&self.file);
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
        self.locked_status().clone()
    }

    /// The rate limits in force, each with its number of throttled requests.
    pub(super) fn rate_limited(&self) -> Vec<(Arc<str>, u64)> {
        let rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let rates = rates.0.iter();
        rates
            .map(|rate| (Arc::clone(&rate.name), rate.limiter.limited_count()))
            .collect()
    }

    fn locked_status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads the configuration, swaps it in, and reports to the operator.
    fn replace(&self, state: &mut State) -> Result<(), Problems> {
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
                let reload = &mut self.locked_status().reload;
                reload.generation += 1;
                reload.last_success = now;
                reload.last_error = None;
                reload.needs_restart = needs_restart;
                eprintln!("reloaded {}", self.file.display());
                Ok(())
            }
            Err(problems) => {
                eprintln!("not reloaded, what was in force stays: {problems}");
                let reload = &mut self.locked_status().reload;
                reload.failures += 1;
                reload.last_error = Some(format!("{now} {problems}"));
                Err(problems)
            }
        }
    }

    /// Loads the configuration from one consistent state of its files.
    fn load(&self, state: &mut State) -> Result<LoadedGate, Problems> {
        for _ in 0..MAX_READS {
            let text = load::read(&self.file)?;
            if let Ok(config) = Config::parse(&text, &self.file) {
                state.latest = config;
            }
            let files = state.latest.files(&self.file);
            state.digest = digest(&files);
            let loaded = load::load_after(Some(&state.previous), &self.file, self.clock)?;
            if loaded.config.files(&self.file) == files && digest(&files) == state.digest {
                return Ok(loaded);
            }
            thread::sleep(SETTLE_TIME);
        }
        let message = "or what it names, changes faster than it can be read";
        Err(Problems(vec![Problem::of_file(&self.file, message)]))
    }

    /// Puts a configuration in force. Returns the changes that only take effect at the next start.
    fn swap(&self, loaded: LoadedGate, state: &mut State) -> Vec<String> {
        let mut needs_restart = state.initial.fixed_differences(&loaded.config);
        let mut listeners: Vec<Option<_>> = loaded.listeners.into_iter().map(Some).collect();
        for listening in &self.listeners {
            let is_same = |it: &LoadedListener| {
                it.address == listening.configured && it.state.intercept == listening.intercept
            };
            let loaded = listeners
                .iter_mut()
                .find(|it| it.as_ref().is_some_and(is_same));
            match loaded.and_then(Option::take) {
                Some(loaded) => listening.state.store(loaded.state),
                None => needs_restart.push(format!(
                    "that no listener, or another one, is at `{}`",
                    listening.configured
                )),
            }
        }
        let new = listeners.into_iter().flatten();
        needs_restart.extend(new.map(|it| format!("the listener at `{}`", it.address)));
        self.log.apply(&loaded.config.log);
        let new = loaded.persistent.without(&state.previous.persistent);
        if !new.is_empty() {
            match CredentialRefresher::start(new.stores(), new.sources, self.clock) {
                Ok(keeper) => state.refreshers.push(keeper),
                Err(error) => eprintln!("credentials: cannot be kept fresh: {error}"),
            }
        }
        self.rates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&loaded.persistent.rates);
        state.previous.persistent = loaded.persistent;
        let addresses: Vec<SocketAddr> = self.listeners.iter().map(|it| it.bound).collect();
        loaded
            .inventory
            .update(&mut self.locked_status(), &addresses);
        needs_restart
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
