//! The wire form of a rejection: a response with an AWS error as JSON, CBOR or XML.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName, HeaderValue};
use serde::Serializer as _;

use crate::kinesis::WireFormat;

use super::Rejection;

/// The member that holds the message in errors of the authorization layer. Kinesis' model has
/// `message`; IAM denials of sibling services write `Message`. SDKs read both. Not verified
/// against Kinesis itself.
const AUTHORIZATION_MESSAGE: &str = "Message";
/// The member that holds the message in errors of the service itself.
const MESSAGE: &str = "message";
/// The namespace of error names under Smithy RPC v2, where `__type` is an absolute shape id and the
/// message member is always `message`.
const NAMESPACE: &str = "com.amazonaws.kinesis#";

const XML: &str = "application/xml";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const EXTENDED_ID: HeaderName = HeaderName::from_static("x-amz-id-2");
const SMITHY_PROTOCOL: HeaderName = HeaderName::from_static("smithy-protocol");

impl Rejection {
    /// The whole response, and the request id under which the decision log has the reason.
    ///
    /// `format` is the encoding of the request: SDKs read an error only in that encoding. A failure
    /// before the encoding is known is XML, as from the service's front end.
    pub fn response(
        &self,
        format: Option<WireFormat>,
        now: SystemTime,
    ) -> (String, Response<Bytes>) {
        let (error_type, message) = (self.error_type(), self.message());
        let message = message.as_deref();
        let member = match matches!(self, Rejection::AccessDenied(_)) {
            true => AUTHORIZATION_MESSAGE,
            false => MESSAGE,
        };
        let (content_type, body) = match (self, format) {
            (Rejection::MethodNotAllowed | Rejection::UnsupportedContentType, _) | (_, None) => {
                (XML, xml(error_type, message))
            }
            (_, Some(format)) => {
                let body = match format {
                    WireFormat::Json => json(error_type, member, message),
                    WireFormat::Cbor => cbor(error_type, member, message),
                    WireFormat::RpcV2Cbor => {
                        cbor(&format!("{NAMESPACE}{error_type}"), MESSAGE, message)
                    }
                };
                (format.content_type(), body)
            }
        };
        let id = uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes());
        let id = id.into_uuid().to_string();
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, header(&id));
        headers.insert(EXTENDED_ID, header(&extended_id()));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if content_type == WireFormat::RpcV2Cbor.content_type() {
            headers.insert(SMITHY_PROTOCOL, HeaderValue::from_static("rpc-v2-cbor"));
        }
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.insert(DATE, header(&httpdate::fmt_http_date(now)));
        *response.body_mut() = Bytes::from(body);
        (id, response)
    }
}

fn json(error_type: &str, member: &str, message: Option<&str>) -> Vec<u8> {
    let mut body = Vec::with_capacity(512);
    let message = message.map(|message| (member, message));
    let members = [("__type", error_type)].into_iter().chain(message);
    // Writing to memory does not fail.
    let _ = serde_json::Serializer::new(&mut body).collect_map(members);
    body
}

fn cbor(error_type: &str, member: &str, message: Option<&str>) -> Vec<u8> {
    let mut body = vec![if message.is_some() { 0xa2 } else { 0xa1 }];
    let mut text = |text: &str| {
        match u16::try_from(text.len()) {
            Ok(len @ 0..24) => body.push(0x60 | len as u8),
            Ok(len @ 24..256) => body.extend([0x78, len as u8]),
            Ok(len) => {
                body.push(0x79);
                body.extend(len.to_be_bytes());
            }
            Err(_) => {
                body.push(0x7a);
                body.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            }
        }
        body.extend(text.as_bytes());
    };
    text("__type");
    text(error_type);
    if let Some(message) = message {
        text(member);
        text(message);
    }
    body
}

fn xml(error_type: &str, message: Option<&str>) -> Vec<u8> {
    match message {
        Some(message) => {
            format!("<{error_type}><Message>{message}</Message></{error_type}>\n").into_bytes()
        }
        None => format!("<{error_type}/>\n").into_bytes(),
    }
}

/// What AWS sends beside the request id: 72 bytes that mean nothing to us.
fn extended_id() -> String {
    let mut bytes = [0; 72];
    fastrand::fill(&mut bytes);
    STANDARD.encode(bytes)
}

/// Text that is ASCII by construction.
fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
