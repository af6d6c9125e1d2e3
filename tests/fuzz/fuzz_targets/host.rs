//! Endpoint names and authorities.

#![no_main]

use kinesis_gate::kinesis::{Host, canonical, partition_of, regional_endpoint, split_authority};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some(host) = Host::parse(text) {
        assert_eq!(partition_of(host.region), Some(host.partition));
        assert!(regional_endpoint(host.region).is_some());
        assert!(text.ends_with(host.suffix));
        assert_eq!(canonical(text), text);
        // Another spelling is the same name once it is canonical, and none before.
        let upper = text.to_ascii_uppercase();
        assert!(Host::parse(&upper).is_none());
        assert_eq!(Host::parse(&canonical(&upper)), Some(host));
    }
    if let Some((host, port)) = split_authority(text) {
        assert!(!host.is_empty() && port != Some(0));
        assert!(!host.contains(['@', '/', '?', '#', '%', '[', ']', ' ']));
    }
});
