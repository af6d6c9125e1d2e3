//! A Kinesis request in the terms of policies: action, resource and resource account.

use crate::kinesis::{self, PartialArn, Resources, Target};
use crate::policy::{Action, Arn, Fact, Resource};

/// The action that a policy decides.
pub(super) fn action<'a>(target: &Target<'a>) -> Action<'a> {
    Action {
        service: "kinesis",
        name: target.name(),
        number: target.number(),
    }
}

/// The resource that a policy decides, and `aws:ResourceAccount`.
pub(super) fn resource<'a>(resource: &kinesis::Resource<'a>) -> (Resource<'a>, Fact<&'a str>) {
    match resource {
        // The account of `*` is not documented: an Allow with a condition on it does not apply, a
        // Deny does.
        kinesis::Resource::Any => (Resource::Any, Fact::Unknown),
        kinesis::Resource::Unknown => (Resource::Unknown, Fact::Unknown),
        kinesis::Resource::Arn(named) => (Resource::Arn(arn(named)), account(named)),
        kinesis::Resource::Unscoped(named) => (Resource::Unscoped(arn(named)), account(named)),
    }
}

/// A resource as text, for the record and the client: unknown parts are `*`.
pub(super) fn resource_text(resources: &Resources, index: usize) -> String {
    let arn = match resources.iter().nth(index) {
        None | Some(kinesis::Resource::Any | kinesis::Resource::Unknown) => return "*".to_owned(),
        Some(kinesis::Resource::Arn(arn) | kinesis::Resource::Unscoped(arn)) => arn,
    };
    match arn.text {
        Some(text) => text.to_owned(),
        None => format!(
            "arn:{}:{}:{}:{}:{}{}",
            arn.partition,
            arn.service,
            arn.region,
            arn.account.unwrap_or("*"),
            arn.resource,
            if arn.is_prefix { "*" } else { "" }
        ),
    }
}

/// The ARN of a stream, or of the stream that a consumer belongs to.
pub(super) enum StreamArn<'a> {
    /// The stream is known; its account may be unknown.
    Known(Arn<'a>),
    /// The resource may be any stream.
    Unknown,
}

/// The stream of a resource; `None` for a resource without a stream.
pub(super) fn stream<'a>(resource: &kinesis::Resource<'a>) -> Option<StreamArn<'a>> {
    let named = match resource {
        kinesis::Resource::Any => return None,
        kinesis::Resource::Unknown => return Some(StreamArn::Unknown),
        kinesis::Resource::Arn(arn) | kinesis::Resource::Unscoped(arn) => arn,
    };
    let name = named.resource.strip_prefix("stream/")?;
    let (name, is_whole) = match name.split_once('/') {
        Some((name, _consumer)) => (name, true),
        None => (name, !named.is_prefix),
    };
    if !is_whole {
        return Some(StreamArn::Unknown);
    }
    let len = "stream/".len() + name.len();
    Some(StreamArn::Known(Arn {
        resource: named.resource.get(..len)?,
        is_prefix: false,
        text: None,
        ..arn(named)
    }))
}

fn arn<'a>(named: &PartialArn<'a>) -> Arn<'a> {
    Arn {
        partition: named.partition,
        service: named.service,
        region: named.region,
        account: named.account,
        resource: named.resource,
        is_prefix: named.is_prefix,
        text: named.text,
    }
}

fn account<'a>(named: &PartialArn<'a>) -> Fact<&'a str> {
    named.account.map_or(Fact::Unknown, Fact::Known)
}
