//! Which resources a request means, as ARNs.
//!
//! Contested points take the reading that denies more:
//! - `StartStreamEncryption` and `StopStreamEncryption` name two resources, the stream and the KMS key; the
//!   authorization reference marks both as required, so a policy must allow both. A key named by an
//!   alias is some key of that account and region.
//! - `StreamId` is reserved and cannot be resolved. Whatever stands beside it, the stream is unknown.
//! - A token nobody vouches for leaves the stream unknown, even when a stream is named beside it: one
//!   implementation serves the token's stream and another the named one.
//! - `CreateQueue` and `CreateChannel` name what does not exist yet. Its id, which is the end of its
//!   ARN, is not the name, so the ARN is known up to `queue/` or `channel/`.
//! - A member that names a resource but is none of the operation's (of the model that the table was
//!   made from) may be ignored by the service, or not: the resource is unknown as well.

mod disagreement;
mod naming;
mod set;

pub use disagreement::Disagreement;
pub use set::{NamedArn, Resource, Resources};

use super::head::Target;
use super::members::{Member, Members};
use super::operation::{Operation, ResourceScope};
use naming::Naming;

/// Where a request was sent and by whom: what names without an account or region mean there.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The endpoint's partition.
    pub partition: &'a str,
    /// The endpoint's region.
    pub region: &'a str,
    /// The account in the endpoint's name, for account-id hosts.
    pub host_account: Option<&'a str>,
    /// The account whose streams a bare `StreamName` means; none if it is not known.
    pub caller_account: Option<&'a str>,
}

/// Fills `out` with the resources that a request names: one at least. All of them must be allowed.
///
/// # Errors
/// When what it names does not fit together, or does not fit the endpoint.
pub fn resources(
    target: &Target<'_>,
    members: &Members,
    scope: &Scope<'_>,
    out: &mut Resources,
) -> Result<(), Disagreement> {
    name_all(target, members, scope, None, out)
}

/// As [`resources`], where the token that the request carries ([`token`]) is known to belong to the
/// stream with the ARN `stream`.
///
/// # Errors
/// As for [`resources`], and when the request names another stream beside the token.
pub fn resources_of_token(
    target: &Target<'_>,
    members: &Members,
    scope: &Scope<'_>,
    stream: &str,
    out: &mut Resources,
) -> Result<(), Disagreement> {
    name_all(target, members, scope, Some(stream), out)
}

/// The opaque token that stands for the request's stream, if it carries one. Tokens of lists over an
/// account stand for none.
pub fn token<'a>(target: &Target<'_>, members: &'a Members) -> Option<(Member, &'a str)> {
    let of = |member: Member| members.text(member).map(|token| (member, token));
    match target {
        Target::Operation(operation) if operation.scope == ResourceScope::Account => None,
        Target::Operation(operation) => operation.token.and_then(of),
        Target::Unlisted(_) => of(Member::ShardIterator).or_else(|| of(Member::NextToken)),
    }
}

fn name_all(
    target: &Target<'_>,
    members: &Members,
    scope: &Scope<'_>,
    token_stream: Option<&str>,
    out: &mut Resources,
) -> Result<(), Disagreement> {
    out.clear();
    let mut naming = Naming {
        members,
        scope,
        out,
    };
    match target {
        Target::Operation(operation) => of_operation(operation, &mut naming)?,
        Target::Unlisted(_) => of_unlisted(&mut naming)?,
    }
    if token(target, members).is_some() {
        naming.token(token_stream)?;
    }
    if members.stream_id().is_some() || members.has_unnamed_stream() {
        naming.out.unknown();
    }
    if naming.out.is_empty() {
        naming.out.unknown();
    }
    Ok(())
}

fn of_operation(operation: &Operation, naming: &mut Naming<'_, '_>) -> Result<(), Disagreement> {
    match operation.scope {
        ResourceScope::Account => {
            naming.out.any();
            naming.filtered_streams()?;
        }
        ResourceScope::Consumer => naming.consumer()?,
        ResourceScope::Unscoped => naming.stream(Scoping::Unscoped)?,
        ResourceScope::Named => {
            for member in operation.members {
                match member {
                    // The two are one resource: `StreamARN` is read together with the name.
                    Member::StreamName if operation.members.contains(&Member::StreamArn) => {}
                    Member::StreamName | Member::StreamArn => naming.stream(Scoping::Scoped)?,
                    Member::ResourceArn => naming.resource()?,
                    Member::QueueArn => naming.child(Member::QueueArn, "queue/")?,
                    Member::ChannelArn => naming.child(Member::ChannelArn, "channel/")?,
                    Member::QueueName => naming.unborn(Member::QueueName, "queue/")?,
                    Member::ChannelName => naming.unborn(Member::ChannelName, "channel/")?,
                    Member::KeyId => naming.key()?,
                    // The name of a consumer to be registered; the resource is its stream.
                    Member::ConsumerName => naming.check_name(Member::ConsumerName)?,
                    Member::ConsumerArn => naming.consumer()?,
                    // Dealt with for all operations alike.
                    Member::StreamId | Member::ShardIterator | Member::NextToken => {}
                }
            }
            if operation.lists_streams {
                naming.configured_streams()?;
            }
        }
    }
    let foreign = NAMING.iter().any(|member| {
        naming.members.text(*member).is_some() && !operation.members.contains(member)
    });
    let foreign_list = !operation.lists_streams
        && (naming.members.stream_configuration_arns().next().is_some()
            || naming.members.stream_filter_arns().next().is_some());
    if foreign || foreign_list {
        naming.out.unknown();
    }
    Ok(())
}

/// An operation newer than the table: everything that its members name.
fn of_unlisted(naming: &mut Naming<'_, '_>) -> Result<(), Disagreement> {
    naming.stream(Scoping::Scoped)?;
    if naming.members.consumer_arn().is_some() || naming.members.consumer_name().is_some() {
        naming.consumer()?;
    }
    naming.resource()?;
    naming.child(Member::QueueArn, "queue/")?;
    naming.child(Member::ChannelArn, "channel/")?;
    naming.unborn(Member::QueueName, "queue/")?;
    naming.unborn(Member::ChannelName, "channel/")?;
    naming.key()?;
    naming.configured_streams()?;
    naming.filtered_streams()
}

/// Whether a policy can name the stream for the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scoping {
    Scoped,
    Unscoped,
}

/// The members that name a resource outright.
const NAMING: [Member; 10] = [
    Member::StreamName,
    Member::StreamArn,
    Member::ConsumerName,
    Member::ConsumerArn,
    Member::ResourceArn,
    Member::QueueName,
    Member::QueueArn,
    Member::ChannelName,
    Member::ChannelArn,
    Member::KeyId,
];

#[cfg(test)]
mod tests;
