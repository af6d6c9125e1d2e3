//! Decisions (allow, explicit deny, implicit deny) and the permit that only a decision makes.
//!
//! Decisions are joined over policies, layers and resources. Forwarding needs the permit.

use std::fmt;

use crate::policy::principal::PrincipalPattern;
use crate::policy::request::Request;
use crate::policy::ternary::Match;
use crate::policy::{Policy, StatementId};

/// What one policy decides about one request. A decision permits nothing: only [`Layers::decide`]
/// makes the [`Verdict`] that does. Only a policy makes a decision:
///
/// ```compile_fail,E0639
/// use kinesis_gate::policy::{Decision, Outcome};
///
/// let allow = Decision { outcome: Outcome::Allow, statement: None, unknown: None };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// Allowed or denied.
    pub outcome: Outcome,
    /// The deciding statement: of an `Allow` or `ExplicitDeny` the first in the document, of an
    /// `ImplicitDeny` the first Allow that did not count because of an unknown fact.
    pub statement: Option<StatementId>,
    /// The unknown fact, if it made the decision.
    pub unknown: Option<Unknown>,
}

/// Allow, explicit deny or implicit deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A statement allows the request and none denies it.
    Allow,
    /// A Deny statement applies.
    ExplicitDeny,
    /// No statement allows the request.
    ImplicitDeny,
}

/// The fact that kept a match from being certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unknown {
    /// The principal.
    Principal,
    /// The resource, its account, or a variable in a resource pattern.
    Resource,
    /// The action, or a list whose meaning the documentation leaves open.
    Action,
    /// A condition key; [`Policy::condition_key`] names it.
    Key(ConditionId),
}

/// One condition of one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConditionId {
    pub(super) statement: StatementId,
    pub(super) index: u16,
}

impl Decision {
    pub(super) const NOTHING_ALLOWS: Decision = Decision {
        outcome: Outcome::ImplicitDeny,
        statement: None,
        unknown: None,
    };

    /// Joins the decisions of two documents of one layer: their statements count as one policy's.
    #[must_use]
    pub fn union(self, other: Decision) -> Decision {
        let rank = |decision: Decision| match (decision.outcome, decision.unknown) {
            (Outcome::ExplicitDeny, None) => 4,
            (Outcome::ExplicitDeny, Some(_)) => 3,
            (Outcome::Allow, _) => 2,
            (Outcome::ImplicitDeny, Some(_)) => 1,
            (Outcome::ImplicitDeny, None) => 0,
        };
        if rank(other) > rank(self) {
            other
        } else {
            self
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Allow => "allow",
            Outcome::ExplicitDeny => "explicitDeny",
            Outcome::ImplicitDeny => "implicitDeny",
        })
    }
}

/// The policies that decide a request: the endpoint's policy and those of principals.
#[derive(Clone, Copy)]
pub struct Layers<'a> {
    /// The endpoint policy; [`Policy::full_access`] where none is attached.
    pub endpoint: &'a Policy,
    /// The identity policies, each with the principals that it is attached to.
    pub identity: &'a [AttachedPolicy],
    /// The effect of the identity policies.
    pub identity_role: IdentityRole,
}

/// An identity policy and the principals that it is attached to.
#[derive(Debug)]
pub struct AttachedPolicy {
    /// The principals.
    pub to: PrincipalPattern,
    /// The policy.
    pub policy: Policy,
}

/// The effect of identity policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityRole {
    /// Only their denials count: IAM itself still decides upstream.
    GuardRail,
    /// They must also allow: IAM upstream sees the gate and not the caller.
    Full,
}

/// The layer that made the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// The endpoint policy.
    Endpoint,
    /// The identity policy at this index of the list.
    Identity(usize),
    /// The identity policies together: none of them allows.
    NoIdentity,
}

/// A decision and the layer that made it. Only [`Layers::decide`] makes one:
///
/// ```compile_fail,E0451
/// use kinesis_gate::policy::{Decision, Layer, LayeredDecision};
///
/// fn forge(layer: Layer, decision: Decision) -> LayeredDecision {
///     LayeredDecision { layer, decision }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayeredDecision {
    layer: Layer,
    decision: Decision,
}

impl Layers<'_> {
    /// Decides one request for one resource. An explicit deny of any layer precedes an implicit
    /// deny.
    #[must_use]
    pub fn decide(&self, request: &Request<'_>) -> Verdict {
        let endpoint = LayeredDecision {
            layer: Layer::Endpoint,
            decision: self.endpoint.decide(request),
        };
        Verdict {
            decision: match self.identity_decision(request) {
                Some(identity) => endpoint.stricter(identity),
                None => endpoint,
            },
        }
    }

    fn identity_decision(&self, request: &Request<'_>) -> Option<LayeredDecision> {
        let mut found: Option<LayeredDecision> = None;
        for (index, attached) in self.identity.iter().enumerate() {
            let to = attached.to.matches(&request.principal);
            if to == Match::No {
                continue;
            }
            let mut decision = attached.policy.decide(request);
            if to == Match::Maybe {
                // The policy may not be attached at all: only its denials count.
                decision = match decision.outcome {
                    Outcome::ExplicitDeny => Decision {
                        unknown: decision.unknown.or(Some(Unknown::Principal)),
                        ..decision
                    },
                    _ => Decision {
                        outcome: Outcome::ImplicitDeny,
                        statement: decision.statement,
                        unknown: Some(Unknown::Principal),
                    },
                };
            }
            let current = LayeredDecision {
                layer: Layer::Identity(index),
                decision,
            };
            found = Some(match found {
                Some(before) if before.decision.union(decision) == before.decision => before,
                _ => current,
            });
        }
        match self.identity_role {
            IdentityRole::GuardRail => {
                found.filter(|found| found.decision.outcome == Outcome::ExplicitDeny)
            }
            IdentityRole::Full => Some(match found {
                Some(found) if found.decision != Decision::NOTHING_ALLOWS => found,
                _ => LayeredDecision {
                    layer: Layer::NoIdentity,
                    decision: Decision::NOTHING_ALLOWS,
                },
            }),
        }
    }
}

impl LayeredDecision {
    /// The layer that made the decision.
    #[must_use]
    pub fn layer(&self) -> Layer {
        self.layer
    }

    /// The decision of that layer.
    #[must_use]
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// The stricter of two decisions; the first one if they are equally strict.
    fn stricter(self, other: LayeredDecision) -> LayeredDecision {
        let strictness = |decision: &LayeredDecision| match decision.decision.outcome {
            Outcome::Allow => 0,
            Outcome::ImplicitDeny => 1,
            Outcome::ExplicitDeny => 2,
        };
        if strictness(&other) > strictness(&self) {
            other
        } else {
            self
        }
    }
}

/// The decision about all resources of one request. Each must be allowed. Of several denials, the
/// verdict names an explicit one, and else the first.
///
/// INVARIANT: only [`Layers::decide`] makes a verdict, so that each is about one resource at least.
/// Without a decision there is none:
///
/// ```compile_fail,E0599
/// let undecided = kinesis_gate::policy::Verdict::start();
/// ```
///
/// INVARIANT: neither `Copy` nor `Clone`. One verdict permits one request:
///
/// ```compile_fail,E0382
/// use kinesis_gate::policy::Verdict;
///
/// fn permit_twice(verdict: Verdict) {
///     let first = verdict.permit("first");
///     let second = verdict.permit("second");
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    decision: LayeredDecision,
}

impl Verdict {
    /// Joins the verdicts on two resources of one request.
    #[must_use]
    pub fn and(self, other: Verdict) -> Verdict {
        Verdict {
            decision: self.decision.stricter(other.decision),
        }
    }

    /// The decision that counts.
    #[must_use]
    pub fn decision(&self) -> LayeredDecision {
        self.decision
    }

    /// Permits the request that the verdict is about, if the verdict allows it.
    ///
    /// # Errors
    /// The decision that denies the request.
    pub fn permit<T>(self, request: T) -> Result<Permitted<T>, LayeredDecision> {
        match self.decision.decision.outcome {
            Outcome::Allow => Ok(Permitted { request }),
            Outcome::ImplicitDeny | Outcome::ExplicitDeny => Err(self.decision),
        }
    }

    /// Permits the request whatever the verdict is: in audit mode, decisions are only recorded.
    #[must_use]
    pub fn permit_in_audit_mode<T>(self, request: T, _: &AuditMode) -> Permitted<T> {
        Permitted { request }
    }
}

/// The token of audit mode: proof that the configuration puts an endpoint into that mode.
///
/// INVARIANT: minted only where a configuration is loaded; a test looks for other places in the
/// source. Outside of the crate, it cannot be made, and without it no denied request is permitted:
///
/// ```compile_fail,E0423
/// let token = kinesis_gate::policy::AuditMode(());
/// ```
///
/// ```compile_fail,E0624
/// let token = kinesis_gate::policy::AuditMode::from_configuration();
/// ```
///
/// ```compile_fail,E0061
/// use kinesis_gate::policy::{Permitted, Verdict};
///
/// fn forge<T>(verdict: Verdict, request: T) -> Permitted<T> {
///     verdict.permit_in_audit_mode(request)
/// }
/// ```
#[derive(Debug)]
pub struct AuditMode(());

impl AuditMode {
    /// Mints the token for an endpoint whose configuration says `mode = "audit"`.
    pub(crate) fn from_configuration() -> AuditMode {
        AuditMode(())
    }
}

/// A permitted request: the policies allow it, or the endpoint is in audit mode.
///
/// INVARIANT: only [`Verdict::permit`] and [`Verdict::permit_in_audit_mode`] make one, by move,
/// around the very request that the verdict is about. Nobody else can make or copy one:
///
/// ```compile_fail,E0451
/// use kinesis_gate::policy::Permitted;
///
/// fn forge<T>(request: T) -> Permitted<T> {
///     Permitted { request }
/// }
/// ```
///
/// ```compile_fail,E0599
/// use kinesis_gate::policy::Permitted;
///
/// fn copy(permitted: Permitted<String>) -> (Permitted<String>, Permitted<String>) {
///     (permitted.clone(), permitted)
/// }
/// ```
#[derive(Debug)]
pub struct Permitted<T> {
    request: T,
}

impl<T> Permitted<T> {
    /// Consumes the permit.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.request
    }
}
