//! The table of Kinesis operations, generated from the service model.

use super::members::Member;

/// One operation of the service model, from `operations.json`.
#[derive(Debug, PartialEq, Eq)]
pub struct Operation {
    /// The operation's name on the wire.
    pub name: &'static str,
    /// The operation's name in policies, with the service's prefix.
    pub action: &'static str,
    /// The operation's index in [`operations`] and [`ACTION_NAMES`].
    pub number: u16,
    /// The plane, which selects the account-id host.
    pub plane: Plane,
    /// The members of the input that name a resource.
    pub resource_members: &'static [Member],
    /// Whether the input names streams in a list of structures (`StreamConfigurationList`,
    /// `StreamFilter`).
    pub has_stream_list: bool,
    /// The member of the input that may carry an opaque token in place of a stream.
    pub input_token: Option<Member>,
    /// The members of the output that issue such tokens.
    pub output_tokens: &'static [&'static str],
    /// The members of the input that carry tags or tag keys.
    pub tag_members: &'static [&'static str],
    /// The kind of resource that a policy can name for the operation.
    pub scope: ResourceScope,
    /// Whether the response is an event stream, which stays open for minutes.
    pub is_event_stream: bool,
}

impl Operation {
    /// The operation that accepts the tokens which this operation issues, and the member of the
    /// response that holds one. `None` without stream tokens: account-level lists have none.
    pub fn issued_token(&self) -> Option<(&'static Operation, &'static str)> {
        let member = *self.output_tokens.first()?;
        let accepting = if member != Member::NextToken.name() {
            let mut all = OPERATIONS.iter();
            all.find(|operation| operation.input_token == Some(Member::ShardIterator))
        } else if self.scope != ResourceScope::Account {
            find_operation(self.name)
        } else {
            None
        }?;
        Some((accepting, member))
    }
}

/// The half of the service that an operation belongs to, as in `data-kinesis` hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    /// Records: put, get, iterate, subscribe.
    Data,
    /// Everything else, including `ListShards`.
    Control,
}

/// The resource of an operation in the service authorization reference.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonkinesis.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceScope {
    /// No resource, and the input names none: a policy can name only `*`.
    Account,
    /// The resources that the members name: streams, consumers, channels, queues, keys.
    Named,
    /// The consumer, even where the request names it by stream and name.
    Consumer,
    /// No resource, although the input names a stream.
    Unscoped,
}

/// All operations, by name.
pub fn operations() -> &'static [Operation] {
    OPERATIONS
}

/// The operation with that name. Names are case-sensitive on the wire.
pub fn find_operation(name: &str) -> Option<&'static Operation> {
    let index = OPERATIONS
        .binary_search_by(|operation| operation.name.cmp(name))
        .ok()?;
    OPERATIONS.get(index)
}

include!(concat!(env!("OUT_DIR"), "/operations.rs"));

#[cfg(test)]
mod tests {
    use super::{ACTION_NAMES, Plane, ResourceScope, find_operation, operations};

    #[test]
    fn every_operation_is_found_by_its_name_and_number() {
        assert_eq!(operations().len(), 57);
        for (number, operation) in operations().iter().enumerate() {
            assert_eq!(usize::from(operation.number), number);
            assert_eq!(ACTION_NAMES[number], operation.name);
            assert_eq!(find_operation(operation.name), Some(operation));
        }
        for name in ["", "putrecord", "PutRecordss", "ZZZ", "InjectApiError"] {
            assert_eq!(find_operation(name), None, "{name}");
        }
    }

    #[test]
    fn scopes_follow_the_authorization_reference() {
        let of = |scope: ResourceScope| -> Vec<&str> {
            operations()
                .iter()
                .filter(|o| o.scope == scope)
                .map(|o| o.name)
                .collect()
        };
        assert_eq!(
            of(ResourceScope::Account),
            [
                "DescribeAccountSettings",
                "DescribeLimits",
                "ListChannels",
                "ListQueues",
                "ListStreams",
                "UpdateAccountSettings",
            ]
        );
        assert_eq!(
            of(ResourceScope::Unscoped),
            [
                "DisableEnhancedMonitoring",
                "EnableEnhancedMonitoring",
                "UpdateShardCount",
                "UpdateStreamMode",
            ]
        );
        assert_eq!(
            of(ResourceScope::Consumer),
            [
                "DeregisterStreamConsumer",
                "DescribeStreamConsumer",
                "SubscribeToShard"
            ]
        );
    }

    #[test]
    fn tokens_are_accepted_by_the_operation_that_continues() {
        let issuing: Vec<_> = operations()
            .iter()
            .filter_map(|operation| {
                let (accepting, member) = operation.issued_token()?;
                Some((operation.name, accepting.name, member))
            })
            .collect();
        assert_eq!(
            issuing,
            [
                ("GetRecords", "GetRecords", "NextShardIterator"),
                ("GetShardIterator", "GetRecords", "ShardIterator"),
                ("ListShards", "ListShards", "NextToken"),
                ("ListStreamConsumers", "ListStreamConsumers", "NextToken"),
            ]
        );
        // One member each: no response issues two.
        assert!(operations().iter().all(|o| o.output_tokens.len() <= 1));
    }

    #[test]
    fn the_data_plane_is_what_sdks_send_to_data_hosts() {
        for name in [
            "PutRecord",
            "PutRecords",
            "GetRecords",
            "GetShardIterator",
            "SubscribeToShard",
        ] {
            assert_eq!(
                find_operation(name).map(|o| o.plane),
                Some(Plane::Data),
                "{name}"
            );
        }
        assert_eq!(
            find_operation("ListShards").map(|o| o.plane),
            Some(Plane::Control)
        );
        let streaming: Vec<&str> = operations()
            .iter()
            .filter(|o| o.is_event_stream)
            .map(|o| o.name)
            .collect();
        assert_eq!(streaming, ["SubscribeToShard"]);
    }
}
