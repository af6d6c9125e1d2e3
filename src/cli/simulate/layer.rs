//! The documents of one layer, decided together.

use super::given::Given;
use crate::policy::{Decision, Outcome, Policy};

/// One document, and what to call it.
pub(super) struct Document {
    pub(super) name: String,
    pub(super) policy: Policy,
    /// Its text, where its statements are explained.
    pub(super) text: Option<String>,
}

/// All documents of one layer: their statements count as one policy's.
#[derive(Default)]
pub(super) struct Layer {
    pub(super) documents: Vec<Document>,
    /// A document does not load: the layer then allows nothing.
    pub(super) invalid: bool,
}

/// What a layer decides.
pub(super) struct LayerDecision<'l> {
    pub(super) decision: Decision,
    pub(super) invalid: bool,
    /// The document of the statement that decided.
    pub(super) by: Option<&'l Document>,
}

const NOTHING: Decision = Decision {
    outcome: Outcome::ImplicitDeny,
    statement: None,
    unknown: None,
};

impl Layer {
    /// Every resource must be allowed.
    pub(super) fn decide(&self, given: &Given<'_>) -> LayerDecision<'_> {
        let mut worst: Option<LayerDecision<'_>> = None;
        for request in given.requests() {
            let mut found = LayerDecision {
                decision: NOTHING,
                invalid: self.invalid,
                by: None,
            };
            for document in &self.documents {
                let decision = document.policy.decide(&request);
                let joined = found.decision.union(decision);
                if found.by.is_none() || joined != found.decision {
                    found.by = decision.statement.map(|_| document);
                }
                found.decision = joined;
            }
            if self.invalid && found.decision.outcome == Outcome::Allow {
                found.decision = NOTHING;
            }
            if worst
                .as_ref()
                .is_none_or(|worst| found.rank() > worst.rank())
            {
                worst = Some(found);
            }
        }
        worst.unwrap_or(LayerDecision {
            decision: NOTHING,
            invalid: self.invalid,
            by: None,
        })
    }
}

impl LayerDecision<'_> {
    /// Of two layers, the one with the higher rank decides.
    pub(super) fn rank(&self) -> u8 {
        match self.decision.outcome {
            Outcome::Allow => 0,
            Outcome::ImplicitDeny => 1,
            Outcome::ExplicitDeny => 2,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        if self.invalid && self.decision.outcome != Outcome::ExplicitDeny {
            return "invalid";
        }
        name(self.decision.outcome)
    }

    /// The deciding statement: its Sid, or its number counted from 1.
    pub(super) fn statement(&self) -> Option<String> {
        let id = self.decision.statement?;
        Some(self.by?.policy.statement(id).to_string())
    }
}

pub(super) fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Allow => "allow",
        Outcome::ExplicitDeny => "explicitDeny",
        Outcome::ImplicitDeny => "implicitDeny",
    }
}

/// Which of two layers decides: the stricter, and of equals the endpoint's.
pub(super) fn deciding<'a, 'l>(
    endpoint: Option<&'a LayerDecision<'l>>,
    identity: Option<&'a LayerDecision<'l>>,
) -> Option<&'a LayerDecision<'l>> {
    match (endpoint, identity) {
        (Some(endpoint), Some(identity)) if identity.rank() > endpoint.rank() => Some(identity),
        (Some(endpoint), _) => Some(endpoint),
        (None, identity) => identity,
    }
}
