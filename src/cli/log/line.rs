//! One line of the decision log, and the request that it tells of.

use std::borrow::Cow;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::Deserialize;

use crate::kinesis::{self, ResourceScope};
use crate::policy::{
    Action, Arn, Context, Fact, Key, Principal, PrincipalKind, Request, Resource, Value,
};

/// What is read of a line; `docs/decision-log.md` lists all.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Line<'l> {
    #[serde(borrow)]
    time: Cow<'l, str>,
    #[serde(borrow)]
    endpoint: Option<Cow<'l, str>>,
    peer: Option<IpAddr>,
    #[serde(borrow, default)]
    principal: Caller<'l>,
    #[serde(borrow)]
    action: Option<Cow<'l, str>>,
    #[serde(borrow)]
    resource: Option<Cow<'l, str>>,
    #[serde(borrow, default)]
    resources: Vec<Cow<'l, str>>,
    /// None of a connection that asked nothing.
    #[serde(borrow)]
    decision: Option<Cow<'l, str>>,
    #[serde(borrow)]
    mode: Option<Cow<'l, str>>,
    #[serde(borrow)]
    layer: Option<Cow<'l, str>>,
    /// Of so many allowed requests this one was written.
    pub(super) sampled: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
struct Caller<'l> {
    #[serde(borrow)]
    account: Option<Cow<'l, str>>,
    #[serde(borrow)]
    arn: Option<Cow<'l, str>>,
}

/// A request that was decided, as far as its line tells.
pub(in crate::cli) struct Asked<'l> {
    line: &'l Line<'l>,
    /// `kinesis:PutRecord`.
    pub(in crate::cli) action: &'l str,
    name: &'l str,
    time: Option<i64>,
}

impl<'l> Line<'l> {
    pub(super) fn parse(bytes: &'l [u8]) -> serde_json::Result<Line<'l>> {
        serde_json::from_slice(bytes)
    }

    /// Whether it was forwarded: allowed, or denied by an endpoint that is only tried.
    pub(in crate::cli) fn was_forwarded(&self) -> bool {
        self.was_allowed() || self.mode.as_deref() == Some("audit")
    }

    /// Whether it was decided to be allowed.
    pub(in crate::cli) fn was_allowed(&self) -> bool {
        self.decision.as_deref() == Some("allow")
    }

    /// The request; `None` where the line's was refused, or cancelled before it was decided.
    pub(in crate::cli) fn asked(&'l self) -> Option<Asked<'l>> {
        self.resource.as_ref()?;
        if self.decision.as_deref() == Some("refused") {
            return None;
        }
        let action = self.action.as_deref()?;
        let time = self.time.parse::<Timestamp>().ok();
        Some(Asked {
            line: self,
            action,
            name: action.strip_prefix("kinesis:")?,
            time: time.map(Timestamp::as_millisecond),
        })
    }
}

impl<'l> Asked<'l> {
    /// The caller's account, if it is known.
    pub(in crate::cli) fn account(&self) -> Option<&'l str> {
        self.line.principal.account.as_deref()
    }

    /// Who asked, for people.
    pub(in crate::cli) fn who(&self) -> &'l str {
        let arn = self.line.principal.arn.as_deref();
        arn.or(self.account()).unwrap_or("unknown")
    }

    /// Whether an identity policy denied it: an endpoint policy does not change that.
    pub(in crate::cli) fn was_denied_by_identity(&self) -> bool {
        !self.line.was_allowed() && self.line.layer.as_deref() == Some("identity")
    }

    /// The resources as the log has them, parts that are unknown as `*`.
    pub(in crate::cli) fn resources(&self) -> impl Iterator<Item = &'l str> {
        // A line that was decided about one resource names it alone.
        let one = self.line.resources.is_empty();
        let first = self.line.resource.as_deref().filter(|_| one);
        first
            .into_iter()
            .chain(self.line.resources.iter().map(|resource| &**resource))
    }

    /// Whether a policy can only name `*` for the operation.
    pub(in crate::cli) fn is_on_no_resource(&self) -> bool {
        matches!(
            kinesis::find_operation(self.name).map(|operation| operation.scope),
            Some(ResourceScope::Account | ResourceScope::Unscoped)
        )
    }

    /// The request about one of its resources.
    pub(in crate::cli) fn request<'a>(&'a self, facts: &'a Facts<'a>) -> Request<'a> {
        Request {
            principal: self.principal(),
            action: Action {
                service: "kinesis",
                name: self.name,
                number: kinesis::find_operation(self.name).map(|operation| operation.number),
            },
            resource: facts.resource,
            context: facts,
        }
    }

    /// What the line tells of the condition keys, for one of its resources.
    pub(in crate::cli) fn facts<'a>(&'a self, resource: &'a str) -> Facts<'a> {
        Facts {
            asked: self,
            resource: self.resource(resource),
        }
    }

    fn principal(&self) -> Principal<'l> {
        let fact = |text: Option<&'l str>| text.map_or(Fact::Unknown, Fact::Known);
        Principal {
            kind: PrincipalKind::Aws,
            account: fact(self.account()),
            arn: fact(self.line.principal.arn.as_deref()),
            session: Fact::Unknown,
        }
    }

    fn resource<'a>(&self, text: &'a str) -> Resource<'a> {
        let Some(mut arn) = Arn::parse(text) else {
            return if self.is_on_no_resource() {
                Resource::Any
            } else {
                Resource::Unknown
            };
        };
        // A `*` is written where a part is unknown; no name of a resource has one.
        if arn.account == Some("*") {
            (arn.account, arn.text) = (None, None);
        }
        if let Some(known) = arn.resource.strip_suffix('*') {
            (arn.resource, arn.open, arn.text) = (known, true, None);
        }
        if self.is_on_no_resource() {
            Resource::Unscoped(arn)
        } else {
            Resource::Arn(arn)
        }
    }
}

/// The condition keys of a logged request: what the log does not hold is unknown, not absent.
pub(in crate::cli) struct Facts<'l> {
    asked: &'l Asked<'l>,
    resource: Resource<'l>,
}

fn text(text: Option<&str>) -> Fact<Value<'_>> {
    text.map_or(Fact::Unknown, |text| Fact::Known(Value::Text(text)))
}

impl Facts<'_> {
    fn arn(&self) -> Option<&Arn<'_>> {
        match &self.resource {
            Resource::Arn(arn) | Resource::Unscoped(arn) => Some(arn),
            Resource::Any | Resource::Unknown => None,
        }
    }
}

impl Context for Facts<'_> {
    fn value(&self, key: Key<'_>) -> Fact<Value<'_>> {
        let line = self.asked.line;
        let known = |value: Option<Value<'static>>| value.map_or(Fact::Unknown, Fact::Known);
        match key {
            Key::SourceVpce => text(line.endpoint.as_deref()),
            Key::VpcSourceIp => known(line.peer.map(Value::Ip)),
            Key::PrincipalAccount => text(line.principal.account.as_deref()),
            Key::PrincipalArn => text(line.principal.arn.as_deref()),
            Key::ResourceAccount => text(self.arn().and_then(|arn| arn.account)),
            Key::RequestedRegion => text(self.arn().map(|arn| arn.region)),
            Key::CurrentTime | Key::EpochTime => known(self.asked.time.map(Value::Time)),
            Key::SecureTransport => Fact::Known(Value::Bool(true)),
            Key::PrincipalIsAwsService | Key::ViaAwsService => Fact::Known(Value::Bool(false)),
            Key::SourceIp | Key::SourceArn | Key::CalledVia => Fact::Absent,
            _ => Fact::Unknown,
        }
    }
}
