//! Loading: opens and compiles all files that a configuration names, and reports all problems at
//! once.

mod admin;
mod endpoint;
mod identity_map;
mod listener;
mod loader;
mod policy;
mod rate_limit;
mod re_sign;
mod token_store;
mod traces;
mod upstream;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::config::{self, Config, Problem, Problems};
use crate::gate::{Endpoint, IdentityPolicies};
use crate::observe::Clock;

use super::loaded_gate::{LoadedGate, LoadedListener};
use super::persistent::{PersistentState, PreviousLoad};
use super::status::Inventory;
use loader::Loader;

pub use policy::{compile, knows};

/// Reads a configuration file and opens all files that it names.
///
/// # Errors
/// All problems of the file and of the files that it names.
pub fn load(file: &Path, clock: Clock) -> Result<LoadedGate, Problems> {
    load_after(None, file, clock)
}

/// As [`load`], for a process that is serving: the state that outlives a reload is `previous`'s.
pub(super) fn load_after(
    previous: Option<&PreviousLoad>,
    file: &Path,
    clock: Clock,
) -> Result<LoadedGate, Problems> {
    let text = read(file)?;
    let loaded = match Config::parse(&text, file) {
        Ok(config) => open(config, file, clock, previous),
        Err(problems) => Err(policy::with_documents(problems, &text, file)),
    };
    let locate = |problems| config::locate(problems, &text, file);
    let mut loaded = loaded.map_err(locate)?;
    loaded.notices = locate(Problems(loaded.notices)).0;
    Ok(loaded)
}

/// Reads the text of a configuration.
pub(super) fn read(file: &Path) -> Result<String, Problems> {
    std::fs::read_to_string(file).map_err(|error| {
        let message = format_args!("cannot be read: {error}");
        Problems(vec![Problem::of_file(file, message)])
    })
}

fn open(
    config: Config,
    file: &Path,
    clock: Clock,
    previous: Option<&PreviousLoad>,
) -> Result<LoadedGate, Problems> {
    let mut loader = Loader {
        file,
        clock,
        previous,
        problems: Vec::new(),
        notices: Vec::new(),
        inventory: Inventory::default(),
    };
    match loader.open(config) {
        Some(loaded) if loader.problems.is_empty() => Ok(loaded),
        _ => Err(Problems(loader.problems)),
    }
}

impl Loader<'_> {
    fn open(&mut self, config: Config) -> Option<LoadedGate> {
        let mut identity = IdentityPolicies::default();
        for is_candidate in [false, true] {
            let policies = config.identity_policies.iter().enumerate();
            for (n, policy) in policies.filter(|(_, it)| it.is_candidate == is_candidate) {
                self.identity_policy(n, policy, &mut identity);
            }
            if !is_candidate {
                identity.enforced_count = identity.policies.len();
            }
        }
        let identity = Arc::new(identity);
        let principals = Arc::new(self.principals(&config));
        let mut persistent = PersistentState {
            rates: Arc::new(self.rate_limits(&config)),
            ..PersistentState::default()
        };
        let mut endpoints: HashMap<String, Arc<Endpoint>> = HashMap::new();
        for (n, endpoint) in config.endpoints.iter().enumerate() {
            let opened = self.endpoint(n, endpoint, &identity, &principals, &mut persistent);
            endpoints.extend(opened.map(|opened| (endpoint.id.clone(), opened)));
        }
        let upstream = self.upstream(&config);
        let mut listeners: Vec<LoadedListener> = Vec::new();
        for (n, listener) in config.listeners.iter().enumerate() {
            let ids = listener.endpoints.iter();
            let here = ids.map(|id| endpoints.get(id).map(Arc::clone));
            if let Some(here) = here.collect() {
                listeners.extend(self.listener(n, listener, here, Arc::clone(&principals)));
            }
        }
        let services = services(&config.listeners, &endpoints);
        let tokens = self.tokens(&config.tokens);
        let access = self.access(&config.admin);
        let traces = config.traces.as_ref().map(|traces| self.traces(traces));
        Some(LoadedGate {
            file: self.file.to_owned(),
            config,
            upstream: upstream?,
            access: access?,
            inventory: std::mem::take(&mut self.inventory),
            listeners,
            services,
            tokens: tokens?,
            traces: traces.flatten(),
            persistent,
            notices: std::mem::take(&mut self.notices),
            clock: self.clock,
        })
    }
}

/// The host names of the Kinesis endpoints of all listeners, except those that intercept.
fn services(
    listeners: &[config::Listener],
    endpoints: &HashMap<String, Arc<Endpoint>>,
) -> Vec<String> {
    let mut names: Vec<String> = listeners
        .iter()
        .filter(|listener| listener.intercept.is_none())
        .flat_map(|listener| &listener.endpoints)
        .filter_map(|id| endpoints.get(id))
        .map(|endpoint| endpoint.service_name.clone())
        .collect();
    names.sort();
    names.dedup();
    names
}
