//! The request that a policy decides: principal, action, resource and condition context, as far as
//! each is known.

use std::net::IpAddr;

use crate::policy::condition_key::Key;

/// A three-valued fact about the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact<T> {
    /// Present, with this value.
    Known(T),
    /// Absent from the request: IAM's missing-key rules apply.
    Absent,
    /// Not knowable here: the fact may be absent, or have any value.
    Unknown,
}

/// One request to decide.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The caller.
    pub principal: Principal<'a>,
    /// The action that the caller requests.
    pub action: Action<'a>,
    /// The resource of the action.
    pub resource: Resource<'a>,
    /// The values of condition keys.
    pub context: &'a dyn Context,
}

/// An action, `kinesis:PutRecord` in two parts. Case does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action<'a> {
    /// The service's prefix, `kinesis`.
    pub service: &'a str,
    /// The name after the colon.
    pub name: &'a str,
    /// The action's index in [`Options::actions`](crate::policy::Options), if it has one.
    ///
    /// INVARIANT: an index into the very list that the policy was compiled with.
    pub number: Option<u16>,
}

/// The caller, as far as each part of the identity is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Principal<'a> {
    /// The kind of caller.
    pub kind: PrincipalKind<'a>,
    /// The caller's account id, twelve digits.
    pub account: Fact<&'a str>,
    /// `aws:PrincipalArn`: ARN of the user, of the role with its path (not of its session), of the
    /// federated-user session, or of the root user.
    pub arn: Fact<&'a str>,
    /// ARN of the STS session (`…:assumed-role/R/S`, `…:federated-user/N`); absent for users.
    pub session_arn: Fact<&'a str>,
}

impl Principal<'_> {
    /// A caller without any known fact.
    pub const UNKNOWN: Principal<'static> = Principal {
        kind: PrincipalKind::Unknown,
        account: Fact::Unknown,
        arn: Fact::Unknown,
        session_arn: Fact::Unknown,
    };

    /// A request without a signature.
    pub const ANONYMOUS: Principal<'static> = Principal {
        kind: PrincipalKind::Anonymous,
        account: Fact::Absent,
        arn: Fact::Absent,
        session_arn: Fact::Absent,
    };
}

/// The kind of caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalKind<'a> {
    /// Unsigned.
    Anonymous,
    /// A service of AWS, by its service principal (`firehose.amazonaws.com`).
    AwsService(&'a str),
    /// A user, role session, federated user or root user of some account.
    Aws,
    /// A role session for which only the session's ARN is known. That ARN lacks the role's path, so
    /// `arn` is the ARN of a role without a path.
    RoleSession,
    /// Any of the above.
    Unknown,
}

/// The resource of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    /// The operation has no resource: only `*` in a policy matches.
    Any,
    /// A resource with this ARN.
    Arn(Arn<'a>),
    /// A resource with this ARN, of an operation that has no resource in the authorization reference:
    /// an Allow must cover `*`, a Deny counts for `*` and for this resource.
    Unscoped(Arn<'a>),
    /// Any resource, or none: an Allow must match all resources; a Deny that may match one applies.
    Unknown,
}

/// An ARN of a request. Its text is data, never a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, …
    pub partition: &'a str,
    /// `kinesis`.
    pub service: &'a str,
    /// `us-east-1`.
    pub region: &'a str,
    /// The owner's account id; `None` where it cannot be known.
    pub account: Option<&'a str>,
    /// The part after the fifth colon, `stream/MyStream`.
    pub resource: &'a str,
    /// Whether unknown characters follow `resource` (a consumer without its creation time).
    pub is_prefix: bool,
    /// The whole ARN where every part is known.
    pub text: Option<&'a str>,
}

impl<'a> Arn<'a> {
    /// Splits a whole ARN at its first five colons; `None` if it has fewer or no `arn:` prefix.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Arn<'a>> {
        let mut parts = text.splitn(6, ':');
        if parts.next()? != "arn" {
            return None;
        }
        Some(Arn {
            partition: parts.next()?,
            service: parts.next()?,
            region: parts.next()?,
            account: Some(parts.next()?),
            resource: parts.next()?,
            is_prefix: false,
            text: Some(text),
        })
    }
}

/// The condition context of one request: the values of its condition keys.
pub trait Context {
    /// The value of `key`. Tag keys and unregistered names compare without regard to case.
    fn value(&self, key: Key<'_>) -> Fact<Value<'_>>;
}

/// A context in which every key is absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmptyContext;

impl Context for EmptyContext {
    fn value(&self, _: Key<'_>) -> Fact<Value<'_>> {
        Fact::Absent
    }
}

/// A context in which no key can be known.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnknownContext;

impl Context for UnknownContext {
    fn value(&self, _: Key<'_>) -> Fact<Value<'_>> {
        Fact::Unknown
    }
}

/// The value of a condition key, in the type of its source.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// Text; operators of other types parse it.
    Text(&'a str),
    /// Several texts, or none.
    Many(&'a dyn Values),
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Number(i64),
    /// A point in time, in milliseconds since 1970-01-01T00:00:00Z.
    Time(i64),
    /// An address; an IPv4-mapped IPv6 address counts as IPv4.
    Ip(IpAddr),
    /// Present, but its value cannot be known here (`aws:TokenIssueTime` of a session).
    Opaque,
}

/// The values of a multivalued key.
pub trait Values {
    /// The value at `index`, counted from 0; `None` past the last.
    fn at(&self, index: usize) -> Option<&str>;
}

impl<S: AsRef<str>> Values for Vec<S> {
    fn at(&self, index: usize) -> Option<&str> {
        self.get(index).map(AsRef::as_ref)
    }
}

impl<S: AsRef<str>> Values for &[S] {
    fn at(&self, index: usize) -> Option<&str> {
        self.get(index).map(AsRef::as_ref)
    }
}

impl<S: AsRef<str>, const N: usize> Values for [S; N] {
    fn at(&self, index: usize) -> Option<&str> {
        self.get(index).map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::Arn;

    #[test]
    fn an_arn_keeps_the_colons_of_its_resource() {
        let text = "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:1700000000";
        let arn = Arn::parse(text).expect("six parts");
        assert_eq!(arn.resource, "stream/s/consumer/c:1700000000");
        assert_eq!(arn.account, Some("123456789012"));
        assert!(Arn::parse("arn:aws:kinesis:us-east-1:123456789012").is_none());
        assert!(Arn::parse("urn:aws:kinesis:us-east-1:123456789012:x").is_none());
    }
}
