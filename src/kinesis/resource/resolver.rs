//! The resolver of names to ARNs: one kind of resource at a time, checked against the endpoint.

use super::super::arn::{Arn, is_account};
use super::super::members::{Member, Members};
use super::conflict::ResourceConflict;
use super::set::{ArnParts, Resources};

/// The endpoint that a request was sent to and the account of its caller, against which bare names
/// are resolved.
#[derive(Debug, Clone, Copy)]
pub struct ResolveContext<'a> {
    /// The endpoint's partition.
    pub partition: &'a str,
    /// The endpoint's region.
    pub region: &'a str,
    /// The account in the endpoint's host name; `None` where the host name has none.
    pub host_account: Option<&'a str>,
    /// The account of a bare `StreamName`; `None` if it is unknown.
    pub caller_account: Option<&'a str>,
}

/// Whether a policy can name the stream for the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scoping {
    Scoped,
    Unscoped,
}

/// Resolves the members of one request.
pub(super) struct Resolver<'a, 'o> {
    pub(super) members: &'a Members,
    pub(super) context: &'a ResolveContext<'a>,
    pub(super) out: &'o mut Resources,
}

/// The names in a consumer's ARN.
struct Consumer<'a> {
    stream: &'a str,
    name: &'a str,
}

/// The stream that a token is bound to, as [`Resources::single_stream`] wrote it.
struct BoundStream<'a> {
    partition: &'a str,
    region: &'a str,
    /// `None` if the token was issued for the stream of a caller with an unknown account.
    account: Option<&'a str>,
    name: &'a str,
}

impl<'a> BoundStream<'a> {
    fn parse(text: &'a str) -> Option<BoundStream<'a>> {
        let rest = text.strip_prefix("arn:")?;
        let (partition, rest) = rest.split_once(':')?;
        let (region, rest) = rest.strip_prefix("kinesis:")?.split_once(':')?;
        let (account, resource) = rest.split_once(':')?;
        let is_known = !account.is_empty();
        let name = parse_stream(resource)?;
        (!is_known || is_account(account)).then_some(BoundStream {
            partition,
            region,
            account: is_known.then_some(account),
            name,
        })
    }
}

impl<'a> Resolver<'a, '_> {
    /// The stream of `StreamARN`, `StreamName` or both.
    pub(super) fn add_stream(&mut self, scoping: Scoping) -> Result<(), ResourceConflict> {
        let name = self.name(Member::StreamName)?;
        let caller = self.context.caller_account;
        if let Some((arn, arn_name)) = self.stream_arn()? {
            self.push_arn(&arn, scoping);
            // Both are present: the name is in the caller's account, the ARN states an account.
            if let Some(name) = name {
                if name != arn_name || caller.is_some_and(|caller| caller != arn.account) {
                    return Err(ResourceConflict::Stream);
                }
                if caller.is_some() {
                    return Ok(());
                }
            }
        }
        if let Some(name) = name {
            self.check_caller_account(Member::StreamName)?;
            self.push(caller, &["stream/", name], false, scoping);
        }
        Ok(())
    }

    /// The consumer of `ConsumerARN`, or of `StreamARN` and `ConsumerName`.
    pub(super) fn add_consumer(&mut self) -> Result<(), ResourceConflict> {
        let name = self.name(Member::ConsumerName)?;
        let stream = self.stream_arn()?;
        if let Some(arn) = self.arn(Member::ConsumerArn)? {
            let consumer = parse_consumer(arn.resource)
                .ok_or(ResourceConflict::WrongKind(Member::ConsumerArn))?;
            let same_name = name.is_none_or(|name| name == consumer.name);
            let same_stream = stream.is_none_or(|(stream, stream_name)| {
                stream.account == arn.account && stream_name == consumer.stream
            });
            if !same_name || !same_stream {
                return Err(ResourceConflict::Consumer);
            }
            self.push_arn(&arn, Scoping::Scoped);
        } else if let (Some((stream, stream_name)), Some(name)) = (stream, name) {
            // The request does not have the creation time, which ends the ARN.
            let resource = ["stream/", stream_name, "/consumer/", name, ":"];
            self.push(Some(stream.account), &resource, true, Scoping::Scoped);
        } else {
            self.out.push_unknown();
        }
        Ok(())
    }

    /// The stream, consumer, channel or queue of `ResourceARN`.
    pub(super) fn add_resource_arn(&mut self) -> Result<(), ResourceConflict> {
        let Some(arn) = self.arn(Member::ResourceArn)? else {
            return Ok(());
        };
        let is_known = parse_stream(arn.resource).is_some()
            || parse_consumer(arn.resource).is_some()
            || is_child(arn.resource, "channel/")
            || is_child(arn.resource, "queue/");
        if !is_known {
            return Err(ResourceConflict::WrongKind(Member::ResourceArn));
        }
        self.push_arn(&arn, Scoping::Scoped);
        Ok(())
    }

    /// A channel or queue by its ARN; `kind` ends in a slash.
    pub(super) fn add_child(&mut self, member: Member, kind: &str) -> Result<(), ResourceConflict> {
        if let Some(arn) = self.arn(member)? {
            if !is_child(arn.resource, kind) {
                return Err(ResourceConflict::WrongKind(member));
            }
            self.push_arn(&arn, Scoping::Scoped);
        }
        Ok(())
    }

    /// A channel or queue to be created, whose id is not known yet; `kind` ends in a slash.
    pub(super) fn add_new_child(
        &mut self,
        member: Member,
        kind: &str,
    ) -> Result<(), ResourceConflict> {
        if self.name(member)?.is_some() {
            self.check_caller_account(member)?;
            self.push(self.context.caller_account, &[kind], true, Scoping::Scoped);
        }
        Ok(())
    }

    /// The KMS key of `KeyId`: an id, an ARN, or an alias of either form.
    /// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StartStreamEncryption.html>
    pub(super) fn add_key(&mut self) -> Result<(), ResourceConflict> {
        let Some(text) = self.members.key_id() else {
            return Ok(());
        };
        let is_alias =
            |alias: &str| !alias.is_empty() && alias.bytes().all(|b| b.is_ascii_graphic());
        let context = self.context;
        // An alias has the account and region of its key; the id of the key is unknown.
        let (partition, region, account, id) = if text.starts_with("arn:") {
            let arn = Arn::parse(text).map_err(|_| ResourceConflict::InvalidArn(Member::KeyId))?;
            let id = match arn.resource.split_once('/') {
                Some(("key", id)) if is_key_id(id) => Some(id),
                Some(("alias", alias)) if is_alias(alias) => None,
                _ => return Err(ResourceConflict::WrongKind(Member::KeyId)),
            };
            if arn.service != "kms" {
                return Err(ResourceConflict::WrongKind(Member::KeyId));
            }
            (arn.partition, arn.region, Some(arn.account), id)
        } else {
            let id = match text.strip_prefix("alias/") {
                Some(alias) if is_alias(alias) => None,
                None if is_key_id(text) => Some(text),
                _ => return Err(ResourceConflict::InvalidName(Member::KeyId)),
            };
            (
                context.partition,
                context.region,
                context.caller_account,
                id,
            )
        };
        self.out.push_arn(&ArnParts {
            partition,
            service: "kms",
            region,
            account,
            resource: &["key/", id.unwrap_or_default()],
            is_prefix: id.is_none(),
            is_unscoped: false,
        });
        Ok(())
    }

    /// The streams that a channel or queue will read, of any account.
    pub(super) fn add_configured_streams(&mut self) -> Result<(), ResourceConflict> {
        let mut arns = self.members.stream_configuration_arns();
        arns.try_for_each(|text| self.add_listed_stream(text, Scoping::Scoped))
    }

    /// The streams that filter a list. The authorization reference gives such lists no resource.
    pub(super) fn add_filtered_streams(&mut self) -> Result<(), ResourceConflict> {
        let mut arns = self.members.stream_filter_arns();
        arns.try_for_each(|text| self.add_listed_stream(text, Scoping::Unscoped))
    }

    /// The stream that the request's token is bound to, if that stream is known.
    pub(super) fn add_token_stream(&mut self, bound: Option<&str>) -> Result<(), ResourceConflict> {
        let Some(text) = bound else {
            self.out.push_unknown();
            return Ok(());
        };
        let bound = BoundStream::parse(text).ok_or(ResourceConflict::Token)?;
        if bound.partition != self.context.partition || bound.region != self.context.region {
            return Err(ResourceConflict::Token);
        }
        let arn = self.stream_arn()?;
        let same_arn = arn.is_none_or(|(arn, name)| {
            name == bound.name && bound.account.is_none_or(|account| account == arn.account)
        });
        let name = self.members.stream_name();
        if !same_arn || name.is_some_and(|name| name != bound.name) {
            return Err(ResourceConflict::Token);
        }
        let resource = ["stream/", bound.name];
        self.push(bound.account, &resource, false, Scoping::Scoped);
        Ok(())
    }

    /// Checks a name that is not itself the resource.
    pub(super) fn check_name(&self, member: Member) -> Result<(), ResourceConflict> {
        self.name(member).map(|_| ())
    }

    fn name(&self, member: Member) -> Result<Option<&'a str>, ResourceConflict> {
        match self.members.text(member) {
            Some(name) if !is_name(name) => Err(ResourceConflict::InvalidName(member)),
            name => Ok(name),
        }
    }

    fn add_listed_stream(&mut self, text: &str, scoping: Scoping) -> Result<(), ResourceConflict> {
        let arn = self.parse_arn(Member::StreamArn, text)?;
        parse_stream(arn.resource).ok_or(ResourceConflict::WrongKind(Member::StreamArn))?;
        self.push_arn(&arn, scoping);
        Ok(())
    }

    /// The ARN and the name in `StreamARN`.
    fn stream_arn(&self) -> Result<Option<(Arn<'a>, &'a str)>, ResourceConflict> {
        let Some(arn) = self.arn(Member::StreamArn)? else {
            return Ok(None);
        };
        let name = parse_stream(arn.resource);
        let name = name.ok_or(ResourceConflict::WrongKind(Member::StreamArn))?;
        Ok(Some((arn, name)))
    }

    /// The ARN in a member. Its account must be that of the endpoint's host name, if there is one.
    fn arn(&self, member: Member) -> Result<Option<Arn<'a>>, ResourceConflict> {
        let Some(text) = self.members.text(member) else {
            return Ok(None);
        };
        let arn = self.parse_arn(member, text)?;
        match self.context.host_account {
            Some(account) if account != arn.account => Err(ResourceConflict::HostAccount(member)),
            _ => Ok(Some(arn)),
        }
    }

    /// An ARN of Kinesis in the endpoint's partition and region.
    fn parse_arn<'t>(&self, member: Member, text: &'t str) -> Result<Arn<'t>, ResourceConflict> {
        let arn = Arn::parse(text).map_err(|_| ResourceConflict::InvalidArn(member))?;
        if arn.service != "kinesis" {
            return Err(ResourceConflict::WrongKind(member));
        }
        if arn.partition != self.context.partition {
            return Err(ResourceConflict::Partition(member));
        }
        if arn.region != self.context.region {
            return Err(ResourceConflict::Region(member));
        }
        Ok(arn)
    }

    /// Checks a bare name at an account-id endpoint: the endpoint's account must be the caller's.
    /// Otherwise one reader could find the caller's stream and another the endpoint's.
    fn check_caller_account(&self, member: Member) -> Result<(), ResourceConflict> {
        match (self.context.host_account, self.context.caller_account) {
            (Some(host), Some(caller)) if host != caller => {
                Err(ResourceConflict::CallerAccount(member))
            }
            _ => Ok(()),
        }
    }

    fn push_arn(&mut self, arn: &Arn<'_>, scoping: Scoping) {
        self.push(Some(arn.account), &[arn.resource], false, scoping);
    }

    fn push(
        &mut self,
        account: Option<&str>,
        resource: &[&str],
        is_prefix: bool,
        scoping: Scoping,
    ) {
        self.out.push_arn(&ArnParts {
            partition: self.context.partition,
            service: "kinesis",
            region: self.context.region,
            account,
            resource,
            is_prefix,
            is_unscoped: scoping == Scoping::Unscoped,
        });
    }
}

/// Names of streams, consumers, channels and queues.
fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn is_key_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// The name in `stream/NAME`.
fn parse_stream(resource: &str) -> Option<&str> {
    let name = resource.strip_prefix("stream/")?;
    is_name(name).then_some(name)
}

/// The names in `stream/NAME/consumer/NAME:CREATION`.
fn parse_consumer(resource: &str) -> Option<Consumer<'_>> {
    let (stream, rest) = resource.strip_prefix("stream/")?.split_once('/')?;
    let (name, creation) = rest.strip_prefix("consumer/")?.split_once(':')?;
    let is_valid = is_name(stream)
        && is_name(name)
        && !creation.is_empty()
        && creation.bytes().all(|byte| byte.is_ascii_digit());
    is_valid.then_some(Consumer { stream, name })
}

/// Whether a resource consists of `kind`, which ends in a slash, and an id.
fn is_child(resource: &str, kind: &str) -> bool {
    resource.strip_prefix(kind).is_some_and(|id| !id.is_empty())
}
