//! The request in a line of the decision log, as a policy's request.

use jiff::Timestamp;

use crate::kinesis::{self, ResourceScope};
use crate::observe::LogLine;
use crate::policy::{
    Action, Arn, Context, Fact, Key, Principal, PrincipalKind, Request, Resource, Value,
};

/// A decided request, with the facts of its line.
pub(in crate::cli) struct LoggedRequest<'l> {
    line: &'l LogLine<'l>,
    /// The IAM action, such as `kinesis:PutRecord`.
    pub(in crate::cli) action: &'l str,
    operation: &'l str,
    time: Option<i64>,
}

impl<'l> LoggedRequest<'l> {
    /// The request of a line; `None` if it was refused, or cancelled before the decision.
    pub(in crate::cli) fn new(line: &'l LogLine<'l>) -> Option<LoggedRequest<'l>> {
        line.resource.as_ref()?;
        if line.decision.as_deref() == Some("refused") {
            return None;
        }
        let action = line.action.as_deref()?;
        let time = line.time.parse::<Timestamp>().ok();
        Some(LoggedRequest {
            line,
            action,
            operation: action.strip_prefix("kinesis:")?,
            time: time.map(Timestamp::as_millisecond),
        })
    }

    /// Whether the request was forwarded: allowed, or denied by an endpoint in audit mode.
    pub(in crate::cli) fn is_forwarded(&self) -> bool {
        self.is_allowed() || self.line.mode.as_deref() == Some("audit")
    }

    /// Whether the decision was to allow the request.
    pub(in crate::cli) fn is_allowed(&self) -> bool {
        self.line.decision.as_deref() == Some("allow")
    }

    /// The caller's account, if it is known.
    pub(in crate::cli) fn account(&self) -> Option<&'l str> {
        self.line.principal.account.as_deref()
    }

    /// The principal, for people.
    pub(in crate::cli) fn principal_name(&self) -> &'l str {
        let arn = self.line.principal.arn.as_deref();
        arn.or(self.account()).unwrap_or("unknown")
    }

    /// Whether an identity policy denied the request: an endpoint policy cannot change that.
    pub(in crate::cli) fn is_denied_by_identity(&self) -> bool {
        !self.is_allowed() && self.line.layer.as_deref() == Some("identity")
    }

    /// The resources as logged, with `*` for unknown parts.
    pub(in crate::cli) fn resources(&self) -> impl Iterator<Item = &'l str> {
        // A line about one resource has no `resources`.
        let one = self.line.resources.is_empty();
        let first = self.line.resource.as_deref().filter(|_| one);
        first
            .into_iter()
            .chain(self.line.resources.iter().map(|resource| &**resource))
    }

    /// Whether the operation has no resource: a policy can only name `*`.
    pub(in crate::cli) fn has_no_resource(&self) -> bool {
        matches!(
            kinesis::find_operation(self.operation).map(|operation| operation.scope),
            Some(ResourceScope::Account | ResourceScope::Unscoped)
        )
    }

    /// The policy's request for one resource.
    pub(in crate::cli) fn policy_request<'a>(
        &'a self,
        context: &'a LoggedContext<'a>,
    ) -> Request<'a> {
        Request {
            principal: self.principal(),
            action: Action {
                service: "kinesis",
                name: self.operation,
                number: kinesis::find_operation(self.operation).map(|operation| operation.number),
            },
            resource: context.resource,
            context,
        }
    }

    /// The condition context for one resource.
    pub(in crate::cli) fn context<'a>(&'a self, resource: &'a str) -> LoggedContext<'a> {
        LoggedContext {
            request: self,
            resource: self.resource(resource),
        }
    }

    fn principal(&self) -> Principal<'l> {
        let fact = |text: Option<&'l str>| text.map_or(Fact::Unknown, Fact::Known);
        Principal {
            kind: PrincipalKind::Aws,
            account: fact(self.account()),
            arn: fact(self.line.principal.arn.as_deref()),
            session_arn: Fact::Unknown,
        }
    }

    fn resource<'a>(&self, text: &'a str) -> Resource<'a> {
        let Some(mut arn) = Arn::parse(text) else {
            return if self.has_no_resource() {
                Resource::Any
            } else {
                Resource::Unknown
            };
        };
        // The log writes `*` for an unknown part; no name of a resource contains one.
        if arn.account == Some("*") {
            (arn.account, arn.text) = (None, None);
        }
        if let Some(known) = arn.resource.strip_suffix('*') {
            (arn.resource, arn.is_prefix, arn.text) = (known, true, None);
        }
        if self.has_no_resource() {
            Resource::Unscoped(arn)
        } else {
            Resource::Arn(arn)
        }
    }
}

/// The condition context of a logged request: a key that is not in the log is unknown, not absent.
pub(in crate::cli) struct LoggedContext<'l> {
    request: &'l LoggedRequest<'l>,
    resource: Resource<'l>,
}

fn text(text: Option<&str>) -> Fact<Value<'_>> {
    text.map_or(Fact::Unknown, |text| Fact::Known(Value::Text(text)))
}

impl LoggedContext<'_> {
    fn arn(&self) -> Option<&Arn<'_>> {
        match &self.resource {
            Resource::Arn(arn) | Resource::Unscoped(arn) => Some(arn),
            Resource::Any | Resource::Unknown => None,
        }
    }
}

impl Context for LoggedContext<'_> {
    fn value(&self, key: Key<'_>) -> Fact<Value<'_>> {
        let line = self.request.line;
        let known = |value: Option<Value<'static>>| value.map_or(Fact::Unknown, Fact::Known);
        match key {
            Key::SourceVpce => text(line.endpoint.as_deref()),
            Key::VpcSourceIp => known(line.peer.map(Value::Ip)),
            Key::PrincipalAccount => text(line.principal.account.as_deref()),
            Key::PrincipalArn => text(line.principal.arn.as_deref()),
            Key::ResourceAccount => text(self.arn().and_then(|arn| arn.account)),
            Key::RequestedRegion => text(self.arn().map(|arn| arn.region)),
            Key::CurrentTime | Key::EpochTime => known(self.request.time.map(Value::Time)),
            Key::SecureTransport => Fact::Known(Value::Bool(true)),
            Key::PrincipalIsAwsService | Key::ViaAwsService => Fact::Known(Value::Bool(false)),
            Key::SourceIp | Key::SourceArn | Key::CalledVia => Fact::Absent,
            _ => Fact::Unknown,
        }
    }
}
