//! The rules about requests a second, compiled.

use std::fmt::Display;
use std::sync::Arc;

use crate::config::{self, Config, Problem};
use crate::gate::{RateRule, RateRules};
use crate::kinesis::ACTION_NAMES;
use crate::policy::{Action, ActionSelector, Arn, PrincipalPattern, ResourceSelector};
use crate::rate_limit::{Gcra, KeyedLimiter};

use super::Opening;

impl Opening<'_> {
    /// The rules. Those that a running gate knows by the same name, and that count the same in the
    /// same way, go on with what was counted.
    pub(super) fn rates(&mut self, config: &Config) -> RateRules {
        let rates = config.rates.iter().enumerate();
        RateRules(rates.map(|(place, rate)| self.rate(place, rate)).collect())
    }

    fn rate(&mut self, place: usize, rate: &config::Rate) -> RateRule {
        let gcra = Gcra::new(rate.requests, rate.burst);
        let known = self.before.and_then(|before| {
            let mut known = before.kept.rates.0.iter();
            known.find(|known| {
                *known.name == *rate.name
                    && known.per == rate.per
                    && known.limiter.is_configured_as(gcra, rate.keys)
            })
        });
        RateRule {
            name: rate.name.as_str().into(),
            per: rate.per,
            principals: self.each(place, "principals", &rate.principals, |text| {
                PrincipalPattern::parse(text)
            }),
            streams: self.each(place, "streams", &rate.streams, streams),
            actions: self.actions(place, &rate.actions),
            limiter: match known {
                Some(known) => Arc::clone(&known.limiter),
                None => Arc::new(KeyedLimiter::new(gcra, rate.keys)),
            },
        }
    }

    fn actions(&mut self, place: usize, texts: &[String]) -> Vec<ActionSelector> {
        let actions = self.each(place, "actions", texts, ActionSelector::parse);
        for (n, (text, actions)) in texts.iter().zip(&actions).enumerate() {
            let is_one = |name: &&str| {
                actions.matches(&Action {
                    service: "kinesis",
                    name,
                    number: None,
                })
            };
            if !ACTION_NAMES.iter().any(is_one) {
                let path = format!("rate[{place}].actions[{n}]");
                let message = format!("`{text}` is no action of Kinesis that is known here");
                self.notices
                    .push(Problem::of_value(self.file, path, message));
            }
        }
        actions
    }

    fn each<T, E: Display>(
        &mut self,
        place: usize,
        list: &str,
        texts: &[String],
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let mut parsed = Vec::with_capacity(texts.len());
        for (n, text) in texts.iter().enumerate() {
            match parse(text) {
                Ok(pattern) => parsed.push(pattern),
                Err(error) => self.problem(format_args!("rate[{place}].{list}[{n}]"), error),
            }
        }
        parsed
    }
}

/// Streams by name, of any region and account, or by ARN.
fn streams(text: &str) -> Result<ResourceSelector, String> {
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
