//! Evaluation: the verdict of the policy layers on every resource of a request, and the outcome
//! with the candidate policies.

use std::borrow::Cow;
use std::sync::Arc;

use crate::kinesis::{Resources, Target};
use crate::observe::{DecisionSource, Record, RequestOutcome};
use crate::policy::{
    Decision, Layer, LayeredDecision, Outcome, Permitted, Policy, Request, Unknown, Verdict,
};
use crate::reject::{AccessDenied, PolicyType, Rejection};

use super::caller_identity::CallerIdentity;
use super::condition_context::{RequestContext, ResourceContext};
use super::endpoints::{Endpoint, Enforcement};
use super::policy_terms::{self, resource_text};

/// The verdict on one request, and the resources that the request names.
pub(super) struct Evaluation {
    /// `None` if the request names no resource: then nothing is permitted.
    verdict: Option<Verdict>,
    resources: Resources,
    /// The decision with the candidate policies, where there are candidates.
    candidate: Option<LayeredDecision>,
    /// The index of the deciding resource: the first one, where all are allowed.
    deciding_index: usize,
    /// Whether a resource is denied for every value of the unknown facts.
    is_denied_regardless: bool,
}

/// The part of an evaluation that the record stores.
pub(super) struct RecordedDecision {
    outcome: RequestOutcome,
    source: Option<DecisionSource>,
    candidate: Option<(RequestOutcome, DecisionSource)>,
    resource: String,
}

/// Evaluates a request for each resource that it names.
pub(super) fn evaluate(
    endpoint: &Endpoint,
    target: &Target<'_>,
    caller: &CallerIdentity<'_>,
    context: &RequestContext<'_>,
    resources: Resources,
) -> Evaluation {
    let layers = endpoint.layers();
    let candidate_layers = endpoint.candidate_layers();
    let principal = caller.principal();
    let action = policy_terms::action(target);
    let mut verdict: Option<Verdict> = None;
    let mut candidate: Option<Verdict> = None;
    let mut deciding_index = 0;
    let mut is_denied_regardless = false;
    for (index, named) in resources.iter().enumerate() {
        let (resource, resource_account) = policy_terms::resource(&named);
        let request = Request {
            principal,
            action,
            resource,
            context: &ResourceContext {
                request: context,
                resource_account,
            },
        };
        if let Some(layers) = &candidate_layers {
            candidate = Some(join(candidate, layers.decide(&request)));
        }
        let current = layers.decide(&request);
        let Decision {
            outcome, unknown, ..
        } = current.decision().decision();
        is_denied_regardless |= outcome != Outcome::Allow && unknown.is_none();
        let before = verdict.as_ref().map(Verdict::decision);
        let joined = join(verdict, current);
        if before.is_some_and(|before| before != joined.decision()) {
            deciding_index = index;
        }
        verdict = Some(joined);
    }
    Evaluation {
        verdict,
        resources,
        candidate: candidate.map(|verdict| verdict.decision()),
        deciding_index,
        is_denied_regardless,
    }
}

fn join(before: Option<Verdict>, next: Verdict) -> Verdict {
    match before {
        Some(before) => before.and(next),
        None => next,
    }
}

impl Evaluation {
    /// Consumes the verdict to permit its request. `denied` returns the principal and the action of
    /// a denied request, for the error.
    ///
    /// # Errors
    /// [`Rejection::AccessDenied`], where the policies deny the request and are enforced.
    pub(super) fn permit<T>(
        self,
        endpoint: &Endpoint,
        request: T,
        denied: impl FnOnce() -> (String, Cow<'static, str>),
    ) -> Result<Permitted<T>, Rejection> {
        let denial = match (self.verdict, &endpoint.enforcement) {
            (Some(verdict), Enforcement::Audit(token)) => {
                return Ok(verdict.permit_in_audit_mode(request, token));
            }
            (Some(verdict), Enforcement::Enforce) => match verdict.permit(request) {
                Ok(permitted) => return Ok(permitted),
                Err(denial) => Some(denial),
            },
            (None, _) => None,
        };
        let (principal, action) = denied();
        Err(Rejection::AccessDenied(AccessDenied {
            principal,
            action,
            resource: resource_text(&self.resources, self.deciding_index),
            is_explicit: request_outcome(denial) == RequestOutcome::ExplicitDeny,
            policy_type: match denial.map(|denial| denial.layer()) {
                Some(Layer::Identity(_) | Layer::NoIdentity) => PolicyType::Identity,
                Some(Layer::Endpoint) | None => PolicyType::VpcEndpoint,
            },
        }))
    }

    /// Whether all resources are allowed.
    pub(super) fn is_allowed(&self) -> bool {
        request_outcome(self.decision()) == RequestOutcome::Allow
    }

    /// Whether the request is denied for every value of the unknown facts, the stream of its token
    /// included.
    pub(super) fn is_denied_regardless(&self) -> bool {
        self.is_denied_regardless
    }

    /// The resources that the request names.
    pub(super) fn resources(&self) -> &Resources {
        &self.resources
    }

    /// Writes the evaluation into the record.
    pub(super) fn record(&self, endpoint: &Endpoint, record: &mut Record) {
        self.recorded_decision(endpoint).record(record);
        if self.resources.len() > 1 {
            let indices = 0..self.resources.len();
            let text = |index| resource_text(&self.resources, index);
            record.resources = indices.map(text).collect();
        }
        record.is_audited = endpoint.is_audited();
    }

    /// The part of the evaluation that the record stores.
    pub(super) fn recorded_decision(&self, endpoint: &Endpoint) -> RecordedDecision {
        let decision = self.decision();
        RecordedDecision {
            outcome: request_outcome(decision),
            source: decision.map(|decision| source(endpoint.policy_of(decision.layer()), decision)),
            candidate: self.candidate_difference(endpoint),
            resource: resource_text(&self.resources, self.deciding_index),
        }
    }

    fn decision(&self) -> Option<LayeredDecision> {
        self.verdict.as_ref().map(Verdict::decision)
    }

    /// The outcome with the candidates, if it differs from the enforced outcome.
    fn candidate_difference(
        &self,
        endpoint: &Endpoint,
    ) -> Option<(RequestOutcome, DecisionSource)> {
        let decision = self.candidate?;
        let outcome = request_outcome(Some(decision));
        if outcome == request_outcome(self.decision()) {
            return None;
        }
        let policy = match (&endpoint.candidate, decision.layer()) {
            (Some((name, policy)), Layer::Endpoint | Layer::NoIdentity) => (name, policy),
            (_, layer) => endpoint.policy_of(layer),
        };
        Some((outcome, source(policy, decision)))
    }
}

impl RecordedDecision {
    /// Writes the decision into the record.
    pub(super) fn record(self, record: &mut Record) {
        record.outcome = self.outcome;
        record.decision_source = self.source;
        record.candidate = self.candidate;
        record.resource = Some(self.resource);
    }
}

/// An outcome as the record names it; without a decision, an implicit deny.
fn request_outcome(decision: Option<LayeredDecision>) -> RequestOutcome {
    match decision.map(|decision| decision.decision().outcome) {
        Some(Outcome::Allow) => RequestOutcome::Allow,
        Some(Outcome::ExplicitDeny) => RequestOutcome::ExplicitDeny,
        Some(Outcome::ImplicitDeny) | None => RequestOutcome::ImplicitDeny,
    }
}

/// The policy and the statement that decided, as the record names them.
fn source((name, policy): (&Arc<str>, &Policy), decision: LayeredDecision) -> DecisionSource {
    let Decision {
        statement, unknown, ..
    } = decision.decision();
    DecisionSource {
        layer: match decision.layer() {
            Layer::Endpoint => "endpoint",
            Layer::Identity(_) | Layer::NoIdentity => "identity",
        },
        policy: Arc::clone(name),
        statement: statement.map(|id| policy.label(id).into_text()),
        unknown: unknown.map(|unknown| match unknown {
            Unknown::Principal => "principal".to_owned(),
            Unknown::Resource => "resource".to_owned(),
            Unknown::Action => "action".to_owned(),
            Unknown::Key(condition) => policy
                .condition_key(condition)
                .map_or_else(String::new, |key| key.to_string()),
        }),
    }
}
