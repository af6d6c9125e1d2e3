//! Rate limits: how many requests a second go to Kinesis, by principal, stream or both.
//!
//! A request is counted after the policy has allowed it, and before any of its bytes leave. A rule
//! restricts and never permits: denied requests are not counted. Where several rules apply, all
//! must have room; a request that one rule throttles is counted by none. Unknown facts count as for
//! a Deny: a rule that may apply does apply.

use std::sync::Arc;
use std::time::Instant;

use crate::config::RateLimitKey;
use crate::gate::policy_terms::{StreamArn, action, stream};
use crate::kinesis::{Operation, Resources, Target};
use crate::policy::{Action, ActionSelector, Match, Principal, PrincipalPattern, ResourceSelector};
use crate::rate_limit::KeyedLimiter;
use crate::reject::{RateLimited, Rejection};

/// The rules of a configuration, in its order.
#[derive(Debug, Default)]
pub struct RateRules(pub Vec<RateRule>);

/// One rule.
#[derive(Debug)]
pub struct RateRule {
    /// The rule's name in the log and the metrics.
    pub name: Arc<str>,
    /// The key that the rule counts by.
    pub per: RateLimitKey,
    /// The principals that the rule applies to; empty for all.
    pub principals: Vec<PrincipalPattern>,
    /// The streams that the rule applies to; empty for all requests, with or without a stream.
    pub streams: Vec<ResourceSelector>,
    /// The actions that the rule applies to; empty for all.
    pub actions: Vec<ActionSelector>,
    /// The counts; they outlive a reload.
    pub limiter: Arc<KeyedLimiter>,
}

/// The facts about a request that rate limits depend on.
pub(in crate::gate) struct RateLimitedRequest<'a> {
    pub(in crate::gate) target: &'a Target<'a>,
    pub(in crate::gate) principal: Principal<'a>,
    /// The user, role or access key that the request counts for.
    pub(in crate::gate) principal_key: &'a str,
    pub(in crate::gate) resources: &'a Resources,
}

impl RateRules {
    /// Whether there are no rules.
    pub(in crate::gate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Counts a request that is about to be forwarded.
    ///
    /// # Errors
    /// If a rule has no room for the request. Then no rule counts the request.
    pub(in crate::gate) fn admit(
        &self,
        request: &RateLimitedRequest<'_>,
        now: Instant,
    ) -> Result<(), Rejection> {
        let mut acquired = 0_usize;
        let throttled_by = self.find_rule(request, |rule, key| {
            let has_room = rule.limiter.try_acquire(key, now);
            acquired += usize::from(has_room);
            !has_room
        });
        let Some(rule) = throttled_by else {
            return Ok(());
        };
        self.find_rule(request, |rule, key| {
            if acquired == 0 {
                return true;
            }
            rule.limiter.refund(key);
            acquired -= 1;
            false
        });
        let per = match rule.per {
            RateLimitKey::Principal => "principal",
            RateLimitKey::Stream => "stream",
            RateLimitKey::PrincipalAndStream => "principal and stream",
        };
        let error = RateLimited::new(&rule.name, per, request.target);
        Err(Rejection::RateLimited(error))
    }

    /// Whether a rule counts an operation by stream, or for some streams only.
    pub(in crate::gate) fn depend_on_stream(&self, operation: &'static Operation) -> bool {
        let action = action(&Target::Operation(operation));
        let depends =
            |rule: &RateRule| rule.per != RateLimitKey::Principal || !rule.streams.is_empty();
        self.0
            .iter()
            .any(|rule| depends(rule) && rule.is_for_action(&action))
    }

    /// Calls `is_found` with every rule that applies to a request and each of the rule's keys for
    /// the request, in order. Returns the first rule for which it returns true.
    fn find_rule<'r>(
        &'r self,
        request: &RateLimitedRequest<'_>,
        mut is_found: impl FnMut(&'r RateRule, u64) -> bool,
    ) -> Option<&'r RateRule> {
        let principal_key = request.principal_key;
        let action = action(request.target);
        let streams = || request.resources.iter().filter_map(|named| stream(&named));
        let applies = |rule: &&RateRule| {
            rule.is_for_action(&action)
                && may_match(&rule.principals, |pattern| {
                    pattern.matches(&request.principal)
                })
        };
        for rule in self.0.iter().filter(applies) {
            if rule.per == RateLimitKey::Principal {
                let is_for = rule.streams.is_empty() || streams().any(|it| rule.is_for_stream(&it));
                if is_for && is_found(rule, rule.limiter.key(principal_key)) {
                    return Some(rule);
                }
                continue;
            }
            for stream in streams().filter(|stream| rule.is_for_stream(stream)) {
                let principal =
                    (rule.per == RateLimitKey::PrincipalAndStream).then_some(principal_key);
                // Streams of two partitions are in two regions.
                let stream = match &stream {
                    StreamArn::Known(arn) => Some((arn.region, arn.account, arn.resource)),
                    StreamArn::Unknown => None,
                };
                if is_found(rule, rule.limiter.key((principal, stream))) {
                    return Some(rule);
                }
            }
        }
        None
    }
}

impl RateRule {
    fn is_for_action(&self, action: &Action<'_>) -> bool {
        self.actions.is_empty() || self.actions.iter().any(|selector| selector.matches(action))
    }

    fn is_for_stream(&self, stream: &StreamArn<'_>) -> bool {
        match stream {
            StreamArn::Known(arn) => may_match(&self.streams, |selector| selector.matches(arn)),
            StreamArn::Unknown => true,
        }
    }
}

/// Whether a pattern may match, or there are no patterns.
fn may_match<T>(patterns: &[T], matches: impl Fn(&T) -> Match) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern) != Match::No)
}
