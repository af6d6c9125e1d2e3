//! Host names of Kinesis endpoints, and authorities.

use kinesis_gate::kinesis::{
    Host, canonical_host, partition_of, regional_endpoint, split_authority,
};

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Some(host) = Host::parse(text) {
        assert_eq!(partition_of(host.region), Some(host.partition));
        assert!(regional_endpoint(host.region).is_some());
        assert!(text.ends_with(host.suffix));
        assert_eq!(canonical_host(text), text);
        // The name is Kinesis's own, in a domain of AWS.
        assert!(text.contains("kinesis") && text.contains(host.region));
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b))
        );
        // A name in another case is the same host once it is canonical, and no host before.
        let upper = text.to_ascii_uppercase();
        assert!(Host::parse(&upper).is_none());
        assert_eq!(Host::parse(&canonical_host(&upper)), Some(host));
    }
    if let Some((host, port)) = split_authority(text) {
        assert!(!host.is_empty() && port != Some(0));
        assert!(!host.contains(['@', '/', '?', '#', '%', '[', ']', ' ']));
        assert!(text.contains(host));
    }
}
