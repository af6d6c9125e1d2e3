//! Properties of the policy language over random policies and requests: a compiled policy decides
//! as a naive reference, the index decides as a scan of all statements, and an unknown fact never
//! allows more than each value that the fact may have.
//!
//! `POLICY_CASES` in the environment of the build raises the number of policies per property.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    unreachable_pub,
    reason = "a test fails by panicking"
)]

#[path = "policy/generate.rs"]
mod generate;
#[path = "policy/reference.rs"]
mod reference;

use generate::{ACTIONS, PolicyModel, RequestModel, Rng};
use kinesis_gate::policy::{Attachment, Options, Outcome, Policy, Strictness};
use proptest::prelude::{ProptestConfig, any, proptest};

/// Policies per property; each decides [`REQUEST_COUNT`] requests.
const POLICY_COUNT: u64 = match option_env!("POLICY_CASES") {
    Some(_) => 100_000,
    None => 4_000,
};
const REQUEST_COUNT: usize = 25;

const OPTIONS: Options<'static> = Options {
    attachment: Attachment::Endpoint,
    actions: ACTIONS,
    max_characters: None,
    strictness: Strictness::Evaluable,
};

fn compile(model: &PolicyModel) -> Policy {
    let text = model.to_json();
    Policy::compile(&text, &OPTIONS).unwrap_or_else(|findings| panic!("{text}\n{findings:?}"))
}

#[test]
fn a_compiled_policy_decides_as_the_naive_reference() {
    let mut outcomes = [0_u32; 3];
    for seed in 0..POLICY_COUNT {
        let mut rng = Rng::new(seed);
        let model = PolicyModel::random(&mut rng);
        let policy = compile(&model);
        for _ in 0..REQUEST_COUNT {
            let request_model = RequestModel::fully_known(&mut rng);
            let (outcome, statement) = reference::decide(&model, &request_model);
            let decision = request_model.with_request(|request| policy.decide(request));
            let index = decision.statement.map(|id| id.index());
            assert_eq!(
                decision.outcome,
                outcome,
                "{}\n{request_model:?}",
                model.to_json()
            );
            if outcome != Outcome::ImplicitDeny {
                assert_eq!(index, statement, "{}\n{request_model:?}", model.to_json());
            }
            outcomes[outcome as usize] += 1;
        }
    }
    // The generator must reach all three outcomes often.
    let all: u32 = outcomes.iter().sum();
    assert!(
        outcomes.iter().all(|&count| count > all / 20),
        "{outcomes:?}"
    );
}

#[test]
fn the_index_decides_as_the_scan() {
    for seed in 0..POLICY_COUNT / 2 {
        let mut rng = Rng::new(seed);
        let model = PolicyModel::large(&mut rng);
        let policy = compile(&model);
        for _ in 0..REQUEST_COUNT {
            let request_model = RequestModel::partly_known(&mut rng);
            request_model.with_request(|request| {
                assert_eq!(
                    policy.decide(request),
                    policy.decide_by_scan(request),
                    "{}\n{request_model:?}",
                    model.to_json()
                );
            });
        }
    }
}

#[test]
fn an_unknown_fact_never_allows_more_than_its_possible_values() {
    let mut allow_count = 0_u32;
    for seed in 0..POLICY_COUNT {
        let mut rng = Rng::new(seed);
        let model = PolicyModel::random(&mut rng);
        let policy = compile(&model);
        for _ in 0..REQUEST_COUNT {
            let request_model = RequestModel::partly_known(&mut rng);
            if request_model.with_request(|request| policy.decide(request).outcome)
                != Outcome::Allow
            {
                continue;
            }
            allow_count += 1;
            for _ in 0..8 {
                let completion = request_model.possible_completion(&mut rng);
                assert_eq!(
                    completion.with_request(|request| policy.decide(request).outcome),
                    Outcome::Allow,
                    "{}\n{request_model:?}\n{completion:?}",
                    model.to_json()
                );
            }
        }
    }
    assert!(u64::from(allow_count) > POLICY_COUNT, "{allow_count}");
}

#[test]
fn adding_a_deny_or_removing_an_allow_never_allows() {
    for seed in 0..POLICY_COUNT / 4 {
        let mut rng = Rng::new(seed);
        let model = PolicyModel::random(&mut rng);
        let policy = compile(&model);
        let with_deny = model.with_a_deny(&mut rng);
        let without_allow = model.without_an_allow(&mut rng);
        let (with_deny, without_allow) = (compile(&with_deny), without_allow.as_ref().map(compile));
        for _ in 0..REQUEST_COUNT {
            let request_model = RequestModel::partly_known(&mut rng);
            request_model.with_request(|request| {
                if policy.decide(request).outcome != Outcome::Allow {
                    assert_ne!(with_deny.decide(request).outcome, Outcome::Allow);
                    if let Some(without_allow) = &without_allow {
                        assert_ne!(without_allow.decide(request).outcome, Outcome::Allow);
                    }
                }
            });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Every text compiles or is refused.
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        let _ = Policy::compile(&text, &Options::ENDPOINT);
    }

    /// A valid document with one part overwritten.
    #[test]
    fn no_mutated_document_panics(seed in any::<u64>(), at in any::<usize>(), patch in ".{0,8}") {
        let mut rng = Rng::new(seed);
        let model = PolicyModel::random(&mut rng);
        let text = model.to_json();
        let mut at = at % text.len();
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let end = (at + patch.len().max(1)).min(text.len());
        if text.is_char_boundary(end) {
            let mutated = format!("{}{patch}{}", &text[..at], &text[end..]);
            if let Ok(policy) = Policy::compile(&mutated, &OPTIONS) {
                let request_model = RequestModel::partly_known(&mut rng);
                request_model.with_request(|request| {
                    assert_eq!(policy.decide(request), policy.decide_by_scan(request));
                    let _ = policy.explain(request);
                });
            }
        }
    }
}

/// The time of a match is linear in the text: ten decisions about a text take about as long as forty
/// about a quarter of it. With these patterns, a matcher that backtracks further than the last `*` takes
/// exponential time, and a matcher that is quadratic in the text takes four times as long.
#[test]
fn the_time_of_a_match_is_linear_in_the_text() {
    let stars = "*a".repeat(200);
    for pattern in [
        format!("stream/{stars}*b"),
        format!("stream/{}b", "?*".repeat(200)),
        format!("stream/*{}b", "a".repeat(500)),
        format!("stream/*{}b*", "a?".repeat(100)),
        format!("stream/*{}*{}b", "?".repeat(200), "a?".repeat(50)),
    ] {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":"*","Resource":"arn:aws:kinesis:us-east-1:123456789012:{pattern}"}},
                {{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{{"StringLike":{{"aws:UserAgent":["{pattern}","*${{aws:username}}{pattern}"]}}}}}},
                {{"Effect":"Deny","Principal":"*","Action":"kinesis:{}b","Resource":"*"}}]}}"#,
            "*a".repeat(200),
        );
        let policy = Policy::compile(&text, &OPTIONS).expect("valid");
        let cost = |length: usize, runs: usize| {
            let name = "a".repeat(length);
            let request_model =
                RequestModel::for_stream(&format!("stream/{name}"), &format!("stream/{name}"));
            let before = cpu_nanoseconds();
            for _ in 0..runs {
                let outcome = request_model.with_request(|request| policy.decide(request).outcome);
                assert_eq!(outcome, Outcome::ImplicitDeny);
            }
            cpu_nanoseconds() - before
        };
        let (short, long) = (cost(2_000, 40), cost(8_000, 10));
        assert!(
            long < short * 5 / 2,
            "{pattern}: {short} ns, then {long} ns"
        );
    }
}

/// CPU time of this thread, which other processes do not change.
fn cpu_nanoseconds() -> u64 {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let cpu_time = schedstat.split(' ').next().expect("a field");
    cpu_time.parse().expect("a number")
}
