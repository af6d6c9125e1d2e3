//! From members to ARNs, one kind of name at a time.

use super::super::arn::{Arn, is_account};
use super::super::members::{Member, Members};
use super::set::{Parts, Resources};
use super::{Disagreement, Scope, Scoping};

/// One request's names on their way to ARNs.
pub(super) struct Naming<'a, 'o> {
    pub(super) members: &'a Members,
    pub(super) scope: &'a Scope<'a>,
    pub(super) out: &'o mut Resources,
}

/// A consumer's ARN, taken apart.
struct Consumer<'a> {
    stream: &'a str,
    name: &'a str,
}

/// The stream that a token is bound to, as [`Resources::stream`] wrote it.
struct BoundStream<'a> {
    partition: &'a str,
    region: &'a str,
    /// None where the token was handed out for the stream of a caller whose account is hidden.
    account: Option<&'a str>,
    name: &'a str,
}

impl<'a> BoundStream<'a> {
    fn read(text: &'a str) -> Option<BoundStream<'a>> {
        let rest = text.strip_prefix("arn:")?;
        let (partition, rest) = rest.split_once(':')?;
        let (region, rest) = rest.strip_prefix("kinesis:")?.split_once(':')?;
        let (account, resource) = rest.split_once(':')?;
        let known = !account.is_empty();
        let name = read_stream(resource)?;
        (!known || is_account(account)).then_some(BoundStream {
            partition,
            region,
            account: known.then_some(account),
            name,
        })
    }
}

impl<'a> Naming<'a, '_> {
    /// The stream of `StreamARN`, `StreamName` or both.
    pub(super) fn stream(&mut self, scoping: Scoping) -> Result<(), Disagreement> {
        let named = self.checked_name(Member::StreamName)?;
        let arn = match self.members.stream_arn() {
            Some(text) => Some(self.stream_arn(Member::StreamArn, text)?),
            None => None,
        };
        let caller = self.scope.caller_account;
        if let Some((arn, arn_name)) = arn {
            self.push_arn(&arn, scoping);
            // Both: the name means the caller's account, the ARN says one.
            if let Some(name) = named {
                if name != arn_name || caller.is_some_and(|caller| caller != arn.account) {
                    return Err(Disagreement::Stream);
                }
                if caller.is_some() {
                    return Ok(());
                }
            }
        }
        if let Some(name) = named {
            self.check_caller(Member::StreamName)?;
            self.push(caller, &["stream/", name], false, scoping);
        }
        Ok(())
    }

    /// The consumer of `ConsumerARN`, or of `StreamARN` and `ConsumerName`.
    pub(super) fn consumer(&mut self) -> Result<(), Disagreement> {
        let name = self.checked_name(Member::ConsumerName)?;
        let stream = match self.members.stream_arn() {
            Some(text) => Some(self.stream_arn(Member::StreamArn, text)?),
            None => None,
        };
        if let Some(text) = self.members.consumer_arn() {
            let arn = self.kinesis_arn(Member::ConsumerArn, text)?;
            self.check_host(Member::ConsumerArn, &arn)?;
            let consumer =
                read_consumer(arn.resource).ok_or(Disagreement::WrongKind(Member::ConsumerArn))?;
            let same_name = name.is_none_or(|name| name == consumer.name);
            let same_stream = stream.is_none_or(|(stream, stream_name)| {
                stream.account == arn.account && stream_name == consumer.stream
            });
            if !same_name || !same_stream {
                return Err(Disagreement::Consumer);
            }
            self.push_arn(&arn, Scoping::Scoped);
        } else if let (Some((stream, stream_name)), Some(name)) = (stream, name) {
            // Its creation time, the end of its ARN, is not in the request.
            self.push(
                Some(stream.account),
                &["stream/", stream_name, "/consumer/", name, ":"],
                true,
                Scoping::Scoped,
            );
        } else {
            self.out.unknown();
        }
        Ok(())
    }

    /// What `ResourceARN` names: a stream, consumer, channel or queue.
    pub(super) fn resource(&mut self) -> Result<(), Disagreement> {
        let Some(text) = self.members.resource_arn() else {
            return Ok(());
        };
        let arn = self.kinesis_arn(Member::ResourceArn, text)?;
        self.check_host(Member::ResourceArn, &arn)?;
        let known = read_stream(arn.resource).is_some()
            || read_consumer(arn.resource).is_some()
            || ["channel/", "queue/"]
                .into_iter()
                .any(|kind| is_child(arn.resource, kind));
        if !known {
            return Err(Disagreement::WrongKind(Member::ResourceArn));
        }
        self.push_arn(&arn, Scoping::Scoped);
        Ok(())
    }

    /// A channel or queue by its ARN; `kind` ends in a slash.
    pub(super) fn child(&mut self, member: Member, kind: &str) -> Result<(), Disagreement> {
        let Some(text) = self.members.text(member) else {
            return Ok(());
        };
        let arn = self.kinesis_arn(member, text)?;
        self.check_host(member, &arn)?;
        if !is_child(arn.resource, kind) {
            return Err(Disagreement::WrongKind(member));
        }
        self.push_arn(&arn, Scoping::Scoped);
        Ok(())
    }

    /// A channel or queue to be created, whose id is not known yet; `kind` ends in a slash.
    pub(super) fn unborn(&mut self, member: Member, kind: &str) -> Result<(), Disagreement> {
        if self.checked_name(member)?.is_some() {
            self.check_caller(member)?;
            self.push(self.scope.caller_account, &[kind], true, Scoping::Scoped);
        }
        Ok(())
    }

    /// The KMS key of `KeyId`: an id, an ARN, or an alias of either form.
    /// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StartStreamEncryption.html>
    pub(super) fn key(&mut self) -> Result<(), Disagreement> {
        let Some(text) = self.members.key_id() else {
            return Ok(());
        };
        let alias_is_sane =
            |alias: &str| !alias.is_empty() && alias.bytes().all(|b| b.is_ascii_graphic());
        let Scope {
            partition,
            region,
            caller_account,
            ..
        } = *self.scope;
        let service = "kms";
        let unscoped = false;
        if text.starts_with("arn:") {
            let arn = Arn::parse(text).map_err(|_| Disagreement::NotAnArn(Member::KeyId))?;
            // An alias is of the same account and region as its key.
            let (resource, open) = match arn.resource.split_once('/') {
                Some(("key", id)) if is_key_id(id) => (arn.resource, false),
                Some(("alias", alias)) if alias_is_sane(alias) => ("key/", true),
                _ => return Err(Disagreement::WrongKind(Member::KeyId)),
            };
            if arn.service != service {
                return Err(Disagreement::WrongKind(Member::KeyId));
            }
            let Arn {
                partition,
                region,
                account,
                ..
            } = arn;
            let account = Some(account);
            self.out.named(&Parts {
                partition,
                service,
                region,
                account,
                resource: &[resource],
                open,
                unscoped,
            });
        } else {
            let account = caller_account;
            let (resource, open): (&[&str], bool) = match text.strip_prefix("alias/") {
                Some(alias) if alias_is_sane(alias) => (&["key/"], true),
                None if is_key_id(text) => (&["key/", text], false),
                _ => return Err(Disagreement::InvalidName(Member::KeyId)),
            };
            self.out.named(&Parts {
                partition,
                service,
                region,
                account,
                resource,
                open,
                unscoped,
            });
        }
        Ok(())
    }

    /// The streams that a channel or queue will read. They may be of any account.
    pub(super) fn configured_streams(&mut self) -> Result<(), Disagreement> {
        let members = self.members;
        for text in members.stream_configuration_arns() {
            self.listed_stream(text, Scoping::Scoped)?;
        }
        Ok(())
    }

    /// The streams that a list is narrowed to. The authorization reference gives such lists no
    /// resource.
    pub(super) fn filtered_streams(&mut self) -> Result<(), Disagreement> {
        let members = self.members;
        for text in members.stream_filter_arns() {
            self.listed_stream(text, Scoping::Unscoped)?;
        }
        Ok(())
    }

    /// The stream that a token stands for: `stream`, if it is known.
    pub(super) fn token(&mut self, stream: Option<&str>) -> Result<(), Disagreement> {
        let Some(text) = stream else {
            self.out.unknown();
            return Ok(());
        };
        let bound = BoundStream::read(text).ok_or(Disagreement::Token)?;
        if bound.partition != self.scope.partition || bound.region != self.scope.region {
            return Err(Disagreement::Token);
        }
        if let Some(text) = self.members.stream_arn() {
            let (named, name) = self.stream_arn(Member::StreamArn, text)?;
            let same_account = bound.account.is_none_or(|account| account == named.account);
            if !same_account || name != bound.name {
                return Err(Disagreement::Token);
            }
        }
        if self
            .members
            .stream_name()
            .is_some_and(|name| name != bound.name)
        {
            return Err(Disagreement::Token);
        }
        let resource = ["stream/", bound.name];
        self.push(bound.account, &resource, false, Scoping::Scoped);
        Ok(())
    }

    /// Checks a name that is not the resource itself.
    pub(super) fn check_name(&self, member: Member) -> Result<(), Disagreement> {
        self.checked_name(member).map(|_| ())
    }

    fn checked_name(&self, member: Member) -> Result<Option<&'a str>, Disagreement> {
        match self.members.text(member) {
            Some(name) if !is_name(name) => Err(Disagreement::InvalidName(member)),
            name => Ok(name),
        }
    }

    fn listed_stream(&mut self, text: &str, scoping: Scoping) -> Result<(), Disagreement> {
        let arn = self.kinesis_arn(Member::StreamArn, text)?;
        read_stream(arn.resource).ok_or(Disagreement::WrongKind(Member::StreamArn))?;
        self.push_arn(&arn, scoping);
        Ok(())
    }

    /// A stream's ARN and name.
    fn stream_arn<'t>(
        &self,
        member: Member,
        text: &'t str,
    ) -> Result<(Arn<'t>, &'t str), Disagreement> {
        let arn = self.kinesis_arn(member, text)?;
        self.check_host(member, &arn)?;
        let name = read_stream(arn.resource).ok_or(Disagreement::WrongKind(member))?;
        Ok((arn, name))
    }

    /// An ARN of Kinesis in the endpoint's partition and region.
    fn kinesis_arn<'t>(&self, member: Member, text: &'t str) -> Result<Arn<'t>, Disagreement> {
        let arn = Arn::parse(text).map_err(|_| Disagreement::NotAnArn(member))?;
        if arn.service != "kinesis" {
            return Err(Disagreement::WrongKind(member));
        }
        if arn.partition != self.scope.partition {
            return Err(Disagreement::Partition(member));
        }
        if arn.region != self.scope.region {
            return Err(Disagreement::Region(member));
        }
        Ok(arn)
    }

    fn check_host(&self, member: Member, arn: &Arn<'_>) -> Result<(), Disagreement> {
        match self.scope.host_account {
            Some(account) if account != arn.account => Err(Disagreement::HostAccount(member)),
            _ => Ok(()),
        }
    }

    /// A bare name at an account-id endpoint: the account there must be the caller's, or one reader
    /// could take the name for the caller's stream and another for the endpoint's.
    fn check_caller(&self, member: Member) -> Result<(), Disagreement> {
        match (self.scope.host_account, self.scope.caller_account) {
            (Some(host), Some(caller)) if host != caller => {
                Err(Disagreement::CallerAccount(member))
            }
            _ => Ok(()),
        }
    }

    fn push_arn(&mut self, arn: &Arn<'_>, scoping: Scoping) {
        self.push(Some(arn.account), &[arn.resource], false, scoping);
    }

    fn push(&mut self, account: Option<&str>, resource: &[&str], open: bool, scoping: Scoping) {
        let Scope {
            partition, region, ..
        } = *self.scope;
        let unscoped = scoping == Scoping::Unscoped;
        self.out.named(&Parts {
            partition,
            service: "kinesis",
            region,
            account,
            resource,
            open,
            unscoped,
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
fn read_stream(resource: &str) -> Option<&str> {
    resource
        .strip_prefix("stream/")
        .filter(|name| is_name(name))
}

/// The names in `stream/NAME/consumer/NAME:CREATION`.
fn read_consumer(resource: &str) -> Option<Consumer<'_>> {
    let (stream, rest) = resource.strip_prefix("stream/")?.split_once('/')?;
    let (name, creation) = rest.strip_prefix("consumer/")?.split_once(':')?;
    let sane = is_name(stream)
        && is_name(name)
        && !creation.is_empty()
        && creation.bytes().all(|byte| byte.is_ascii_digit());
    sane.then_some(Consumer { stream, name })
}

/// Whether a resource is `kind`, which ends in a slash, and an id.
fn is_child(resource: &str, kind: &str) -> bool {
    resource.strip_prefix(kind).is_some_and(|id| !id.is_empty())
}
