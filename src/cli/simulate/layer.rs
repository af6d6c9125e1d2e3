//! A layer: the policy documents of one attachment, decided together.

use crate::policy::{Attachment, Decision, Options, Outcome, Policy, Strictness};

use super::request::DescribedRequest;

/// A document and its name.
pub(super) struct Document {
    pub(super) name: String,
    pub(super) policy: Policy,
    /// The text, if statements are explained.
    pub(super) text: Option<String>,
}

/// The documents of one layer: their statements count as one policy's.
#[derive(Default)]
pub(super) struct Layer {
    pub(super) documents: Vec<Document>,
    /// Whether a document does not load. The layer then allows nothing.
    pub(super) is_invalid: bool,
}

/// The decision of a layer.
pub(super) struct LayerDecision<'l> {
    pub(super) decision: Decision,
    pub(super) is_invalid: bool,
    /// The document of the deciding statement.
    pub(super) document: Option<&'l Document>,
}

const IMPLICIT_DENY: Decision = Decision {
    outcome: Outcome::ImplicitDeny,
    statement: None,
    unknown: None,
};

impl Layer {
    /// Every resource must be allowed.
    pub(super) fn decide(&self, request: &DescribedRequest<'_>) -> LayerDecision<'_> {
        let mut strictest: Option<LayerDecision<'_>> = None;
        for request in request.policy_requests() {
            let mut found = LayerDecision {
                decision: IMPLICIT_DENY,
                is_invalid: self.is_invalid,
                document: None,
            };
            for document in &self.documents {
                let decision = document.policy.decide(&request);
                let joined = found.decision.union(decision);
                if found.document.is_none() || joined != found.decision {
                    found.document = decision.statement.map(|_| document);
                }
                found.decision = joined;
            }
            if self.is_invalid && found.decision.outcome == Outcome::Allow {
                found.decision = IMPLICIT_DENY;
            }
            let before = strictest.as_ref().map(LayerDecision::rank);
            if before.is_none_or(|before| found.rank() > before) {
                strictest = Some(found);
            }
        }
        strictest.unwrap_or(LayerDecision {
            decision: IMPLICIT_DENY,
            is_invalid: self.is_invalid,
            document: None,
        })
    }
}

impl LayerDecision<'_> {
    /// Of two layers, the one with the higher rank makes the decision.
    pub(super) fn rank(&self) -> u8 {
        match self.decision.outcome {
            Outcome::Allow => 0,
            Outcome::ImplicitDeny => 1,
            Outcome::ExplicitDeny => 2,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        if self.is_invalid && self.decision.outcome != Outcome::ExplicitDeny {
            return "invalid";
        }
        outcome_name(self.decision.outcome)
    }

    /// The deciding statement: its Sid, or its number counted from 1.
    pub(super) fn statement(&self) -> Option<String> {
        let id = self.decision.statement?;
        Some(self.document?.policy.label(id).to_string())
    }
}

pub(super) fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Allow => "allow",
        Outcome::ExplicitDeny => "explicitDeny",
        Outcome::ImplicitDeny => "implicitDeny",
    }
}

/// The layer that makes the decision: the stricter one, or the endpoint's if equal.
pub(super) fn deciding_layer<'a, 'l>(
    endpoint: Option<&'a LayerDecision<'l>>,
    identity: Option<&'a LayerDecision<'l>>,
) -> Option<&'a LayerDecision<'l>> {
    match (endpoint, identity) {
        (Some(endpoint), Some(identity)) if identity.rank() > endpoint.rank() => Some(identity),
        (Some(endpoint), _) => Some(endpoint),
        (None, identity) => identity,
    }
}

/// Decides every document with one meaning, even if `check` refuses it as AWS does.
pub(super) fn options(attachment: Attachment) -> Options<'static> {
    Options {
        attachment,
        actions: &[],
        max_characters: None,
        strictness: Strictness::Evaluable,
    }
}
