//! How many requests a second go on to Kinesis: counted by principal, stream or both, when the policy
//! has allowed them, and before anything of them leaves.
//!
//! A rule is a guard and never a permission: what the policy denies is not counted. Several rules may
//! be for one request: there must be room in all, and one that has none takes nothing from the others.
//! What cannot be known counts as it does for a Deny: a rule that may be for a request is for it.

use std::sync::Arc;
use std::time::Instant;

use crate::config::{Mode, RateLimitKey};
use crate::kinesis::{self, Operation, Target};
use crate::policy::{Action, ActionSelector, Arn, Match, PrincipalPattern, ResourceSelector};
use crate::rate_limit::KeyedLimiter;
use crate::reject::{RateLimited, Rejection};

use super::asked::Asked;
use super::decide::{self, Ruled};

/// The rules of a configuration, in its order.
#[derive(Debug, Default)]
pub struct RateRules(pub Vec<RateRule>);

/// One rule.
#[derive(Debug)]
pub struct RateRule {
    /// What the log and the metrics call it.
    pub name: Arc<str>,
    /// What it counts apart.
    pub per: RateLimitKey,
    /// Whose requests it is for; empty, everybody's.
    pub principals: Vec<PrincipalPattern>,
    /// The streams it is for; empty, all, and requests on none.
    pub streams: Vec<ResourceSelector>,
    /// The actions it is for; empty, all.
    pub actions: Vec<ActionSelector>,
    /// What was counted; it outlives a reload.
    pub limiter: Arc<KeyedLimiter>,
}

/// A stream that a request names.
enum Named<'a> {
    /// This one; its account may be unknown.
    Stream(Arn<'a>),
    /// One that cannot be known here, or none.
    Unknown,
}

impl RateRules {
    /// Counts a request that is about to go on.
    ///
    /// # Errors
    /// When a rule has no room for it: it is counted by none then.
    pub(super) fn admit(
        &self,
        asked: &Asked<'_>,
        ruled: &Ruled,
        now: Instant,
    ) -> Result<(), Rejection> {
        let goes_on = || ruled.is_allowed() || asked.endpoint().mode == Mode::Audit;
        if self.0.is_empty() || !goes_on() {
            return Ok(());
        }
        let mut taken = 0_usize;
        let full = self.each(asked, ruled, |rate, key| {
            let has_room = rate.limiter.try_acquire(key, now);
            taken += usize::from(has_room);
            has_room
        });
        let Some(full) = full else {
            return Ok(());
        };
        self.each(asked, ruled, |rate, key| {
            let was_taken = taken > 0;
            if was_taken {
                rate.limiter.refund(key);
                taken -= 1;
            }
            was_taken
        });
        let over = RateLimited::new(&full.name, words(full.per), &asked.head.target);
        Err(Rejection::RateLimited(over))
    }

    /// Whether a rule counts what an operation's streams are asked for.
    pub(super) fn tell_streams_apart(&self, operation: &'static Operation) -> bool {
        let action = decide::action_of(&Target::Operation(operation));
        let tells =
            |rate: &RateRule| rate.per != RateLimitKey::Principal || !rate.streams.is_empty();
        self.0
            .iter()
            .any(|rate| tells(rate) && rate.is_for_action(&action))
    }

    /// Shows every rule that is for a request, with each key that it counts it by, until one is not
    /// gone on from: that rule.
    fn each<'r>(
        &'r self,
        asked: &Asked<'_>,
        ruled: &Ruled,
        mut goes_on: impl FnMut(&'r RateRule, u64) -> bool,
    ) -> Option<&'r RateRule> {
        let principal = asked.caller.principal();
        let who = asked.caller.counted_as();
        let action = decide::action_of(&asked.head.target);
        let streams = || ruled.named().iter().filter_map(|named| stream(&named));
        let is_for = |rate: &&RateRule| {
            rate.is_for_action(&action)
                && of(&rate.principals, |pattern| pattern.matches(&principal))
        };
        for rate in self.0.iter().filter(is_for) {
            if rate.per == RateLimitKey::Principal {
                let is_about = rate.streams.is_empty() || streams().any(|it| rate.is_about(&it));
                if is_about && !goes_on(rate, rate.limiter.key(who)) {
                    return Some(rate);
                }
                continue;
            }
            for stream in streams().filter(|stream| rate.is_about(stream)) {
                let who = (rate.per == RateLimitKey::PrincipalAndStream).then_some(who);
                if !goes_on(rate, rate.limiter.key((who, stream.counted_as()))) {
                    return Some(rate);
                }
            }
        }
        None
    }
}

impl RateRule {
    fn is_for_action(&self, action: &Action<'_>) -> bool {
        self.actions.is_empty() || self.actions.iter().any(|named| named.matches(action))
    }

    fn is_about(&self, stream: &Named<'_>) -> bool {
        match stream {
            Named::Stream(arn) => of(&self.streams, |named| named.matches(arn)),
            Named::Unknown => true,
        }
    }
}

/// Whether one of the patterns may match, or there are none.
fn of<T>(patterns: &[T], matches: impl Fn(&T) -> Match) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern) != Match::No)
}

impl<'a> Named<'a> {
    fn counted_as(&self) -> Option<(&'a str, Option<&'a str>, &'a str)> {
        match self {
            // Streams of two partitions are in two regions.
            Named::Stream(arn) => Some((arn.region, arn.account, arn.resource)),
            Named::Unknown => None,
        }
    }
}

/// The stream of a resource, a consumer's included; `None` for what is of no stream.
fn stream<'a>(resource: &kinesis::Resource<'a>) -> Option<Named<'a>> {
    let arn = match resource {
        kinesis::Resource::Any => return None,
        kinesis::Resource::Unknown => return Some(Named::Unknown),
        kinesis::Resource::Arn(arn) | kinesis::Resource::Unscoped(arn) => arn,
    };
    let name = arn.resource.strip_prefix("stream/")?;
    let (name, is_whole) = match name.split_once('/') {
        Some((name, _consumer)) => (name, true),
        None => (name, !arn.is_prefix),
    };
    if !is_whole {
        return Some(Named::Unknown);
    }
    let len = "stream/".len() + name.len();
    Some(Named::Stream(Arn {
        partition: arn.partition,
        service: arn.service,
        region: arn.region,
        account: arn.account,
        resource: arn.resource.get(..len)?,
        is_prefix: false,
        text: None,
    }))
}

/// What a rule counts by, for people.
fn words(per: RateLimitKey) -> &'static str {
    match per {
        RateLimitKey::Principal => "principal",
        RateLimitKey::Stream => "stream",
        RateLimitKey::PrincipalAndStream => "principal and stream",
    }
}
