//! Rate limits, compiled.

use std::fmt::Display;
use std::sync::Arc;

use crate::config::{self, Config, Problem};
use crate::gate::{RateRule, RateRules};
use crate::kinesis::ACTION_NAMES;
use crate::policy::{Action, ActionSelector, Arn, PrincipalPattern, ResourceSelector};
use crate::rate_limit::{Gcra, KeyedLimiter};

use super::loader::Loader;

impl Loader<'_> {
    /// The rate limits. A limit with the name, key and rate of one in force keeps the counts.
    pub(super) fn rate_limits(&mut self, config: &Config) -> RateRules {
        let rates = config.rate_limits.iter().enumerate();
        RateRules(rates.map(|(n, rate)| self.rate_limit(n, rate)).collect())
    }

    fn rate_limit(&mut self, index: usize, rate: &config::RateLimit) -> RateRule {
        let gcra = Gcra::new(rate.requests, rate.burst);
        let known = self.previous.and_then(|previous| {
            let mut known = previous.persistent.rates.0.iter();
            known.find(|known| {
                *known.name == *rate.name
                    && known.per == rate.per
                    && known.limiter.is_configured_as(gcra, rate.keys)
            })
        });
        RateRule {
            name: rate.name.as_str().into(),
            per: rate.per,
            principals: self.each(index, "principals", &rate.principals, |text| {
                PrincipalPattern::parse(text)
            }),
            streams: self.each(index, "streams", &rate.streams, stream_selector),
            actions: self.actions(index, &rate.actions),
            limiter: match known {
                Some(known) => Arc::clone(&known.limiter),
                None => Arc::new(KeyedLimiter::new(gcra, rate.keys)),
            },
        }
    }

    fn actions(&mut self, index: usize, texts: &[String]) -> Vec<ActionSelector> {
        let actions = self.each(index, "actions", texts, ActionSelector::parse);
        for (n, (text, actions)) in texts.iter().zip(&actions).enumerate() {
            let is_one = |name: &&str| {
                actions.matches(&Action {
                    service: "kinesis",
                    name,
                    number: None,
                })
            };
            if !ACTION_NAMES.iter().any(is_one) {
                let path = format!("rate[{index}].actions[{n}]");
                let message = format!("`{text}` is no action of Kinesis that is known here");
                self.notices
                    .push(Problem::of_value(self.file, path, message));
            }
        }
        actions
    }

    fn each<T, E: Display>(
        &mut self,
        index: usize,
        list: &str,
        texts: &[String],
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let texts = texts.iter().enumerate();
        let parsed = texts.filter_map(|(n, text)| {
            self.accept(format_args!("rate[{index}].{list}[{n}]"), parse(text))
        });
        parsed.collect()
    }
}

/// Parses streams by name, in any region and account, or by ARN.
fn stream_selector(text: &str) -> Result<ResourceSelector, String> {
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-*?".contains(&byte);
    if !text.is_empty() && text.bytes().all(in_name) {
        return ResourceSelector::parse(&format!("arn:*:kinesis:*:*:stream/{text}"));
    }
    let is_stream = |arn: &Arn<'_>| arn.service == "kinesis" && arn.resource.starts_with("stream/");
    if Arn::parse(text).is_some_and(|arn| is_stream(&arn)) {
        return ResourceSelector::parse(text);
    }
    Err(format!(
        "`{text}` is neither a stream's name nor `arn:aws:kinesis:REGION:ACCOUNT:stream/NAME`, \
         with or without wildcards"
    ))
}
