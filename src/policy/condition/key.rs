//! The registry of condition keys: name, type, number of values, and who can know them.
//!
//! From the IAM User Guide's page of global condition keys and the service authorization
//! reference of Kinesis.

use std::fmt;

/// A condition key. Names are compared without regard to case, the tag key after the slash too.
macro_rules! registry {
    ($($variant:ident $name:literal $kind:ident $count:ident $passthrough:ident $resign:ident;)*) => {
        /// A condition key of a request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Key<'a> {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
            /// `aws:PrincipalTag/…`, a tag of the caller; the tag key as the policy writes it.
            PrincipalTag(&'a str),
            /// `aws:RequestTag/…`, a tag that the request sets.
            RequestTag(&'a str),
            /// `aws:ResourceTag/…`, a tag of the resource.
            ResourceTag(&'a str),
            /// A key of another service, by its full name in lower case.
            Other(&'a str),
        }

        /// Every registered key but those of tags.
        pub const REGISTRY: &[Registered] = &[
            $(Registered {
                key: Key::$variant,
                name: $name,
                kind: Kind::$kind,
                count: Count::$count,
                passthrough: Knowledge::$passthrough,
                resign: Knowledge::$resign,
            },)*
        ];
    };
}

registry! {
    PrincipalArn "aws:PrincipalArn" Arn Single Configured Known;
    PrincipalAccount "aws:PrincipalAccount" String Single Known Known;
    PrincipalOrgPaths "aws:PrincipalOrgPaths" String Multi Configured Configured;
    PrincipalOrgId "aws:PrincipalOrgID" String Single Configured Configured;
    PrincipalIsAwsService "aws:PrincipalIsAWSService" Bool Single Known Known;
    PrincipalServiceName "aws:PrincipalServiceName" String Single Absent Absent;
    PrincipalServiceNamesList "aws:PrincipalServiceNamesList" String Multi Absent Absent;
    PrincipalType "aws:PrincipalType" String Single Partly Known;
    UserId "aws:userid" String Single Configured Configured;
    Username "aws:username" String Single Configured Known;
    AssumedRoot "aws:AssumedRoot" Bool Single Partly Partly;
    FederatedProvider "aws:FederatedProvider" String Single Partly Partly;
    TokenIssueTime "aws:TokenIssueTime" Date Single Partly Partly;
    MultiFactorAuthAge "aws:MultiFactorAuthAge" Numeric Single Partly Partly;
    MultiFactorAuthPresent "aws:MultiFactorAuthPresent" Bool Single Partly Partly;
    ChatbotSourceArn "aws:ChatbotSourceArn" Arn Single Unknowable Unknowable;
    Ec2InstanceSourceVpc "aws:Ec2InstanceSourceVpc" String Single Unknowable Unknowable;
    Ec2InstanceSourcePrivateIpv4 "aws:Ec2InstanceSourcePrivateIPv4" Ip Single Unknowable Unknowable;
    SourceIdentity "aws:SourceIdentity" String Single Configured Configured;
    Ec2RoleDelivery "ec2:RoleDelivery" Numeric Single Unknowable Unknowable;
    Ec2SourceInstanceArn "ec2:SourceInstanceArn" Arn Single Unknowable Unknowable;
    GlueRoleAssumedBy "glue:RoleAssumedBy" String Single Unknowable Unknowable;
    GlueCredentialIssuingService "glue:CredentialIssuingService" String Single Unknowable Unknowable;
    LambdaSourceFunctionArn "lambda:SourceFunctionArn" Arn Single Unknowable Unknowable;
    SsmSourceInstanceArn "ssm:SourceInstanceArn" Arn Single Unknowable Unknowable;
    IdentityStoreUserId "identitystore:UserId" String Single Unknowable Unknowable;
    SourceIp "aws:SourceIp" Ip Single Absent Absent;
    SourceVpc "aws:SourceVpc" String Single Configured Configured;
    SourceVpcArn "aws:SourceVpcArn" Arn Single Configured Configured;
    SourceVpce "aws:SourceVpce" String Single Configured Configured;
    VpceAccount "aws:VpceAccount" String Single Configured Configured;
    VpceOrgPaths "aws:VpceOrgPaths" String Multi Configured Configured;
    VpceOrgId "aws:VpceOrgID" String Single Configured Configured;
    VpcSourceIp "aws:VpcSourceIp" Ip Single Known Known;
    ResourceAccount "aws:ResourceAccount" String Single Known Known;
    ResourceOrgId "aws:ResourceOrgID" String Single Configured Configured;
    ResourceOrgPaths "aws:ResourceOrgPaths" String Multi Configured Configured;
    CalledVia "aws:CalledVia" String Multi Absent Absent;
    CalledViaFirst "aws:CalledViaFirst" String Single Absent Absent;
    CalledViaLast "aws:CalledViaLast" String Single Absent Absent;
    CalledViaAwsMcp "aws:CalledViaAWSMCP" String Single Unknowable Unknowable;
    ViaAwsService "aws:ViaAWSService" Bool Single Known Known;
    ViaAwsMcpService "aws:ViaAWSMCPService" Bool Single Unknowable Unknowable;
    CurrentTime "aws:CurrentTime" Date Single Known Known;
    EpochTime "aws:EpochTime" Date Single Known Known;
    Referer "aws:referer" String Single Known Known;
    RequestedRegion "aws:RequestedRegion" String Single Known Known;
    TagKeys "aws:TagKeys" String Multi Known Known;
    SecureTransport "aws:SecureTransport" Bool Single Known Known;
    SourceArn "aws:SourceArn" Arn Single Absent Absent;
    SourceAccount "aws:SourceAccount" String Single Absent Absent;
    SourceOwner "aws:SourceOwner" String Single Absent Absent;
    SourceOrgPaths "aws:SourceOrgPaths" String Multi Absent Absent;
    SourceOrgId "aws:SourceOrgID" String Single Absent Absent;
    UserAgent "aws:UserAgent" String Single Known Known;
    IsMcpServiceAction "aws:IsMcpServiceAction" Bool Single Unknowable Unknowable;
    FisActionId "kinesis:FisActionId" String Single Absent Absent;
    FisInjectPercentage "kinesis:FisInjectPercentage" Numeric Single Absent Absent;
    FisTargetArns "kinesis:FisTargetArns" Arn Multi Absent Absent;
}

/// What the registry says of one key.
#[derive(Clone, Copy, Debug)]
pub struct Registered {
    /// The key.
    pub key: Key<'static>,
    /// Its name, in AWS's spelling.
    pub name: &'static str,
    /// The type of its values.
    pub kind: Kind,
    /// One value or several.
    pub count: Count,
    /// Who knows it where the client's signature goes through untouched.
    pub passthrough: Knowledge,
    /// Who knows it where the gate authenticates the caller itself and signs anew.
    pub resign: Knowledge,
}

/// The type of a key's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    String,
    /// An ARN.
    Arn,
    /// `true` or `false`.
    Bool,
    /// A number.
    Numeric,
    /// A point in time.
    Date,
    /// An IP address.
    Ip,
}

/// How many values a key has in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// At most one.
    Single,
    /// Any number: a policy needs `ForAllValues:` or `ForAnyValue:`.
    Multi,
}

/// Whether a listener can know a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// From the request or the connection.
    Known,
    /// Never in a request through an endpoint.
    Absent,
    /// Only where the configuration states it.
    Configured,
    /// For some callers, or only whether it is there.
    Partly,
    /// Not at all.
    Unknowable,
}

const PRINCIPAL_TAG: &str = "aws:PrincipalTag";
const REQUEST_TAG: &str = "aws:RequestTag";
const RESOURCE_TAG: &str = "aws:ResourceTag";

impl<'a> Key<'a> {
    /// The key of that name. A name that the registry does not have is `Other`, as written.
    #[must_use]
    pub fn of(name: &'a str) -> Key<'a> {
        if let Some((family, tag)) = name.split_once('/') {
            if family.eq_ignore_ascii_case(PRINCIPAL_TAG) {
                return Key::PrincipalTag(tag);
            }
            if family.eq_ignore_ascii_case(REQUEST_TAG) {
                return Key::RequestTag(tag);
            }
            if family.eq_ignore_ascii_case(RESOURCE_TAG) {
                return Key::ResourceTag(tag);
            }
        }
        REGISTRY
            .iter()
            .find(|registered| registered.name.eq_ignore_ascii_case(name))
            .map_or(Key::Other(name), |registered| registered.key)
    }

    /// What the registry says of it.
    #[must_use]
    pub fn registered(self) -> Option<&'static Registered> {
        REGISTRY.iter().find(|registered| registered.key == self)
    }

    /// The type of its values; keys of tags are text, unregistered ones unknown.
    #[must_use]
    pub fn kind(self) -> Option<Kind> {
        match self {
            Key::PrincipalTag(_) | Key::RequestTag(_) | Key::ResourceTag(_) => Some(Kind::String),
            Key::Other(_) => None,
            key => key.registered().map(|registered| registered.kind),
        }
    }

    /// One value or several; `None` for unregistered keys.
    #[must_use]
    pub fn count(self) -> Option<Count> {
        match self {
            Key::PrincipalTag(_) | Key::RequestTag(_) | Key::ResourceTag(_) => Some(Count::Single),
            Key::Other(_) => None,
            key => key.registered().map(|registered| registered.count),
        }
    }

    /// Whether a listener that passes signatures through can know it.
    #[must_use]
    pub fn in_passthrough(self) -> Knowledge {
        match self {
            Key::RequestTag(_) => Knowledge::Known,
            Key::PrincipalTag(_) => Knowledge::Configured,
            Key::ResourceTag(_) => Knowledge::Unknowable,
            Key::Other(_) => Knowledge::Unknowable,
            key => key
                .registered()
                .map_or(Knowledge::Unknowable, |found| found.passthrough),
        }
    }

    /// Whether a listener that authenticates its callers can know it.
    #[must_use]
    pub fn in_resign(self) -> Knowledge {
        match self {
            Key::RequestTag(_) => Knowledge::Known,
            Key::PrincipalTag(_) => Knowledge::Configured,
            Key::ResourceTag(_) => Knowledge::Unknowable,
            Key::Other(_) => Knowledge::Unknowable,
            key => key
                .registered()
                .map_or(Knowledge::Unknowable, |found| found.resign),
        }
    }

    /// The same key by another spelling of its name?
    #[must_use]
    pub fn same(self, other: Key<'_>) -> bool {
        match (self, other) {
            (Key::PrincipalTag(a), Key::PrincipalTag(b))
            | (Key::RequestTag(a), Key::RequestTag(b))
            | (Key::ResourceTag(a), Key::ResourceTag(b))
            | (Key::Other(a), Key::Other(b)) => same_name(a, b),
            (a, b) => a == b,
        }
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::PrincipalTag(tag) => write!(f, "{PRINCIPAL_TAG}/{tag}"),
            Key::RequestTag(tag) => write!(f, "{REQUEST_TAG}/{tag}"),
            Key::ResourceTag(tag) => write!(f, "{RESOURCE_TAG}/{tag}"),
            Key::Other(name) => f.write_str(name),
            key => f.write_str(key.registered().map_or("", |registered| registered.name)),
        }
    }
}

/// Compares names of keys and tags without regard to case, in any script.
#[must_use]
pub fn same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
        || (!(a.is_ascii() && b.is_ascii())
            && a.chars()
                .flat_map(char::to_lowercase)
                .eq(b.chars().flat_map(char::to_lowercase)))
}

/// A key that owns its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::policy) enum OwnedKey {
    Registered(Key<'static>),
    PrincipalTag(Box<str>),
    RequestTag(Box<str>),
    ResourceTag(Box<str>),
    Other(Box<str>),
}

impl OwnedKey {
    pub(in crate::policy) fn of(name: &str) -> OwnedKey {
        match Key::of(name) {
            Key::PrincipalTag(tag) => OwnedKey::PrincipalTag(tag.into()),
            Key::RequestTag(tag) => OwnedKey::RequestTag(tag.into()),
            Key::ResourceTag(tag) => OwnedKey::ResourceTag(tag.into()),
            Key::Other(name) => OwnedKey::Other(name.to_ascii_lowercase().into()),
            registered => REGISTRY
                .iter()
                .find(|found| found.key == registered)
                .map_or_else(
                    || OwnedKey::Other(name.into()),
                    |found| OwnedKey::Registered(found.key),
                ),
        }
    }

    pub(in crate::policy) fn key(&self) -> Key<'_> {
        match self {
            OwnedKey::Registered(key) => *key,
            OwnedKey::PrincipalTag(tag) => Key::PrincipalTag(tag),
            OwnedKey::RequestTag(tag) => Key::RequestTag(tag),
            OwnedKey::ResourceTag(tag) => Key::ResourceTag(tag),
            OwnedKey::Other(name) => Key::Other(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, REGISTRY};

    #[test]
    fn names_are_compared_without_regard_to_case() {
        assert_eq!(Key::of("AWS:sourcevpce"), Key::SourceVpce);
        assert_eq!(Key::of("aws:requesttag/Team"), Key::RequestTag("Team"));
        assert!(Key::of("aws:RequestTag/TEAM").same(Key::of("aws:requestTag/team")));
        assert_eq!(Key::of("s3:prefix"), Key::Other("s3:prefix"));
    }

    #[test]
    fn every_registered_key_is_found_by_its_name() {
        for registered in REGISTRY {
            assert_eq!(Key::of(registered.name), registered.key);
            assert_eq!(registered.key.to_string(), registered.name);
        }
    }
}
