//! State that outlives a reload: credentials that are refreshed, and rate limits with their counts.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::credentials::{CredentialSource, LocalStore};
use crate::gate::RateRules;

/// State that outlives a reload.
#[derive(Clone, Default)]
pub(super) struct PersistentState {
    /// Stores of local credentials, by file.
    pub(super) stores: HashMap<PathBuf, Arc<LocalStore>>,
    /// The gate's own credentials, by profile.
    pub(super) sources: Vec<CredentialSource>,
    /// The rate limits.
    pub(super) rates: Arc<RateRules>,
}

/// The parts of the configuration in force that a load reuses.
pub(super) struct PreviousLoad {
    /// The endpoints' ids, in the order of their counters.
    pub(super) endpoints: Vec<String>,
    pub(super) persistent: PersistentState,
}

impl PersistentState {
    /// The stores of local credentials.
    pub(super) fn stores(&self) -> Vec<Arc<LocalStore>> {
        self.stores.values().map(Arc::clone).collect()
    }

    /// Whether there are no credentials to refresh.
    pub(super) fn is_empty(&self) -> bool {
        self.stores.is_empty() && self.sources.is_empty()
    }

    /// The stores and sources that are not in `previous`.
    pub(super) fn without(&self, previous: &PersistentState) -> PersistentState {
        let mut new = self.clone();
        new.stores
            .retain(|file, _| !previous.stores.contains_key(file));
        let is_known = |source: &CredentialSource| {
            let mut known = previous.sources.iter();
            known.any(|known| known.profile == source.profile)
        };
        new.sources.retain(|source| !is_known(source));
        new
    }
}
