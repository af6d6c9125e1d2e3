//! Decisions of policies, joined over documents, layers and resources; and the proof of an Allow.

use std::fmt;

use crate::policy::principal::PrincipalPattern;
use crate::policy::request::Request;
use crate::policy::ternary::Match;
use crate::policy::{Policy, StatementId};

/// What one policy says about one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Allowed or denied.
    pub outcome: Outcome,
    /// The statement that decided: of an `Allow` or `ExplicitDeny` the first in the document, of an
    /// `ImplicitDeny` the first Allow that something unknown kept from counting.
    pub statement: Option<StatementId>,
    /// What could not be known, where that decided.
    pub unknown: Option<Unknown>,
}

/// Allowed or denied, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A statement allows it and none denies it.
    Allow,
    /// A Deny statement applies.
    ExplicitDeny,
    /// No statement allows it.
    ImplicitDeny,
}

/// What kept a match from being certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unknown {
    /// Who asks.
    Principal,
    /// Of which resource, or in which account it is, or a variable in its pattern.
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

    /// Of two documents of one layer: their statements count as one policy's.
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

/// The policies that stand before one request: of the endpoint it came through, and of who asks.
#[derive(Clone, Copy)]
pub struct Layers<'a> {
    /// The endpoint's policy; [`Policy::full_access`] where none is attached.
    pub endpoint: &'a Policy,
    /// Identity policies, each with whom it is attached to.
    pub identity: &'a [AttachedPolicy],
    /// What the identity policies are asked for.
    pub identity_role: IdentityRole,
}

/// An identity policy and whom it is attached to.
#[derive(Debug)]
pub struct AttachedPolicy {
    /// Whom it is attached to.
    pub to: PrincipalPattern,
    /// What it says.
    pub policy: Policy,
}

/// What identity policies are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityRole {
    /// Only their denials count: IAM itself still decides upstream.
    GuardRail,
    /// They must also allow: IAM upstream sees the gate and not the caller.
    Full,
}

/// Which layer decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// The endpoint's policy.
    Endpoint,
    /// The identity policy at this place of the list.
    Identity(usize),
    /// The identity policies together: none allows.
    NoIdentity,
}

/// What the layers say about one resource of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayeredDecision {
    /// Which layer decided.
    pub layer: Layer,
    /// What it decided.
    pub decision: Decision,
}

impl Layers<'_> {
    /// Decides one request about one resource. An explicit denial of any layer comes before an
    /// implicit one.
    #[must_use]
    pub fn decide(&self, request: &Request<'_>) -> LayeredDecision {
        let endpoint = LayeredDecision {
            layer: Layer::Endpoint,
            decision: self.endpoint.decide(request),
        };
        endpoint.stricter(self.identity_decision(request))
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
                // Perhaps not attached at all: its denials count, its permissions do not.
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
            let one = LayeredDecision {
                layer: Layer::Identity(index),
                decision,
            };
            found = Some(match found {
                None => one,
                Some(before) if before.decision.union(decision) == before.decision => before,
                Some(_) => one,
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
    fn stricter(self, other: Option<LayeredDecision>) -> LayeredDecision {
        match other {
            Some(other)
                if strictness(other.decision.outcome) > strictness(self.decision.outcome) =>
            {
                other
            }
            _ => self,
        }
    }
}

fn strictness(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Allow => 0,
        Outcome::ImplicitDeny => 1,
        Outcome::ExplicitDeny => 2,
    }
}

/// The joined decision over all resources of one request: each must be allowed, and of several
/// denials an explicit one, then the first, is named.
///
/// INVARIANT: neither `Copy` nor `Clone`: reached once, it is spent on one request.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    decided: Option<LayeredDecision>,
}

impl Verdict {
    /// Nothing is decided yet; as it stands it permits nothing.
    #[must_use]
    pub fn start() -> Verdict {
        Verdict { decided: None }
    }

    /// Adds the decision about one resource.
    #[must_use]
    pub fn and(self, one: LayeredDecision) -> Verdict {
        Verdict {
            decided: Some(
                self.decided
                    .map_or(one, |before| before.stricter(Some(one))),
            ),
        }
    }

    /// The decision that counts; `None` while nothing was decided.
    #[must_use]
    pub fn decision(&self) -> Option<LayeredDecision> {
        self.decided
    }

    /// Lets the request pass whatever was decided: where a policy is tried and not enforced.
    #[must_use]
    pub fn observe_only<T>(self, request: T) -> Permitted<T> {
        let LayeredDecision { layer, decision } = self.decided.unwrap_or(LayeredDecision {
            layer: Layer::Endpoint,
            decision: Decision::NOTHING_ALLOWS,
        });
        Permitted {
            request,
            layer,
            decision,
        }
    }

    /// Spends the verdict on the request it was reached for.
    ///
    /// # Errors
    /// The denial, and the request back.
    pub fn permit<T>(self, request: T) -> Result<Permitted<T>, (Denial, T)> {
        match self.decided {
            Some(LayeredDecision { layer, decision }) if decision.outcome == Outcome::Allow => {
                Ok(Permitted {
                    request,
                    layer,
                    decision,
                })
            }
            decided => Err((Denial { decided }, request)),
        }
    }
}

/// A request that the policies allow, or that passes although they are not enforced.
///
/// INVARIANT: only built by [`Verdict::permit`] and [`Verdict::observe_only`], by move, around the
/// very request that the verdict was reached for; so neither `Copy` nor `Clone`. Nobody else can make one:
///
/// ```compile_fail
/// use kinesis_gate::policy::{Decision, Layer, Permitted};
///
/// fn forge<T>(request: T, layer: Layer, decision: Decision) -> Permitted<T> {
///     Permitted { request, layer, decision }
/// }
/// ```
#[derive(Debug)]
pub struct Permitted<T> {
    request: T,
    layer: Layer,
    decision: Decision,
}

impl<T> Permitted<T> {
    /// The request, to look at.
    #[must_use]
    pub fn request(&self) -> &T {
        &self.request
    }

    /// The decision that allowed it.
    #[must_use]
    pub fn decision(&self) -> LayeredDecision {
        LayeredDecision {
            layer: self.layer,
            decision: self.decision,
        }
    }

    /// Spends the permission.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.request
    }
}

/// Why a request is not permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    decided: Option<LayeredDecision>,
}

impl Denial {
    /// Explicit or implicit; implicit where nothing was decided.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.decided
            .map_or(Outcome::ImplicitDeny, |decided| decided.decision.outcome)
    }

    /// The decision that denied; `None` where nothing was decided.
    #[must_use]
    pub fn decision(&self) -> Option<LayeredDecision> {
        self.decided
    }
}
