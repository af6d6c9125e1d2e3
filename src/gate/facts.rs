//! What is known of one request, in the words that policies ask in.
//!
//! Where signatures pass through, the gate knows what stands in the request, in the connection and
//! in its own configuration. Where it authenticates its callers, it knows them. What stands inside a
//! session token, in IAM or in AWS Organizations it cannot know, and says so: *unknown* is not
//! *absent*.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::{HeaderName, REFERER, USER_AGENT};
use http::{HeaderMap, HeaderValue};

use crate::kinesis::{Members, Target};
use crate::policy::{Context, Fact, Key, Value, Values, eq_name};

use super::ConnectionInfo;
use super::principal::KnownCaller;
use super::principals::Organization;
use super::site::Endpoint;

/// Everything a condition may ask about one request, but what depends on the resource.
pub(super) struct Facts<'a> {
    endpoint: &'a Endpoint,
    organizations: &'a HashMap<Box<str>, Organization>,
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
        connection: &'a ConnectionInfo,
        headers: &'a HeaderMap,
        caller: &'a KnownCaller<'a>,
        target: &Target<'_>,
        members: &'a Members,
        now: SystemTime,
    ) -> Facts<'a> {
        Facts {
            endpoint: connection.endpoint(),
            organizations: &connection.listener.identity_map.organizations,
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
            Key::SourceVpce
            | Key::SourceVpc
            | Key::SourceVpcArn
            | Key::VpceAccount
            | Key::VpceOrgId
            | Key::VpceOrgPaths
            | Key::RequestedRegion => facts.endpoint.fact(key),
            Key::VpcSourceIp => Fact::Known(Value::Ip(facts.peer)),
            // Through an endpoint there is none, as on AWS.
            Key::SourceIp => Fact::Absent,
            Key::SecureTransport => Fact::Known(Value::Bool(true)),
            Key::CurrentTime | Key::EpochTime => facts.millis(),

            // The request.
            Key::UserAgent => facts.header(&USER_AGENT),
            Key::Referer => facts.header(&REFERER),
            Key::ResourceAccount => text(*resource_account),
            Key::ResourceOrgId => stated(self.organization().and_then(|found| found.id.as_deref())),
            Key::ResourceOrgPaths => many(self.organization().and_then(|found| found.paths.as_ref())),
            Key::RequestTag(tag) => facts.tags.value(tag),
            Key::TagKeys => facts.tags.keys(),

            // The caller.
            Key::PrincipalAccount => text(caller.account_fact()),
            Key::PrincipalArn => text(caller.arn()),
            Key::PrincipalType => text(caller.principal_type()),
            Key::Username => text(caller.user_name()),
            Key::UserId => text(caller.user_id()),
            Key::PrincipalOrgId => stated(caller.organization_id()),
            Key::PrincipalOrgPaths => many(caller.organization_paths()),
            Key::PrincipalTag(tag) => text(caller.tag(tag)),
            Key::SourceIdentity => text(caller.source_identity()),
            Key::TokenIssueTime => caller.of_session(Fact::Known(
                caller.issued().map_or(Value::Opaque, Value::Time),
            )),
            Key::MultiFactorAuthPresent
            | Key::MultiFactorAuthAge
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
            Key::SourceVpc => stated(self.vpc.as_deref()),
            Key::SourceVpcArn => stated(self.owner.vpc_arn.as_deref()),
            Key::VpceAccount => stated(self.owner.account.as_deref()),
            Key::VpceOrgId => stated(self.owner.organization.id.as_deref()),
            Key::VpceOrgPaths => many(self.owner.organization.paths.as_ref()),
            Key::RequestedRegion => Fact::Known(Value::Text(&self.region)),
            _ => Fact::Unknown,
        }
    }
}

impl FactsOf<'_> {
    /// The organization of the account that the resource is in.
    fn organization(&self) -> Option<&Organization> {
        match self.resource_account {
            Fact::Known(account) => self.facts.organizations.get(account),
            Fact::Absent | Fact::Unknown => None,
        }
    }
}

/// What the configuration states, or else nobody knows.
fn stated(text: Option<&str>) -> Fact<Value<'_>> {
    text.map_or(Fact::Unknown, |text| Fact::Known(Value::Text(text)))
}

fn many(values: Option<&Vec<String>>) -> Fact<Value<'_>> {
    values.map_or(Fact::Unknown, |values| Fact::Known(Value::Many(values)))
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
        let mut found = self.members.tags().filter(|(key, _)| eq_name(key, tag));
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
mod tests;
