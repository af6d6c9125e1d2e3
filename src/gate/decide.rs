//! From facts to a verdict: every resource that a request names, through every layer.

use std::borrow::Cow;
use std::sync::Arc;

use crate::config::Mode;
use crate::kinesis::{self, Operation, PartialArn, Resources, Target};
use crate::observe::{DecisionSource, RequestOutcome};
use crate::policy::{
    self, Action, Arn, Fact, Layer, LayeredDecision, Layers, Permitted, Principal, Request,
    Resource, Unknown, Verdict,
};
use crate::reject::{AccessDenied, PolicyType};

use super::facts::{AnyRequest, Facts, FactsOf};
use super::principal::KnownCaller;
use super::site::{Endpoint, IdentityPolicies};

/// What was decided about one request.
pub(super) struct Ruled {
    verdict: Verdict,
    resources: Resources,
    /// What the policies that are tried say, where there are any.
    candidate: Option<Verdict>,
    /// The place of the resource that decided; the first where all are allowed.
    place: usize,
    /// Whether one of the resources is denied whatever it is that cannot be known here.
    hopeless: bool,
}

/// Decides a request about everything it names.
pub(super) fn decide(
    endpoint: &Endpoint,
    target: &Target<'_>,
    caller: &KnownCaller<'_>,
    facts: &Facts<'_>,
    resources: Resources,
) -> Ruled {
    let layers = endpoint.layers();
    let tried = endpoint.candidate_layers();
    let mut candidate = tried.map(|_| Verdict::start());
    let principal = caller.principal();
    let action = action_of(target);
    let mut verdict = Verdict::start();
    let mut deciding = 0;
    let mut hopeless = false;
    for (place, resource) in resources.iter().enumerate() {
        let (asked, resource_account) = in_policy(&resource);
        let context = FactsOf {
            facts,
            resource_account,
        };
        let request = Request {
            principal,
            action,
            resource: asked,
            context: &context,
        };
        let before = verdict.decision();
        let decided = layers.decide(&request);
        hopeless |= is_certain_denial(&decided.decision);
        if let (Some(layers), Some(before)) = (&tried, candidate.take()) {
            candidate = Some(before.and(layers.decide(&request)));
        }
        verdict = verdict.and(decided);
        if verdict.decision() != before {
            deciding = place;
        }
    }
    Ruled {
        verdict,
        candidate,
        resources,
        place: deciding,
        hopeless,
    }
}

pub(super) fn action_of<'a>(target: &Target<'a>) -> Action<'a> {
    Action {
        service: "kinesis",
        name: target.name(),
        number: target.number(),
    }
}

fn is_certain_denial(decision: &policy::Decision) -> bool {
    decision.outcome != policy::Outcome::Allow && decision.unknown.is_none()
}

impl Ruled {
    /// Spends the verdict on the request it was reached for.
    pub(super) fn permit<T>(
        self,
        mode: Mode,
        request: T,
        action: Cow<'static, str>,
        user: impl FnOnce() -> String,
    ) -> Result<Permitted<T>, AccessDenied> {
        let Ruled {
            verdict,
            resources,
            place,
            candidate: _,
            hopeless: _,
        } = self;
        if mode == Mode::Audit {
            return Ok(verdict.observe_only(request));
        }
        verdict.permit(request).map_err(|(denial, _)| AccessDenied {
            principal: user(),
            action,
            resource: resource_text(&resources, place),
            is_explicit: denial.outcome() == policy::Outcome::ExplicitDeny,
            policy_type: match denial.decision().map(|decided| decided.layer) {
                Some(Layer::Identity(_) | Layer::NoIdentity) => PolicyType::Identity,
                Some(Layer::Endpoint) | None => PolicyType::VpcEndpoint,
            },
        })
    }

    /// Whether everything it names is allowed.
    pub(super) fn is_allowed(&self) -> bool {
        self.outcome() == RequestOutcome::Allow
    }

    /// Whether it is denied whatever it is that cannot be known here: its token's stream, say.
    pub(super) fn is_hopeless(&self) -> bool {
        self.hopeless
    }

    /// The one stream that the request is about, as an ARN; none if it may be about more.
    pub(super) fn stream(&self) -> Option<&str> {
        self.resources.single_stream()
    }

    /// What the request names.
    pub(super) fn named(&self) -> &Resources {
        &self.resources
    }

    /// The outcome for the record.
    pub(super) fn outcome(&self) -> RequestOutcome {
        outcome_of(&self.verdict)
    }

    /// The resource for the record and the client: parts that cannot be known are `*`.
    pub(super) fn resource(&self) -> String {
        resource_text(&self.resources, self.place)
    }

    /// All resources for the record, where there are several.
    pub(super) fn resources(&self) -> Vec<String> {
        match self.resources.len() {
            0 | 1 => Vec::new(),
            several => (0..several)
                .map(|place| resource_text(&self.resources, place))
                .collect(),
        }
    }

    /// Policy and statement for the record.
    pub(super) fn ruling(&self, endpoint: &Endpoint) -> Option<DecisionSource> {
        let decided = self.verdict.decision()?;
        let layer = decided.layer;
        Some(ruling(endpoint.policy_of(layer), decided))
    }

    /// What the policies that are tried say, where it is something else.
    pub(super) fn difference(
        &self,
        endpoint: &Endpoint,
    ) -> Option<(RequestOutcome, DecisionSource)> {
        let candidate = self.candidate.as_ref()?;
        let outcome = outcome_of(candidate);
        if outcome == self.outcome() {
            return None;
        }
        let decided = candidate.decision()?;
        let tried = match (&endpoint.candidate, decided.layer) {
            (Some((name, policy)), Layer::Endpoint | Layer::NoIdentity) => (name, policy),
            (_, layer) => endpoint.policy_of(layer),
        };
        Some((outcome, ruling(tried, decided)))
    }
}

fn outcome_of(verdict: &Verdict) -> RequestOutcome {
    match verdict.decision().map(|decided| decided.decision.outcome) {
        Some(policy::Outcome::Allow) => RequestOutcome::Allow,
        Some(policy::Outcome::ExplicitDeny) => RequestOutcome::ExplicitDeny,
        Some(policy::Outcome::ImplicitDeny) | None => RequestOutcome::ImplicitDeny,
    }
}

/// A decision in the words of the record.
fn ruling(
    (name, policy): (&Arc<str>, &policy::Policy),
    decided: LayeredDecision,
) -> DecisionSource {
    let LayeredDecision { layer, decision } = decided;
    let statement = decision.statement.map(|id| policy.label(id).into_text());
    let unknown = decision.unknown.map(|unknown| match unknown {
        Unknown::Principal => "principal".to_owned(),
        Unknown::Resource => "resource".to_owned(),
        Unknown::Action => "action".to_owned(),
        Unknown::Key(condition) => policy
            .condition_key(condition)
            .map_or_else(String::new, |key| key.to_string()),
    });
    let layer = match layer {
        Layer::Endpoint => "endpoint",
        Layer::Identity(_) | Layer::NoIdentity => "identity",
    };
    DecisionSource {
        layer,
        policy: Arc::clone(name),
        statement,
        unknown,
    }
}

impl Endpoint {
    /// Whether the answer about an operation can depend on the stream, for anybody: by the policies
    /// that hold, and by those that are tried.
    pub(super) fn tells_streams_apart(&self, operation: &'static Operation) -> (bool, bool) {
        let tried = self.candidate_layers();
        let tells = |layers| self.layers_tell_streams_apart(layers, operation);
        (tells(self.layers()), tried.is_some_and(tells))
    }

    fn layers_tell_streams_apart(&self, layers: Layers<'_>, operation: &'static Operation) -> bool {
        let action = action_of(&Target::Operation(operation));
        let attached = layers.identity.iter().map(|it| &it.policy);
        let mut policies = attached.chain([layers.endpoint]);
        if !policies.any(|policy| policy.may_depend_on_resource(&action)) {
            return false;
        }
        let anything = Request {
            principal: Principal::UNKNOWN,
            action,
            resource: Resource::Unknown,
            context: &AnyRequest(self),
        };
        layers.decide(&anything).decision.outcome != policy::Outcome::Allow
    }

    /// The policies in front of a request. Where the client's signature passes through, IAM decides
    /// upstream, and identity policies are a guard rail here. Where the gate signs, IAM sees the
    /// gate and not the client: they must allow here.
    fn layers(&self) -> Layers<'_> {
        Layers {
            endpoint: &self.policy,
            identity: self.identity_policies.enforced(),
            identity_role: match self.re_sign {
                Some(_) => policy::IdentityRole::Full,
                None => policy::IdentityRole::GuardRail,
            },
        }
    }

    /// The policies as they would be if those that are tried held; none where none are.
    fn candidate_layers(&self) -> Option<Layers<'_>> {
        let identity = &self.identity_policies.policies;
        if self.candidate.is_none() && identity.len() == self.identity_policies.enforced().len() {
            return None;
        }
        let candidate = self.candidate.as_ref().map(|(_, policy)| policy);
        Some(Layers {
            endpoint: candidate.unwrap_or(&self.policy),
            identity,
            ..self.layers()
        })
    }

    fn policy_of(&self, layer: Layer) -> (&Arc<str>, &policy::Policy) {
        let identity = match layer {
            Layer::Identity(place) => self
                .identity_policies
                .names
                .get(place)
                .zip(self.identity_policies.policies.get(place)),
            Layer::Endpoint | Layer::NoIdentity => None,
        };
        match identity {
            Some((name, attached)) => (name, &attached.policy),
            None => (&self.policy_name, &self.policy),
        }
    }
}

impl IdentityPolicies {
    fn enforced(&self) -> &[policy::AttachedPolicy] {
        self.policies
            .get(..self.enforced_count)
            .unwrap_or(&self.policies)
    }
}

/// A resource in the words of the policy room, and whose it is.
fn in_policy<'a>(resource: &kinesis::Resource<'a>) -> (Resource<'a>, Fact<&'a str>) {
    match resource {
        // Whose `*` is, is not documented: an Allow that asks does not apply, a Deny does.
        kinesis::Resource::Any => (Resource::Any, Fact::Unknown),
        kinesis::Resource::Unknown => (Resource::Unknown, Fact::Unknown),
        kinesis::Resource::Arn(arn) => (Resource::Arn(arn_in_policy(arn)), account_of(arn)),
        kinesis::Resource::Unscoped(arn) => {
            (Resource::Unscoped(arn_in_policy(arn)), account_of(arn))
        }
    }
}

fn arn_in_policy<'a>(arn: &PartialArn<'a>) -> Arn<'a> {
    let PartialArn {
        partition,
        service,
        region,
        account,
        resource,
        is_prefix,
        text,
    } = *arn;
    Arn {
        partition,
        service,
        region,
        account,
        resource,
        is_prefix,
        text,
    }
}

fn account_of<'a>(arn: &PartialArn<'a>) -> Fact<&'a str> {
    arn.account.map_or(Fact::Unknown, Fact::Known)
}

fn resource_text(resources: &Resources, place: usize) -> String {
    match resources.iter().nth(place) {
        None | Some(kinesis::Resource::Any | kinesis::Resource::Unknown) => "*".to_owned(),
        Some(kinesis::Resource::Arn(arn) | kinesis::Resource::Unscoped(arn)) => arn_text(&arn),
    }
}

fn arn_text(arn: &PartialArn<'_>) -> String {
    match arn.text {
        Some(text) => text.to_owned(),
        None => format!(
            "arn:{}:{}:{}:{}:{}{}",
            arn.partition,
            arn.service,
            arn.region,
            arn.account.unwrap_or("*"),
            arn.resource,
            if arn.is_prefix { "*" } else { "" }
        ),
    }
}
