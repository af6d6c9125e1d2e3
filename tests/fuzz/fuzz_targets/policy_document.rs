//! Policy documents: the text compiles or is refused, and the index decides as the scan does.

#![no_main]

use kinesis_gate::kinesis::ACTION_NAMES;
use kinesis_gate::policy::{
    Action, Attachment, Listener, Options, Policy, Principal, Request, Resource, Strictness,
    UnknownContext, lint,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for attachment in [Attachment::Endpoint, Attachment::Identity] {
        let options = Options {
            attachment,
            actions: ACTION_NAMES,
            max_characters: None,
            strictness: Strictness::Evaluable,
        };
        let listener = Listener { knows: &|_| false, knows_principal_arn: false };
        let _ = lint(text, &options, Some(&listener));
        let Ok(policy) = Policy::compile(text, &options) else { continue };
        for (name, number) in ACTION_NAMES.iter().zip(0..) {
            let request = Request {
                principal: Principal::UNKNOWN,
                action: Action { service: "kinesis", name, number: Some(number) },
                resource: Resource::Unknown,
                context: &UnknownContext,
            };
            assert_eq!(policy.decide(&request), policy.decide_by_scan(&request));
        }
    }
});
