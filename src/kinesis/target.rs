//! Targets: the operation of a request, from `X-Amz-Target` or from the path.

use std::borrow::Cow;

use super::operation::{ACTION_NAMES, Operation, find_operation};

/// The operation of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// An operation of the table.
    Operation(&'static Operation),
    /// An operation that is not in the table, perhaps of a newer model. The policy decides the
    /// operation as the action `kinesis:<name>`.
    UnmodeledOperation(&'a str),
}

/// The prefix of `X-Amz-Target`, before the operation's name.
pub const TARGET_PREFIX: &str = "Kinesis_20131202.";
/// The prefix of the path of a Smithy RPC v2 request, before the operation's name. A server may
/// also accept the service's name with its namespace, which no client sends and the gate refuses.
pub const PATH_PREFIX: &str = "/service/Kinesis_20131202/operation/";

/// Longer than any operation's name; the service's model has 38 characters at most.
const MAX_NAME_BYTES: usize = 64;

impl<'a> Target<'a> {
    /// Parses the value of an `X-Amz-Target` header.
    pub fn parse(header: &'a str) -> Option<Target<'a>> {
        Target::from_name(header.strip_prefix(TARGET_PREFIX)?)
    }

    /// Parses the path of a Smithy RPC v2 request.
    pub fn from_path(path: &'a str) -> Option<Target<'a>> {
        Target::from_name(path.strip_prefix(PATH_PREFIX)?)
    }

    /// A name has only ASCII letters and digits: no policy pattern and no log can misread it.
    fn from_name(name: &'a str) -> Option<Target<'a>> {
        if let Some(operation) = find_operation(name) {
            return Some(Target::Operation(operation));
        }
        let is_valid = name.len() <= MAX_NAME_BYTES
            && name.starts_with(|first: char| first.is_ascii_uppercase())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        // IAM ignores the case of actions. A name that differs from a known name only in case would
        // be decided as that operation, but without the operation's members and resources.
        let is_case_variant = ACTION_NAMES
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name));
        (is_valid && !is_case_variant).then_some(Target::UnmodeledOperation(name))
    }

    /// The operation's name, without prefix.
    pub fn name(&self) -> &'a str {
        match self {
            Target::Operation(operation) => operation.name,
            Target::UnmodeledOperation(name) => name,
        }
    }

    /// The IAM action, `kinesis:PutRecord`.
    pub fn action(&self) -> Cow<'static, str> {
        match self {
            Target::Operation(operation) => Cow::Borrowed(operation.action),
            Target::UnmodeledOperation(name) => Cow::Owned(format!("kinesis:{name}")),
        }
    }

    /// The operation's index in the table; `None` if the operation is not in the table.
    pub fn number(&self) -> Option<u16> {
        match self {
            Target::Operation(operation) => Some(operation.number),
            Target::UnmodeledOperation(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::operations;
    use super::Target;

    #[test]
    fn targets() {
        for operation in operations() {
            let header = format!("Kinesis_20131202.{}", operation.name);
            assert_eq!(Target::parse(&header), Some(Target::Operation(operation)));
        }
        assert_eq!(
            Target::parse("Kinesis_20131202.MergeStreams"),
            Some(Target::UnmodeledOperation("MergeStreams"))
        );
        for header in [
            "",
            "Kinesis_20131202",
            "Kinesis_20131202.",
            "Kinesis_20131202.putRecord",
            "Kinesis_20131202.PUTRECORD",
            "Kinesis_20131202.Put*",
            "Kinesis_20131202.PutRecord ",
            "Kinesis_20131202.PutRecord,Kinesis_20131202.DeleteStream",
            "Kinesis_20131202.Put.Record",
            "kinesis_20131202.PutRecord",
            "DynamoDB_20120810.PutItem",
            "PutRecord",
        ] {
            assert_eq!(Target::parse(header), None, "{header}");
        }
    }

    #[test]
    fn paths() {
        for operation in operations() {
            let path = format!("/service/Kinesis_20131202/operation/{}", operation.name);
            assert_eq!(Target::from_path(&path), Some(Target::Operation(operation)));
        }
        assert_eq!(
            Target::from_path("/service/Kinesis_20131202/operation/MergeStreams"),
            Some(Target::UnmodeledOperation("MergeStreams"))
        );
        for path in [
            "/",
            "/service/Kinesis_20131202/operation/",
            "/service/Kinesis_20131202/operation/PutRecord/",
            "/service/Kinesis_20131202/operation/putRecord",
            "/service/Kinesis_20131202/operation/Put%52ecord",
            "/service/Kinesis_20131202/operation/PutRecord;v=1",
            "/service/Kinesis_20131202//operation/PutRecord",
            "/service/Kinesis_20131202/operation/x/service/Kinesis_20131202/operation/PutRecord",
            "/v1/service/Kinesis_20131202/operation/PutRecord",
            "/service/com.amazonaws.kinesis.Kinesis_20131202/operation/PutRecord",
            "/service/Kinesis/operation/PutRecord",
            "/service/DynamoDB_20120810/operation/PutItem",
            "service/Kinesis_20131202/operation/PutRecord",
        ] {
            assert_eq!(Target::from_path(path), None, "{path}");
        }
    }
}
