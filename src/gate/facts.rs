//! What is known of one request, in the words that policies ask in.
//!
//! This gate passes signatures through: it knows what stands in the request, in the connection and
//! in its own configuration. What stands inside a session token, in IAM or in AWS Organizations it
//! cannot know, and says so: *unknown* is not *absent*.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::{HeaderName, REFERER, USER_AGENT};
use http::{HeaderMap, HeaderValue};

use crate::kinesis::{Members, Target};
use crate::policy::{Context, Fact, Key, Value, Values, same_name};

use super::Connection;
use super::principal::KnownCaller;
use super::site::Endpoint;

/// Everything a condition may ask about one request, but what depends on the resource.
pub(super) struct Facts<'a> {
    endpoint: &'a Endpoint,
    peer: IpAddr,
    caller: &'a KnownCaller<'a>,
    headers: &'a HeaderMap,
    tags: Tags<'a>,
    now: SystemTime,
}

/// The facts, and whose the resource is.
pub(super) struct FactsOf<'a> {
    pub(super) facts: &'a Facts<'a>,
    pub(super) resource_account: Fact<&'a str>,
}

/// What is known of every request that comes through an endpoint.
pub(super) struct AnyRequest<'a>(pub(super) &'a Endpoint);

/// The tags a request sets or removes.
struct Tags<'a> {
    members: &'a Members,
    /// Whether all of them are found: an operation newer than the table may carry more.
    whole: bool,
}

impl<'a> Facts<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        headers: &'a HeaderMap,
        caller: &'a KnownCaller<'a>,
        target: &Target<'_>,
        members: &'a Members,
        now: SystemTime,
    ) -> Facts<'a> {
        Facts {
            endpoint: &connection.site.endpoint,
            peer: connection.peer,
            caller,
            headers,
            tags: Tags {
                members,
                whole: matches!(target, Target::Operation(_)),
            },
            now,
        }
    }

    fn millis(&self) -> Fact<Value<'_>> {
        let since = self.now.duration_since(UNIX_EPOCH).ok();
        let millis = since.and_then(|since| i64::try_from(since.as_millis()).ok());
        millis.map_or(Fact::Unknown, |millis| Fact::Known(Value::Time(millis)))
    }

    /// A header that the caller may set as it likes, if it is there once.
    fn header(&self, name: &HeaderName) -> Fact<Value<'_>> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next().map(HeaderValue::to_str), values.next()) {
            (None, _) => Fact::Absent,
            (Some(Ok(text)), None) => Fact::Known(Value::Text(text)),
            _ => Fact::Unknown,
        }
    }
}

impl Context for FactsOf<'_> {
    fn value(&self, key: Key<'_>) -> Fact<Value<'_>> {
        let FactsOf {
            facts,
            resource_account,
        } = self;
        let caller = facts.caller;
        match key {
            // The connection and the configuration.
            Key::SourceVpce | Key::SourceVpc | Key::RequestedRegion => {
                facts.endpoint.fact(key)
            }
            Key::VpcSourceIp => Fact::Known(Value::Ip(facts.peer)),
            // Through an endpoint there is none, as on AWS.
            Key::SourceIp => Fact::Absent,
            Key::SecureTransport => Fact::Known(Value::Bool(true)),
            Key::CurrentTime | Key::EpochTime => facts.millis(),

            // The request.
            Key::UserAgent => facts.header(&USER_AGENT),
            Key::Referer => facts.header(&REFERER),
            Key::ResourceAccount => text(*resource_account),
            Key::RequestTag(tag) => facts.tags.value(tag),
            Key::TagKeys => facts.tags.keys(),

            // The caller.
            Key::PrincipalAccount => text(caller.account_fact()),
            Key::PrincipalArn => text(caller.arn()),
            Key::PrincipalType => text(caller.principal_type()),
            Key::Username => text(caller.user_name()),
            Key::TokenIssueTime => caller.of_session(Fact::Known(Value::Opaque)),
            Key::MultiFactorAuthPresent
            | Key::MultiFactorAuthAge
            | Key::SourceIdentity
            | Key::FederatedProvider
            | Key::AssumedRoot
            | Key::ChatbotSourceArn
            | Key::Ec2InstanceSourceVpc
            | Key::Ec2InstanceSourcePrivateIpv4
            | Key::Ec2RoleDelivery
            | Key::Ec2SourceInstanceArn
            | Key::GlueRoleAssumedBy
            | Key::GlueCredentialIssuingService
            | Key::LambdaSourceFunctionArn
            | Key::SsmSourceInstanceArn
            | Key::IdentityStoreUserId => caller.of_session(Fact::Unknown),

            // A service of AWS does not come through a customer's endpoint with a customer's key.
            Key::PrincipalIsAwsService | Key::ViaAwsService => Fact::Known(Value::Bool(false)),
            Key::PrincipalServiceName
            | Key::PrincipalServiceNamesList
            | Key::CalledVia
            | Key::CalledViaFirst
            | Key::CalledViaLast
            | Key::SourceArn
            | Key::SourceAccount
            | Key::SourceOwner
            | Key::SourceOrgPaths
            | Key::SourceOrgId
            // Only in `kinesis:InjectApiError`, which is no call.
            | Key::FisActionId
            | Key::FisInjectPercentage
            | Key::FisTargetArns => Fact::Absent,

            // Inside a session token, in IAM or in AWS Organizations; and whatever is newer than
            // the registry.
            _ => Fact::Unknown,
        }
    }
}

impl Context for AnyRequest<'_> {
    fn value(&self, key: Key<'_>) -> Fact<Value<'_>> {
        self.0.fact(key)
    }
}

impl Endpoint {
    /// What the endpoint alone tells of a key.
    fn fact(&self, key: Key<'_>) -> Fact<Value<'_>> {
        match key {
            Key::SourceVpce => Fact::Known(Value::Text(&self.id)),
            Key::SourceVpc => text(self.vpc.as_deref().map_or(Fact::Unknown, Fact::Known)),
            Key::RequestedRegion => Fact::Known(Value::Text(&self.region)),
            _ => Fact::Unknown,
        }
    }
}

fn text(fact: Fact<&str>) -> Fact<Value<'_>> {
    match fact {
        Fact::Known(text) => Fact::Known(Value::Text(text)),
        Fact::Absent => Fact::Absent,
        Fact::Unknown => Fact::Unknown,
    }
}

impl Tags<'_> {
    fn value(&self, tag: &str) -> Fact<Value<'_>> {
        let mut found = self.members.tags().filter(|(key, _)| same_name(key, tag));
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Fact::Known(Value::Text(value)),
            // Two keys that differ in case alone: which value counts is not documented.
            (Some(_), Some(_)) => Fact::Unknown,
            (None, _) if self.whole => Fact::Absent,
            (None, _) => Fact::Unknown,
        }
    }

    fn keys(&self) -> Fact<Value<'_>> {
        match (self.at(0), self.whole) {
            (_, false) => Fact::Unknown,
            (Some(_), true) => Fact::Known(Value::Many(self)),
            (None, true) => Fact::Absent,
        }
    }
}

/// The values of `aws:TagKeys`: the keys of `Tags` and the elements of `TagKeys`.
impl Values for Tags<'_> {
    fn at(&self, index: usize) -> Option<&str> {
        self.members
            .tags()
            .map(|(key, _)| key)
            .chain(self.members.tag_keys())
            .nth(index)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::time::{Duration, UNIX_EPOCH};

    use http::{HeaderMap, HeaderValue, header};

    use crate::caller;
    use crate::config::Names;
    use crate::kinesis::{Format, Scanner, Target};
    use crate::policy::{Context, Fact, Key, Knowledge, Options, Policy, REGISTRY};

    use super::super::site::{Endpoint, Identity, Principals, Site, TokenRules};
    use super::super::worker::Connection;
    use super::{Facts, FactsOf};

    fn connection() -> Connection {
        Connection {
            site: Arc::new(Site {
                endpoint: Arc::new(Endpoint {
                    place: 0,
                    id: "vpce-11aa22bb".into(),
                    vpc: None,
                    region: "us-east-1".to_owned(),
                    partition: "aws",
                    service_name: "kinesis.us-east-1.amazonaws.com".to_owned(),
                    policy: Policy::full_access(&Options::ENDPOINT),
                    policy_name: "default-full-access".into(),
                    identity: Arc::new(Identity::default()),
                    tokens: TokenRules::default(),
                }),
                principals: Arc::new(Principals::default()),
                names: Names::default(),
            }),
            peer: Ipv4Addr::LOCALHOST.into(),
            server_name: None,
        }
    }

    /// What the registry says a listener like this one knows is what requests are given: the
    /// warnings that `check` prints from it would lie otherwise.
    #[test]
    fn facts_and_the_registry_agree() {
        let connection = connection();
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static("agent"));
        headers.insert(header::REFERER, HeaderValue::from_static("page"));
        let signature = format!(
            "AWS4-HMAC-SHA256 Credential=ASIAY34FZKBOKMUTVV7A/20261123/us-east-1/kinesis/\
             aws4_request, SignedHeaders=host, Signature={:064}",
            0
        );
        let signed = caller::read(Some(&signature), None).unwrap();
        let principals = Principals::default();
        let caller = principals.caller(signed);
        let target = Target::parse("Kinesis_20131202.AddTagsToStream").unwrap();
        let mut scanner = Scanner::new(Format::Json);
        scanner
            .push(br#"{"StreamName":"s","Tags":{"team":"a"}}"#)
            .unwrap();
        scanner.finish().unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let facts = Facts::new(
            &connection,
            &headers,
            &caller,
            &target,
            scanner.members(),
            now,
        );
        let context = FactsOf {
            facts: &facts,
            resource_account: Fact::Known("609629065308"),
        };
        for registered in REGISTRY {
            let value = context.value(registered.key);
            let agrees = match registered.passthrough {
                Knowledge::Known => matches!(value, Fact::Known(_)),
                Knowledge::Absent => matches!(value, Fact::Absent),
                Knowledge::Configured => {
                    matches!(value, Fact::Unknown) || registered.key == Key::SourceVpce
                }
                Knowledge::Partly => true,
                Knowledge::Unknowable => matches!(value, Fact::Unknown),
            };
            assert!(
                agrees,
                "{} is not {:?}",
                registered.name, registered.passthrough
            );
        }
        assert!(matches!(
            context.value(Key::RequestTag("TEAM")),
            Fact::Known(_)
        ));
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
    }
}
