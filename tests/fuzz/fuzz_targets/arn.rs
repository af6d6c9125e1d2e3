//! ARNs: what is read is written back.

#![no_main]

use kinesis_gate::kinesis::Arn;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(arn) = Arn::parse(text) {
        assert_eq!(arn.to_string(), text);
        assert_eq!(arn.account.len(), 12);
        assert!(!arn.region.contains(':') && !arn.resource.is_empty());
    }
});
