//! More in a second than a rule lets through, and how a client is told.

use std::sync::Arc;

use crate::kinesis::{Plane, Target};

/// More requests in a second than a `[[rate]]` rule lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverRate {
    /// The rule's name.
    pub rule: Arc<str>,
    /// What it counts by, in words: `principal`.
    pub per: &'static str,
    /// Whether the operation is one on records.
    pub on_records: bool,
}

impl OverRate {
    /// A request for `target` is one too many under a rule.
    pub fn of(rule: &Arc<str>, per: &'static str, target: &Target<'_>) -> OverRate {
        let on_records = match target {
            Target::Operation(operation) => operation.plane == Plane::Data,
            Target::Unlisted(_) => false,
        };
        OverRate {
            rule: Arc::clone(rule),
            per,
            on_records,
        }
    }

    /// What the service itself says of too many records, which producers and consumers look for by
    /// name. Of anything else it says `LimitExceededException`, and SDKs for Java do not wait for
    /// that: the throttle that all of them wait for stands in its place.
    pub(super) fn error_type(&self) -> &'static str {
        if self.on_records {
            "ProvisionedThroughputExceededException"
        } else {
            "ThrottlingException"
        }
    }

    /// What the client is told.
    pub(super) fn message(&self) -> String {
        format!("Rate exceeded at the endpoint for this {}", self.per)
    }

    /// For the log.
    pub(super) fn reason(&self) -> String {
        format!(
            "rate rule `{}` has no room for another request of this {}",
            self.rule, self.per
        )
    }
}
