//! What says how to read a request: its content type, and its target in a header or in the path.

use std::borrow::Cow;

use super::operation::{Operation, find_operation};

/// The encoding of a request's body, and therefore of its answer: SDKs read an answer, errors too,
/// only in the encoding they wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WireFormat {
    /// AWS JSON 1.1.
    Json,
    /// AWS CBOR 1.1, as the Java SDK and the KCL send it.
    Cbor,
    /// Smithy RPC v2 CBOR, whose path names the operation.
    /// <https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html>
    RpcV2Cbor,
}

impl WireFormat {
    /// The encoding that a `Content-Type` header asks for, or none for what the service would not
    /// read.
    ///
    /// Parameters and spaces are dropped and case is ignored, as the service does. Plain
    /// `application/json` takes another, undocumented branch there, and a comma-joined value is two
    /// types to some readers: neither is read.
    pub fn from_content_type(value: &str) -> Option<WireFormat> {
        let formats = [WireFormat::Json, WireFormat::Cbor, WireFormat::RpcV2Cbor];
        let written = formats.iter().find(|it| it.content_type() == value);
        if written.is_some() {
            return written.copied();
        }
        if value.contains(',') {
            return None;
        }
        let media_type = value.split(';').next()?.trim_matches([' ', '\t']);
        formats
            .into_iter()
            .find(|format| media_type.eq_ignore_ascii_case(format.content_type()))
    }

    /// The media type, as SDKs write it.
    pub fn content_type(self) -> &'static str {
        match self {
            WireFormat::Json => "application/x-amz-json-1.1",
            WireFormat::Cbor => "application/x-amz-cbor-1.1",
            WireFormat::RpcV2Cbor => "application/cbor",
        }
    }
}

/// What an `X-Amz-Target` or a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// An operation of the table.
    Operation(&'static Operation),
    /// A name that could be one of a newer model. It is decided as `kinesis:<name>`.
    UnmodeledOperation(&'a str),
}

/// What stands before the operation's name in `X-Amz-Target`.
pub const TARGET_PREFIX: &str = "Kinesis_20131202.";
/// What stands before the operation's name in the path of a Smithy RPC v2 request. A server may also
/// take a service's name with its namespace; no client writes it, and it is not read.
pub const PATH_PREFIX: &str = "/service/Kinesis_20131202/operation/";

/// Longer than any operation's name; the service's model has 38 characters at most.
const LONGEST_NAME: usize = 64;

impl<'a> Target<'a> {
    /// Reads the value of an `X-Amz-Target` header.
    pub fn parse(header: &'a str) -> Option<Target<'a>> {
        Target::named(header.strip_prefix(TARGET_PREFIX)?)
    }

    /// Reads the path of a Smithy RPC v2 request.
    pub fn from_path(path: &'a str) -> Option<Target<'a>> {
        Target::named(path.strip_prefix(PATH_PREFIX)?)
    }

    /// Only ASCII letters and digits make a name, so nothing that a policy pattern or a log could
    /// misread passes.
    fn named(name: &'a str) -> Option<Target<'a>> {
        if let Some(operation) = find_operation(name) {
            return Some(Target::Operation(operation));
        }
        let sane = name.len() <= LONGEST_NAME
            && name.starts_with(|first: char| first.is_ascii_uppercase())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        // IAM compares actions without regard to case. What differs from a known name by case alone
        // would be decided like it, yet with members and a resource that were not looked for.
        let misspelt = super::ACTION_NAMES
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name));
        (sane && !misspelt).then_some(Target::UnmodeledOperation(name))
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

    /// The operation's number in the table.
    pub fn number(&self) -> Option<u16> {
        match self {
            Target::Operation(operation) => Some(operation.number),
            Target::UnmodeledOperation(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Target, WireFormat};

    #[test]
    fn content_types() {
        for (value, format) in [
            ("application/x-amz-json-1.1", Some(WireFormat::Json)),
            (
                " Application/X-AMZ-JSON-1.1 ; charset=utf-8",
                Some(WireFormat::Json),
            ),
            (
                "application/x-amz-json-1.1;charset=UTF-8",
                Some(WireFormat::Json),
            ),
            ("application/x-amz-cbor-1.1", Some(WireFormat::Cbor)),
            ("application/x-amz-cbor-1.1\t;x", Some(WireFormat::Cbor)),
            ("application/json", None),
            ("application/x-amz-json-1.0", None),
            ("application/cbor", Some(WireFormat::RpcV2Cbor)),
            ("application/cbor-seq", None),
            (
                "application/x-amz-json-1.1, application/x-amz-cbor-1.1",
                None,
            ),
            ("application/x-amz-json-1.1;a=\",\"", None),
            ("text/plain", None),
            ("", None),
        ] {
            assert_eq!(WireFormat::from_content_type(value), format, "{value}");
        }
    }

    #[test]
    fn targets() {
        for operation in super::super::operations() {
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
        for operation in super::super::operations() {
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
