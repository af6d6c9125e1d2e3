//! Captured requests of real clients: the operation, the credential and the resources that the gate
//! reads.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kinesis_gate::kinesis::{
    Host, ResolveContext, Resource, Resources, Scanner, Target, WireFormat, resolve_resources,
};
use kinesis_gate::sigv4::{self, SignatureLocation};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Capture {
    client: String,
    host: String,
    target: String,
    content_type: String,
    authorization: String,
    /// Text, or `b64:` and base64.
    body: String,
    /// ARNs; `*` for no resource, `?` for an unknown one, and `?` for an unknown account.
    resources: Vec<String>,
}

#[test]
fn captured_requests_are_resolved() {
    let captures: Vec<Capture> =
        serde_json::from_str(include_str!("kinesis/captures.json")).unwrap();
    assert_eq!(captures.len(), 18);
    for capture in captures {
        let title = format!("{} {}", capture.client, capture.target);
        let host = Host::parse(&capture.host).unwrap();
        assert_eq!(
            (host.partition, host.region),
            ("aws", "us-east-1"),
            "{title}"
        );
        let target = Target::parse(&capture.target).unwrap();
        let Target::Operation(operation) = target else {
            panic!("{title}: an unknown operation")
        };
        assert!(
            host.plane.is_none_or(|plane| plane == operation.plane),
            "{title}"
        );

        let signature = sigv4::parse(Some(&capture.authorization), None).unwrap();
        let scope = signature.credential.scope;
        assert_eq!(
            (scope.region, scope.service, signature.location),
            ("us-east-1", "kinesis", SignatureLocation::Header)
        );
        // Access keys of the old form hold no account.
        assert_eq!(signature.credential.account, None, "{title}");

        let body = match capture.body.strip_prefix("b64:") {
            Some(encoded) => STANDARD.decode(encoded).unwrap(),
            None => capture.body.into_bytes(),
        };
        let mut scanner =
            Scanner::new(WireFormat::from_content_type(&capture.content_type).unwrap());
        scanner
            .push(&body)
            .unwrap_or_else(|error| panic!("{title}: {error}"));
        scanner
            .finish()
            .unwrap_or_else(|error| panic!("{title}: {error}"));

        let context = ResolveContext {
            partition: host.partition,
            region: host.region,
            host_account: host.account,
            caller_account: None,
        };
        let mut resources = Resources::default();
        resolve_resources(&target, scanner.members(), &context, None, &mut resources).unwrap();
        let resources: Vec<String> = resources
            .iter()
            .map(|resource| match resource {
                Resource::Any => "*".to_owned(),
                Resource::Unknown => "?".to_owned(),
                Resource::Arn(arn) | Resource::Unscoped(arn) => format!(
                    "arn:{}:{}:{}:{}:{}",
                    arn.partition,
                    arn.service,
                    arn.region,
                    arn.account.unwrap_or("?"),
                    arn.resource
                ),
            })
            .collect();
        assert_eq!(resources, capture.resources, "{title}");
    }
}
