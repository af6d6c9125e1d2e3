//! Signatures in the header and in the query, separated by the first line feed.

#![no_main]

use kinesis_gate::caller::read;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (header, query) = text.split_once('\n').unwrap_or((text, ""));
    for result in [
        read(Some(header), None),
        read(None, Some(query)),
        read(Some(header), Some(query)),
    ] {
        match result {
            Ok(caller) => {
                assert!(!caller.access_key_id.is_empty() && caller.date.len() == 8);
                assert!(
                    caller
                        .account
                        .is_none_or(|account| account.as_str().len() == 12)
                );
            }
            Err(why) => assert!(!why.message().is_empty()),
        }
    }
});
