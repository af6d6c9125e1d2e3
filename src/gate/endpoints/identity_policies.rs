//! Identity policies, each with the file that it came from.

use std::sync::Arc;

use crate::policy::AttachedPolicy;

/// The identity policies of a configuration.
#[derive(Default)]
pub struct IdentityPolicies {
    /// The policies and their principals; candidates come last.
    pub policies: Vec<AttachedPolicy>,
    /// How many of the policies are enforced; the others are candidates.
    pub enforced_count: usize,
    /// The files of the policies, in the same order.
    pub names: Vec<Arc<str>>,
}

impl IdentityPolicies {
    /// The policies without the candidates.
    pub(super) fn enforced(&self) -> &[AttachedPolicy] {
        let enforced = self.policies.get(..self.enforced_count);
        enforced.unwrap_or(&self.policies)
    }

    /// Whether there are candidates.
    pub(super) fn has_candidates(&self) -> bool {
        self.policies.len() != self.enforced().len()
    }
}
