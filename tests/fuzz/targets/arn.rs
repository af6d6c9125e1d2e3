//! ARNs: a parsed ARN is written as it was read, and its parts are those between the colons.

use kinesis_gate::kinesis::Arn;

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(arn) = Arn::parse(text) {
        assert_eq!(arn.to_string(), text);
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        assert_eq!(
            parts,
            [
                "arn",
                arn.partition,
                arn.service,
                arn.region,
                arn.account,
                arn.resource
            ]
        );
        assert!(arn.account.len() == 12 && arn.account.bytes().all(|b| b.is_ascii_digit()));
        assert!(!arn.region.is_empty() && !arn.resource.is_empty());
    }
}
