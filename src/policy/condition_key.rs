//! Condition keys: the registry of their names and types, and which of them a listener can know.
//!
//! IAM User Guide: reference_policies_condition-keys; Service Authorization Reference:
//! list_amazonkinesisdatastreams.

use std::fmt;

use crate::policy::diagnostic::Problem;

macro_rules! registry {
    ($($variant:ident $name:literal $data_type:ident $value_type:ident $passthrough:ident $resign:ident;)*) => {
        /// A condition key. Its name is case-insensitive, as is the tag key after the slash.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Key<'a> {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
            /// `aws:PrincipalTag/…`, a tag of the caller, with the tag key as the policy writes it.
            PrincipalTag(&'a str),
            /// `aws:RequestTag/…`, a tag that the request sets.
            RequestTag(&'a str),
            /// `aws:ResourceTag/…`, a tag of the resource.
            ResourceTag(&'a str),
            /// A name that is not in the registry.
            Other(&'a str),
        }

        /// Every registered key, except the keys of tags.
        pub const REGISTRY: &[RegisteredKey] = &[
            $(RegisteredKey {
                key: Key::$variant,
                name: $name,
                data_type: DataType::$data_type,
                value_type: ValueType::$value_type,
                passthrough: Knowledge::$passthrough,
                resign: Knowledge::$resign,
            },)*
        ];
    };
}

registry! {
    PrincipalArn "aws:PrincipalArn" Arn SingleValued Configured Known;
    PrincipalAccount "aws:PrincipalAccount" String SingleValued Known Known;
    PrincipalOrgPaths "aws:PrincipalOrgPaths" String Multivalued Configured Configured;
    PrincipalOrgId "aws:PrincipalOrgID" String SingleValued Configured Configured;
    PrincipalIsAwsService "aws:PrincipalIsAWSService" Bool SingleValued Known Known;
    PrincipalServiceName "aws:PrincipalServiceName" String SingleValued Absent Absent;
    PrincipalServiceNamesList "aws:PrincipalServiceNamesList" String Multivalued Absent Absent;
    PrincipalType "aws:PrincipalType" String SingleValued Partial Known;
    UserId "aws:userid" String SingleValued Configured Configured;
    Username "aws:username" String SingleValued Configured Known;
    AssumedRoot "aws:AssumedRoot" Bool SingleValued Partial Partial;
    FederatedProvider "aws:FederatedProvider" String SingleValued Partial Partial;
    TokenIssueTime "aws:TokenIssueTime" Date SingleValued Partial Partial;
    MultiFactorAuthAge "aws:MultiFactorAuthAge" Numeric SingleValued Partial Partial;
    MultiFactorAuthPresent "aws:MultiFactorAuthPresent" Bool SingleValued Partial Partial;
    ChatbotSourceArn "aws:ChatbotSourceArn" Arn SingleValued Unknowable Unknowable;
    Ec2InstanceSourceVpc "aws:Ec2InstanceSourceVpc" String SingleValued Unknowable Unknowable;
    Ec2InstanceSourcePrivateIpv4 "aws:Ec2InstanceSourcePrivateIPv4" Ip SingleValued Unknowable Unknowable;
    SourceIdentity "aws:SourceIdentity" String SingleValued Configured Configured;
    Ec2RoleDelivery "ec2:RoleDelivery" Numeric SingleValued Unknowable Unknowable;
    Ec2SourceInstanceArn "ec2:SourceInstanceArn" Arn SingleValued Unknowable Unknowable;
    GlueRoleAssumedBy "glue:RoleAssumedBy" String SingleValued Unknowable Unknowable;
    GlueCredentialIssuingService "glue:CredentialIssuingService" String SingleValued Unknowable Unknowable;
    LambdaSourceFunctionArn "lambda:SourceFunctionArn" Arn SingleValued Unknowable Unknowable;
    SsmSourceInstanceArn "ssm:SourceInstanceArn" Arn SingleValued Unknowable Unknowable;
    IdentityStoreUserId "identitystore:UserId" String SingleValued Unknowable Unknowable;
    SourceIp "aws:SourceIp" Ip SingleValued Absent Absent;
    SourceVpc "aws:SourceVpc" String SingleValued Configured Configured;
    SourceVpcArn "aws:SourceVpcArn" Arn SingleValued Configured Configured;
    SourceVpce "aws:SourceVpce" String SingleValued Configured Configured;
    VpceAccount "aws:VpceAccount" String SingleValued Configured Configured;
    VpceOrgPaths "aws:VpceOrgPaths" String Multivalued Configured Configured;
    VpceOrgId "aws:VpceOrgID" String SingleValued Configured Configured;
    VpcSourceIp "aws:VpcSourceIp" Ip SingleValued Known Known;
    ResourceAccount "aws:ResourceAccount" String SingleValued Known Known;
    ResourceOrgId "aws:ResourceOrgID" String SingleValued Configured Configured;
    ResourceOrgPaths "aws:ResourceOrgPaths" String Multivalued Configured Configured;
    CalledVia "aws:CalledVia" String Multivalued Absent Absent;
    CalledViaFirst "aws:CalledViaFirst" String SingleValued Absent Absent;
    CalledViaLast "aws:CalledViaLast" String SingleValued Absent Absent;
    CalledViaAwsMcp "aws:CalledViaAWSMCP" String SingleValued Unknowable Unknowable;
    ViaAwsService "aws:ViaAWSService" Bool SingleValued Known Known;
    ViaAwsMcpService "aws:ViaAWSMCPService" Bool SingleValued Unknowable Unknowable;
    CurrentTime "aws:CurrentTime" Date SingleValued Known Known;
    EpochTime "aws:EpochTime" Date SingleValued Known Known;
    Referer "aws:referer" String SingleValued Known Known;
    RequestedRegion "aws:RequestedRegion" String SingleValued Known Known;
    TagKeys "aws:TagKeys" String Multivalued Known Known;
    SecureTransport "aws:SecureTransport" Bool SingleValued Known Known;
    SourceArn "aws:SourceArn" Arn SingleValued Absent Absent;
    SourceAccount "aws:SourceAccount" String SingleValued Absent Absent;
    SourceOwner "aws:SourceOwner" String SingleValued Absent Absent;
    SourceOrgPaths "aws:SourceOrgPaths" String Multivalued Absent Absent;
    SourceOrgId "aws:SourceOrgID" String SingleValued Absent Absent;
    UserAgent "aws:UserAgent" String SingleValued Known Known;
    IsMcpServiceAction "aws:IsMcpServiceAction" Bool SingleValued Unknowable Unknowable;
    FisActionId "kinesis:FisActionId" String SingleValued Absent Absent;
    FisInjectPercentage "kinesis:FisInjectPercentage" Numeric SingleValued Absent Absent;
    FisTargetArns "kinesis:FisTargetArns" Arn Multivalued Absent Absent;
}

/// The registry's entry for one key.
#[derive(Clone, Copy, Debug)]
pub struct RegisteredKey {
    /// The key.
    pub key: Key<'static>,
    /// The key's name, in AWS's spelling.
    pub name: &'static str,
    /// The type of the key's values.
    pub data_type: DataType,
    /// How many values the key has.
    pub value_type: ValueType,
    /// Whether a listener in passthrough mode can know the key.
    pub passthrough: Knowledge,
    /// Whether a listener that authenticates and re-signs can know the key.
    pub resign: Knowledge,
}

/// The data type of a key's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
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
pub enum ValueType {
    /// At most one.
    SingleValued,
    /// Any number: a policy needs `ForAllValues:` or `ForAnyValue:`.
    Multivalued,
}

/// Whether a listener can know a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// Known from the request or the connection.
    Known,
    /// Always absent in a request through an endpoint.
    Absent,
    /// Known only if the configuration states it.
    Configured,
    /// Known for some callers, or known only to be present or absent.
    Partial,
    /// Never known.
    Unknowable,
}

const PRINCIPAL_TAG: &str = "aws:PrincipalTag";
const REQUEST_TAG: &str = "aws:RequestTag";
const RESOURCE_TAG: &str = "aws:ResourceTag";

impl<'a> Key<'a> {
    /// The key with that name. A name that is not in the registry is `Other`, as written.
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

    /// The key's entry in the registry.
    #[must_use]
    pub fn registered(self) -> Option<&'static RegisteredKey> {
        REGISTRY.iter().find(|registered| registered.key == self)
    }

    /// The type of the key's values; `None` for a name that is not in the registry.
    #[must_use]
    pub fn data_type(self) -> Option<DataType> {
        match self {
            Key::PrincipalTag(_) | Key::RequestTag(_) | Key::ResourceTag(_) => {
                Some(DataType::String)
            }
            key => Some(key.registered()?.data_type),
        }
    }

    /// How many values the key has; `None` for a name that is not in the registry.
    #[must_use]
    pub fn value_type(self) -> Option<ValueType> {
        match self {
            Key::PrincipalTag(_) | Key::RequestTag(_) | Key::ResourceTag(_) => {
                Some(ValueType::SingleValued)
            }
            key => Some(key.registered()?.value_type),
        }
    }

    /// Whether a listener in passthrough mode can know the key.
    #[must_use]
    pub fn in_passthrough(self) -> Knowledge {
        self.knowledge(|registered| registered.passthrough)
    }

    /// Whether a listener that authenticates its callers and re-signs can know the key.
    #[must_use]
    pub fn in_resign(self) -> Knowledge {
        self.knowledge(|registered| registered.resign)
    }

    fn knowledge(self, of_mode: impl Fn(&RegisteredKey) -> Knowledge) -> Knowledge {
        match self {
            Key::RequestTag(_) => Knowledge::Known,
            Key::PrincipalTag(_) => Knowledge::Configured,
            key => key.registered().map_or(Knowledge::Unknowable, of_mode),
        }
    }

    /// Whether `other` is this key, in any case of its name.
    #[must_use]
    pub fn is_same(self, other: Key<'_>) -> bool {
        match (self, other) {
            (Key::PrincipalTag(a), Key::PrincipalTag(b))
            | (Key::RequestTag(a), Key::RequestTag(b))
            | (Key::ResourceTag(a), Key::ResourceTag(b))
            | (Key::Other(a), Key::Other(b)) => eq_name(a, b),
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
pub fn eq_name(a: &str, b: &str) -> bool {
    let lower_case = |text| str::chars(text).flat_map(char::to_lowercase);
    a.eq_ignore_ascii_case(b)
        || (!(a.is_ascii() && b.is_ascii()) && lower_case(a).eq(lower_case(b)))
}

/// A key that owns its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum OwnedKey {
    Registered(Key<'static>),
    PrincipalTag(Box<str>),
    RequestTag(Box<str>),
    ResourceTag(Box<str>),
    Other(Box<str>),
}

impl OwnedKey {
    pub(super) fn of(name: &str) -> OwnedKey {
        match Key::of(name) {
            Key::PrincipalTag(tag) => OwnedKey::PrincipalTag(tag.into()),
            Key::RequestTag(tag) => OwnedKey::RequestTag(tag.into()),
            Key::ResourceTag(tag) => OwnedKey::ResourceTag(tag.into()),
            key => key.registered().map_or_else(
                || OwnedKey::Other(name.to_ascii_lowercase().into()),
                |registered| OwnedKey::Registered(registered.key),
            ),
        }
    }

    pub(super) fn key(&self) -> Key<'_> {
        match self {
            OwnedKey::Registered(key) => *key,
            OwnedKey::PrincipalTag(tag) => Key::PrincipalTag(tag),
            OwnedKey::RequestTag(tag) => Key::RequestTag(tag),
            OwnedKey::ResourceTag(tag) => Key::ResourceTag(tag),
            OwnedKey::Other(name) => Key::Other(name),
        }
    }
}

/// Checks the form of a condition key's name.
pub(super) fn check_form(name: &str) -> Result<(), Problem> {
    let is_service = |text: &str| {
        let mut bytes = text.bytes();
        !text.is_empty()
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte))
    };
    let well_formed = name.split_once(':').is_some_and(|(service, key)| {
        is_service(service) && !key.is_empty() && !name.contains(char::is_control)
    });
    if !well_formed {
        let message = format!("`{name}` is not a condition key");
        return Err(Problem::new("condition-key-form", message).fix("write it as `service:key`"));
    }
    if let Key::PrincipalTag("") | Key::RequestTag("") | Key::ResourceTag("") = Key::of(name) {
        return Err(
            Problem::new("condition-key-tag", format!("`{name}` names no tag"))
                .fix("write the tag's key after the slash"),
        );
    }
    Ok(())
}

/// Checks that the registry has a key of the services `aws` and `kinesis`.
pub(super) fn check_registered(name: &str) -> Result<(), Problem> {
    let service = name.split(':').next().unwrap_or(name);
    let message = match Key::of(name) {
        Key::Other(_) if service.eq_ignore_ascii_case("aws") => {
            format!("there is no global condition key `{name}`")
        }
        Key::Other(_) if service.eq_ignore_ascii_case("kinesis") => {
            format!("Kinesis has no condition key `{name}`")
        }
        _ => return Ok(()),
    };
    Err(Problem::new("condition-key-unknown", message))
}

#[cfg(test)]
mod tests {
    use super::{Key, REGISTRY};

    #[test]
    fn names_are_compared_without_regard_to_case() {
        assert_eq!(Key::of("AWS:sourcevpce"), Key::SourceVpce);
        assert_eq!(Key::of("aws:requesttag/Team"), Key::RequestTag("Team"));
        assert!(Key::of("aws:RequestTag/TEAM").is_same(Key::of("aws:requestTag/team")));
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
