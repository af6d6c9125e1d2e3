//! The condition context: the value of every condition key for one request.
//!
//! Where signatures pass through, the gate knows the request, the connection and its configuration.
//! Where the gate authenticates callers, it also knows these. The values in a session token, in IAM
//! or in AWS Organizations are *unknown*, which is not *absent*.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::{HeaderName, REFERER, USER_AGENT};
use http::{HeaderMap, HeaderValue};

use crate::kinesis::{Members, Target};
use crate::policy::{Context, Fact, Key, Value, Values, eq_name};

use super::caller_identity::CallerIdentity;
use super::connection::ConnectionInfo;
use super::endpoints::{Endpoint, Organization, known_text, known_texts};

/// The condition context of one request, without the keys that depend on the resource.
pub(super) struct RequestContext<'a> {
    endpoint: &'a Endpoint,
    organizations: &'a HashMap<Box<str>, Organization>,
    peer: IpAddr,
    caller: &'a CallerIdentity<'a>,
    headers: &'a HeaderMap,
    tags: Tags<'a>,
    now: SystemTime,
}

/// The condition context of one request for one of its resources.
pub(super) struct ResourceContext<'a> {
    pub(super) request: &'a RequestContext<'a>,
    /// The account of the resource.
    pub(super) resource_account: Fact<&'a str>,
}

/// The tags that a request sets or removes.
struct Tags<'a> {
    members: &'a Members,
    /// Whether all tags are known. An operation that is not in the table may carry more.
    is_complete: bool,
}

impl<'a> RequestContext<'a> {
    pub(super) fn new(
        connection: &'a ConnectionInfo,
        headers: &'a HeaderMap,
        caller: &'a CallerIdentity<'a>,
        target: &Target<'_>,
        members: &'a Members,
        now: SystemTime,
    ) -> RequestContext<'a> {
        RequestContext {
            endpoint: connection.endpoint(),
            organizations: &connection.listener.identity_map.organizations,
            peer: connection.peer,
            caller,
            headers,
            tags: Tags {
                members,
                is_complete: matches!(target, Target::Operation(_)),
            },
            now,
        }
    }

    fn current_time(&self) -> Fact<Value<'_>> {
        let since = self.now.duration_since(UNIX_EPOCH).ok();
        let millis = since.and_then(|since| i64::try_from(since.as_millis()).ok());
        millis.map_or(Fact::Unknown, |millis| Fact::Known(Value::Time(millis)))
    }

    /// A header that the caller may set freely; unknown if the header is repeated.
    fn header(&self, name: &HeaderName) -> Fact<Value<'_>> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next().map(HeaderValue::to_str), values.next()) {
            (None, _) => Fact::Absent,
            (Some(Ok(text)), None) => Fact::Known(Value::Text(text)),
            _ => Fact::Unknown,
        }
    }
}

impl Context for ResourceContext<'_> {
    fn value(&self, key: Key<'_>) -> Fact<Value<'_>> {
        let ResourceContext {
            request,
            resource_account,
        } = self;
        let caller = request.caller;
        match key {
            // The connection and the configuration.
            Key::SourceVpce
            | Key::SourceVpc
            | Key::SourceVpcArn
            | Key::VpceAccount
            | Key::VpceOrgId
            | Key::VpceOrgPaths
            | Key::RequestedRegion => request.endpoint.condition_value(key),
            Key::VpcSourceIp => Fact::Known(Value::Ip(request.peer)),
            // Through a VPC endpoint the key is absent, as on AWS.
            Key::SourceIp => Fact::Absent,
            Key::SecureTransport => Fact::Known(Value::Bool(true)),
            Key::CurrentTime | Key::EpochTime => request.current_time(),

            // The request.
            Key::UserAgent => request.header(&USER_AGENT),
            Key::Referer => request.header(&REFERER),
            Key::ResourceAccount => text(*resource_account),
            Key::ResourceOrgId => known_text(self.organization().and_then(|found| found.id.as_deref())),
            Key::ResourceOrgPaths => known_texts(self.organization().and_then(|found| found.paths.as_ref())),
            Key::RequestTag(tag) => request.tags.value(tag),
            Key::TagKeys => request.tags.keys(),

            // The caller.
            Key::PrincipalAccount => text(caller.account_fact()),
            Key::PrincipalArn => text(caller.arn()),
            Key::PrincipalType => text(caller.principal_type()),
            Key::Username => text(caller.user_name()),
            Key::UserId => text(caller.user_id()),
            Key::PrincipalOrgId => known_text(caller.organization_id()),
            Key::PrincipalOrgPaths => known_texts(caller.organization_paths()),
            Key::PrincipalTag(tag) => text(caller.tag(tag)),
            Key::SourceIdentity => text(caller.source_identity()),
            Key::TokenIssueTime => caller.session_fact(Fact::Known(
                caller.issue_time().map_or(Value::Opaque, Value::Time),
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
            | Key::IdentityStoreUserId => caller.session_fact(Fact::Unknown),

            // An AWS service does not call through a customer's endpoint with a customer's key.
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
            // Only in `kinesis:InjectApiError`, which is not an API call.
            | Key::FisActionId
            | Key::FisInjectPercentage
            | Key::FisTargetArns => Fact::Absent,

            // The value is inside a session token, in IAM or in AWS Organizations; or the key is
            // newer than the registry.
            _ => Fact::Unknown,
        }
    }
}

impl ResourceContext<'_> {
    /// The organization of the resource's account.
    fn organization(&self) -> Option<&Organization> {
        match self.resource_account {
            Fact::Known(account) => self.request.organizations.get(account),
            Fact::Absent | Fact::Unknown => None,
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
        let mut found = self.members.tags().filter(|(key, _)| eq_name(key, tag));
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Fact::Known(Value::Text(value)),
            // Two keys that differ in case alone: AWS does not document which value counts.
            (Some(_), Some(_)) => Fact::Unknown,
            (None, _) if self.is_complete => Fact::Absent,
            (None, _) => Fact::Unknown,
        }
    }

    fn keys(&self) -> Fact<Value<'_>> {
        match (self.at(0), self.is_complete) {
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
