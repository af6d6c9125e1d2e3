//! Wire formats: the protocols of request bodies, by content type.

/// The encoding of a request's body and of the response: an SDK reads a response, and an error,
/// only in the encoding of the request.
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
    /// The format that a `Content-Type` header names; `None` if the service does not accept it.
    ///
    /// Ignores parameters, spaces and case, as the service does. `None` for plain
    /// `application/json`, which takes another, undocumented branch there, and for a comma-joined
    /// value, two types to some readers.
    pub fn from_content_type(value: &str) -> Option<WireFormat> {
        let formats = [WireFormat::Json, WireFormat::Cbor, WireFormat::RpcV2Cbor];
        let exact = formats.iter().find(|it| it.content_type() == value);
        if exact.is_some() {
            return exact.copied();
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

#[cfg(test)]
mod tests {
    use super::WireFormat;

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
}
