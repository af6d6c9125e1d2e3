//! The policy layers of an endpoint: those that are enforced, and those with its candidates.

use std::sync::Arc;

use crate::gate::policy_terms::action;
use crate::kinesis::{Operation, Target};
use crate::policy::{IdentityRole, Layer, Layers, Outcome, Policy, Principal, Request, Resource};

use super::condition_keys::EndpointContext;
use super::endpoint::Endpoint;
use super::identity_policies::IdentityPolicies;
use super::token_rules::{TokenNeed, TokenRules};

impl Endpoint {
    /// The policies that decide. Where the client's signature passes through, IAM decides upstream,
    /// and identity policies are a guard rail. Where the gate re-signs, IAM sees the gate and not
    /// the client: identity policies must allow.
    pub(in crate::gate) fn layers(&self) -> Layers<'_> {
        Layers {
            endpoint: &self.policy,
            identity: self.identity_policies.enforced(),
            identity_role: match self.re_sign {
                Some(_) => IdentityRole::Full,
                None => IdentityRole::GuardRail,
            },
        }
    }

    /// The policies as if the candidates were enforced; `None` without candidates.
    pub(in crate::gate) fn candidate_layers(&self) -> Option<Layers<'_>> {
        if self.candidate.is_none() && !self.identity_policies.has_candidates() {
            return None;
        }
        let candidate = self.candidate.as_ref().map(|(_, policy)| policy);
        Some(Layers {
            endpoint: candidate.unwrap_or(&self.policy),
            identity: &self.identity_policies.policies,
            ..self.layers()
        })
    }

    /// The policy of a layer, and its file.
    pub(in crate::gate) fn policy_of(&self, layer: Layer) -> (&Arc<str>, &Policy) {
        let IdentityPolicies {
            names, policies, ..
        } = &*self.identity_policies;
        let identity = match layer {
            Layer::Identity(index) => names.get(index).zip(policies.get(index)),
            Layer::Endpoint | Layer::NoIdentity => None,
        };
        match identity {
            Some((name, attached)) => (name, &attached.policy),
            None => (&self.policy_name, &self.policy),
        }
    }

    /// Compiles the rules about opaque tokens from the policies and the rate limits.
    pub fn compile_token_rules(&self) -> TokenRules {
        let candidates = self.candidate_layers();
        TokenRules::compile(|operation| {
            let depends = |layers| self.depends_on_stream(layers, operation);
            TokenNeed {
                policies: depends(self.layers()),
                candidates: candidates.is_some_and(depends),
                rate_limits: self.rate_rules.depend_on_stream(operation),
            }
        })
    }

    /// Whether the decision about an operation can depend on the stream, for any caller.
    fn depends_on_stream(&self, layers: Layers<'_>, operation: &'static Operation) -> bool {
        let action = action(&Target::Operation(operation));
        let attached = layers.identity.iter().map(|attached| &attached.policy);
        let mut policies = attached.chain([layers.endpoint]);
        if !policies.any(|policy| policy.may_depend_on_resource(&action)) {
            return false;
        }
        let any_request = Request {
            principal: Principal::UNKNOWN,
            action,
            resource: Resource::Unknown,
            context: &EndpointContext(self),
        };
        let decision = layers.decide(&any_request).decision().decision();
        decision.outcome != Outcome::Allow
    }
}
