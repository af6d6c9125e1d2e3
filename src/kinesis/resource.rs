//! Resources: resolves the members of a request to the ARNs that a policy must allow.
//!
//! CONTESTED points take the reading that denies more:
//! - `StartStreamEncryption` and `StopStreamEncryption` name two resources, the stream and the KMS key.
//!   The authorization reference marks both as required, so a policy must allow both. A key named by an
//!   alias is some key of that account and region.
//! - `StreamId` is reserved and cannot be resolved. Beside it, the stream is always unknown.
//! - A token that is not bound leaves the stream unknown, even when a stream is named beside it: one
//!   implementation serves the token's stream and another the named one.
//! - `CreateQueue` and `CreateChannel` name a resource that does not exist yet. Its ARN ends in an id
//!   and not in the name, so the ARN is known up to `queue/` or `channel/`.
//! - A member that names a resource but is not a member of the operation (in the model that the table
//!   was made from) may be ignored by the service, or not: the resource is also unknown.

mod conflict;
mod resolver;
mod set;

pub use conflict::ResourceConflict;
pub use resolver::ResolveContext;
pub use set::{PartialArn, Resource, Resources};

use super::members::{Member, Members};
use super::operation::{Operation, ResourceScope};
use super::target::Target;
use resolver::{Resolver, Scoping};

/// Fills `out` with the resources that a request names, at least one. All of them must be allowed.
///
/// `token_stream` is the ARN of the stream that the request's token ([`stream_token`]) is bound to;
/// without it, a token leaves the stream unknown.
///
/// # Errors
/// If the names are invalid, or conflict with each other, with the endpoint or with the token.
pub fn resolve_resources(
    target: &Target<'_>,
    members: &Members,
    context: &ResolveContext<'_>,
    token_stream: Option<&str>,
    out: &mut Resources,
) -> Result<(), ResourceConflict> {
    out.clear();
    let mut resolver = Resolver {
        members,
        context,
        out,
    };
    match target {
        Target::Operation(operation) => resolve_operation(operation, &mut resolver)?,
        Target::UnmodeledOperation(_) => resolve_unmodeled(&mut resolver)?,
    }
    if stream_token(target, members).is_some() {
        resolver.add_token_stream(token_stream)?;
    }
    let has_unknown = members.stream_id().is_some() || members.has_unnamed_stream();
    if has_unknown || resolver.out.is_empty() {
        resolver.out.push_unknown();
    }
    Ok(())
}

/// The opaque token that stands for the request's stream, if the request carries one. The tokens of
/// account-level lists stand for no stream.
pub fn stream_token<'a>(target: &Target<'_>, members: &'a Members) -> Option<(Member, &'a str)> {
    let token = |member: Member| members.text(member).map(|token| (member, token));
    match target {
        Target::Operation(operation) if operation.scope == ResourceScope::Account => None,
        Target::Operation(operation) => operation.input_token.and_then(token),
        Target::UnmodeledOperation(_) => {
            token(Member::ShardIterator).or_else(|| token(Member::NextToken))
        }
    }
}

fn resolve_operation(
    operation: &Operation,
    resolver: &mut Resolver<'_, '_>,
) -> Result<(), ResourceConflict> {
    let own_members = operation.resource_members;
    match operation.scope {
        ResourceScope::Account => {
            resolver.out.push_any();
            resolver.add_filtered_streams()?;
        }
        ResourceScope::Consumer => resolver.add_consumer()?,
        ResourceScope::Unscoped => resolver.add_stream(Scoping::Unscoped)?,
        ResourceScope::Named => {
            for member in own_members {
                match member {
                    // Both name one resource, which `add_stream` resolves.
                    Member::StreamName if own_members.contains(&Member::StreamArn) => {}
                    Member::StreamName | Member::StreamArn => {
                        resolver.add_stream(Scoping::Scoped)?
                    }
                    Member::ResourceArn => resolver.add_resource_arn()?,
                    Member::QueueArn => resolver.add_child(Member::QueueArn, "queue/")?,
                    Member::ChannelArn => resolver.add_child(Member::ChannelArn, "channel/")?,
                    Member::QueueName => resolver.add_new_child(Member::QueueName, "queue/")?,
                    Member::ChannelName => {
                        resolver.add_new_child(Member::ChannelName, "channel/")?
                    }
                    Member::KeyId => resolver.add_key()?,
                    // The name of a consumer to register. The resource is the consumer's stream.
                    Member::ConsumerName => resolver.check_name(Member::ConsumerName)?,
                    Member::ConsumerArn => resolver.add_consumer()?,
                    // `resolve_resources` handles these for all operations.
                    Member::StreamId | Member::ShardIterator | Member::NextToken => {}
                }
            }
            if operation.has_stream_list {
                resolver.add_configured_streams()?;
            }
        }
    }
    let members = resolver.members;
    let has_foreign_member = RESOURCE_MEMBERS
        .iter()
        .any(|member| members.text(*member).is_some() && !own_members.contains(member));
    let has_foreign_list = !operation.has_stream_list
        && (members.stream_configuration_arns().next().is_some()
            || members.stream_filter_arns().next().is_some());
    if has_foreign_member || has_foreign_list {
        resolver.out.push_unknown();
    }
    Ok(())
}

/// Resolves everything that the members of an operation outside the table name.
fn resolve_unmodeled(resolver: &mut Resolver<'_, '_>) -> Result<(), ResourceConflict> {
    resolver.add_stream(Scoping::Scoped)?;
    if resolver.members.consumer_arn().is_some() || resolver.members.consumer_name().is_some() {
        resolver.add_consumer()?;
    }
    resolver.add_resource_arn()?;
    resolver.add_child(Member::QueueArn, "queue/")?;
    resolver.add_child(Member::ChannelArn, "channel/")?;
    resolver.add_new_child(Member::QueueName, "queue/")?;
    resolver.add_new_child(Member::ChannelName, "channel/")?;
    resolver.add_key()?;
    resolver.add_configured_streams()?;
    resolver.add_filtered_streams()
}

/// The members that name a resource directly.
const RESOURCE_MEMBERS: [Member; 10] = [
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
