//! Rate limit: the error of a request that a `[[rate]]` rule throttles.

use std::sync::Arc;

use crate::kinesis::{Plane, Target};

/// A request above the requests a second of a `[[rate]]` rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimited {
    /// The rule's name.
    pub rule: Arc<str>,
    /// The key that the rule counts by, in words: `principal`.
    pub per: &'static str,
    /// Whether the operation is of the data plane.
    pub is_data_plane: bool,
}

impl RateLimited {
    /// A request for `target` that exceeds a rule.
    pub fn new(rule: &Arc<str>, per: &'static str, target: &Target<'_>) -> RateLimited {
        let is_data_plane = match target {
            Target::Operation(operation) => operation.plane == Plane::Data,
            Target::UnmodeledOperation(_) => false,
        };
        RateLimited {
            rule: Arc::clone(rule),
            per,
            is_data_plane,
        }
    }

    /// On the data plane, the service's own error, which producers and consumers recognize by name.
    /// On the control plane the service answers `LimitExceededException`. The SDKs for Java do not
    /// back off for that error, so the gate answers with a throttle that every SDK backs off for.
    pub(super) fn error_type(&self) -> &'static str {
        if self.is_data_plane {
            "ProvisionedThroughputExceededException"
        } else {
            "ThrottlingException"
        }
    }

    /// The message for the client.
    pub(super) fn message(&self) -> String {
        format!("Rate exceeded at the endpoint for this {}", self.per)
    }

    /// The reason for the decision log.
    pub(super) fn reason(&self) -> String {
        format!(
            "rate rule `{}` has no room for another request of this {}",
            self.rule, self.per
        )
    }
}
