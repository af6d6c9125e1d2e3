use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, header};

use crate::config::HostNames;
use crate::kinesis::{Scanner, Target, WireFormat};
use crate::policy::{
    Context, Fact, Key, Knowledge, Options, Policy, REGISTRY, RegisteredKey, Value, ValueType,
};
use crate::sigv4::{self, PrincipalArn, RequestSignature};

use super::super::caller_identity::CallerIdentity;
use super::super::connection::ConnectionInfo;
use super::super::endpoints::{
    Endpoint, EndpointOwner, Enforcement, IdentityMap, IdentityPolicies, ListenerEndpoints,
    MappedPrincipal, Organization, TokenRules,
};
use super::{RequestContext, ResourceContext};

const ACCOUNT: &str = "609629065308";

fn organization() -> Organization {
    Organization {
        id: Some("o-abc".to_owned()),
        paths: Some(vec!["o-abc/r-def/".to_owned()]),
    }
}

/// A role with every fact stated.
fn principal() -> MappedPrincipal {
    MappedPrincipal {
        holder: sigv4::PrincipalArn {
            arn: format!("arn:aws:iam::{ACCOUNT}:role/producer").into(),
            session_arn: Some(format!("arn:aws:sts::{ACCOUNT}:assumed-role/producer/i-1").into()),
            account: ACCOUNT.into(),
        },
        user_id: Some("AROAEXAMPLE:i-1".to_owned()),
        source_identity: Some("alice".to_owned()),
        tags: Some(vec![("Team".to_owned(), "orders".to_owned())]),
        organization: organization(),
    }
}

/// A connection to an endpoint with every fact stated, or only the required ones.
fn connection(everything: bool) -> ConnectionInfo {
    let mut identity_map = IdentityMap::default();
    let mut owner = EndpointOwner::default();
    if everything {
        identity_map
            .organizations
            .insert(ACCOUNT.into(), organization());
        owner = EndpointOwner {
            account: Some(ACCOUNT.to_owned()),
            organization: organization(),
            vpc_arn: Some(format!("arn:aws:ec2:us-east-1:{ACCOUNT}:vpc/vpc-0123abcd")),
        };
    }
    let endpoint = Arc::new(Endpoint {
        index: 0,
        id: "vpce-11aa22bb".into(),
        vpc: everything.then(|| "vpc-0123abcd".to_owned()),
        region: "us-east-1".to_owned(),
        partition: "aws",
        service_name: "kinesis.us-east-1.amazonaws.com".to_owned(),
        networks: Vec::new(),
        policy: Policy::full_access(&Options::ENDPOINT),
        policy_name: "default-full-access".into(),
        enforcement: Enforcement::Enforce,
        candidate: None,
        identity_policies: Arc::new(IdentityPolicies::default()),
        principal: everything.then(|| Arc::new(principal())),
        owner,
        re_sign: None,
        token_rules: TokenRules::default(),
        rate_rules: Arc::default(),
    });
    let listener = Arc::new(ListenerEndpoints {
        endpoints: vec![Arc::clone(&endpoint)],
        identity_map: Arc::new(identity_map),
        names: HostNames::default(),
        is_intercepting: false,
        tunnels: Vec::new(),
        client_verifier: None,
    });
    ConnectionInfo::new(listener, endpoint, Ipv4Addr::LOCALHOST.into())
}

fn signed(signature: &str) -> RequestSignature<'_> {
    sigv4::parse(Some(signature), None).unwrap()
}

fn signature() -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=ASIAY34FZKBOKMUTVV7A/20261123/us-east-1/kinesis/\
         aws4_request, SignedHeaders=host, Signature={:064}",
        0
    )
}

/// Calls `check` with the condition context of a caller in `mode`.
fn check_context(everything: bool, mode: Mode, mut check: impl FnMut(&ResourceContext<'_>)) {
    let connection = connection(everything);
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, HeaderValue::from_static("agent"));
    headers.insert(header::REFERER, HeaderValue::from_static("page"));
    let signature = signature();
    let principal = principal();
    let caller = match mode {
        Mode::Passthrough => CallerIdentity::from_signature(&connection, signed(&signature)),
        Mode::ReSign => {
            let holder: &PrincipalArn = &principal.holder;
            let details = everything.then_some(&principal);
            CallerIdentity::authenticated(&connection, None, holder, details, None)
        }
    };
    let target = Target::parse("Kinesis_20131202.AddTagsToStream").unwrap();
    let mut scanner = Scanner::new(WireFormat::Json);
    scanner
        .push(br#"{"StreamName":"s","Tags":{"team":"a"}}"#)
        .unwrap();
    scanner.finish().unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let members = scanner.members();
    let facts = RequestContext::new(&connection, &headers, &caller, &target, members, now);
    check(&ResourceContext {
        request: &facts,
        resource_account: Fact::Known(ACCOUNT),
    });
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Passthrough,
    ReSign,
}

/// The registry states which keys a listener knows. Requests must agree with the registry: `check`
/// prints warnings from it, and the docs have a table of it.
#[test]
fn facts_and_the_registry_agree() {
    for mode in [Mode::Passthrough, Mode::ReSign] {
        let knowledge = |registered: &RegisteredKey| match mode {
            Mode::Passthrough => registered.passthrough,
            Mode::ReSign => registered.resign,
        };
        for everything in [false, true] {
            check_context(everything, mode, |context| {
                for registered in REGISTRY {
                    let value = context.value(registered.key);
                    let agrees = match knowledge(registered) {
                        // A role is known to have no user's name.
                        Knowledge::Known if registered.key == Key::Username => {
                            matches!(value, Fact::Absent)
                        }
                        Knowledge::Known => matches!(value, Fact::Known(_)),
                        Knowledge::Absent => matches!(value, Fact::Absent),
                        Knowledge::Configured if everything => !matches!(value, Fact::Unknown),
                        Knowledge::Configured => {
                            matches!(value, Fact::Unknown) || registered.key == Key::SourceVpce
                        }
                        Knowledge::Partial => true,
                        Knowledge::Unknowable => matches!(value, Fact::Unknown),
                    };
                    let (name, knowledge) = (registered.name, knowledge(registered));
                    assert!(
                        agrees,
                        "{name} is not {knowledge:?} (all stated: {everything})"
                    );
                    if let (ValueType::Multivalued, Fact::Known(value)) =
                        (registered.value_type, value)
                    {
                        assert!(matches!(value, Value::Many(_)), "{name} is multivalued");
                    }
                }
                let is_known = |key| matches!(context.value(key), Fact::Known(_));
                assert!(is_known(Key::RequestTag("TEAM")));
                assert!(matches!(
                    context.value(Key::RequestTag("other")),
                    Fact::Absent
                ));
                assert!(matches!(
                    context.value(Key::ResourceTag("team")),
                    Fact::Unknown
                ));
                assert!(matches!(
                    context.value(Key::Other("s3:prefix")),
                    Fact::Unknown
                ));
                assert_eq!(is_known(Key::PrincipalTag("TEAM")), everything);
                let other = context.value(Key::PrincipalTag("other"));
                assert_eq!(matches!(other, Fact::Absent), everything);
            });
        }
    }
}

/// The table in the docs is the registry.
#[test]
fn the_documented_table_is_the_registry() {
    let word = |knowledge: Knowledge| match knowledge {
        Knowledge::Known => "known",
        Knowledge::Absent => "absent",
        Knowledge::Configured => "if stated",
        Knowledge::Partial => "in part",
        Knowledge::Unknowable => "unknown",
    };
    let mut table = "| key | signature passed through | authenticated by the gate |\n\
                     | --- | --- | --- |\n"
        .to_owned();
    let tags = [
        ("aws:PrincipalTag/…", Key::PrincipalTag("")),
        ("aws:RequestTag/…", Key::RequestTag("")),
        ("aws:ResourceTag/…", Key::ResourceTag("")),
    ];
    let rows = REGISTRY
        .iter()
        .map(|registered| (registered.name, registered.key))
        .chain(tags);
    for (name, key) in rows {
        let (passed, authenticated) = (word(key.in_passthrough()), word(key.in_resign()));
        table += &format!("| `{name}` | {passed} | {authenticated} |\n");
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/identity.md");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.contains(&table),
        "docs/identity.md must hold this table:\n{table}"
    );
}
