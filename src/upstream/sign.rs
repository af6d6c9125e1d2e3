//! Signing a request with the gate's own credentials.

use std::time::SystemTime;

use http::header::{
    AUTHORIZATION, COOKIE, DATE, HOST, HeaderName, HeaderValue, PROXY_AUTHORIZATION,
};
use http::{HeaderMap, Request, Uri, Version};

use crate::credentials::Session;
use crate::sigv4::{BodyHash, Head, Scope, StringToSign, push_scope, signing_time};

use super::RequestBody;

/// What a request is signed with, and for.
pub struct Signature<'a> {
    /// The credentials.
    pub session: &'a Session,
    /// The region of the endpoint it goes to.
    pub region: &'a str,
    /// The name of the endpoint it goes to.
    pub host: &'a str,
    /// The hash of its body: of the very bytes that were judged.
    pub body: &'a BodyHash,
    /// The time.
    pub now: SystemTime,
}

const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// What clients authenticate with, or sign: none of it goes upstream. The query goes with them.
const TAKEN_AWAY: [HeaderName; 8] = [
    AUTHORIZATION,
    SECURITY_TOKEN,
    AMZ_DATE,
    CONTENT_SHA256,
    DATE,
    HOST,
    COOKIE,
    PROXY_AUTHORIZATION,
];

impl Signature<'_> {
    /// Takes away what the client authenticated with, and signs. Whatever the client signed, `host`
    /// is what is signed here: the way upstream need not be the one that the client came.
    pub(super) fn apply(&self, request: &mut Request<RequestBody>) {
        request.body_mut().rewrite_head();
        let headers = request.headers_mut();
        for name in &TAKEN_AWAY {
            headers.remove(name);
        }
        let time = signing_time(self.now);
        headers.insert(AMZ_DATE, header(time.as_bytes()));
        if let Some(token) = self.session.token() {
            headers.insert(SECURITY_TOKEN, token.clone());
        }
        // The query goes; the path stays, since under Smithy RPC v2 it names the operation.
        let path = request.uri().path().to_owned();
        let authorization = self.authorization(&path, request.headers(), &time);
        request.headers_mut().insert(AUTHORIZATION, authorization);
        let uri = Uri::builder().path_and_query(path);
        if request.version() == Version::HTTP_2 {
            let uri = uri.scheme("https").authority(self.host);
            *request.uri_mut() = uri.build().unwrap_or_default();
        } else {
            *request.uri_mut() = uri.build().unwrap_or_default();
            let host = header(self.host.as_bytes());
            request.headers_mut().insert(HOST, host);
        }
    }

    fn authorization(&self, path: &str, headers: &HeaderMap, time: &str) -> HeaderValue {
        let scope = Scope {
            date: time.get(..8).unwrap_or_default(),
            region: self.region,
            service: "kinesis",
        };
        let head = Head {
            method: "POST",
            path,
            query: None,
            headers,
            authority: Some(self.host),
        };
        // The gate has read the type and what names the operation, and by which protocol: they are
        // there.
        let signed_headers = match (headers.contains_key(TARGET), self.session.token()) {
            (true, Some(_)) => "content-type;host;x-amz-date;x-amz-security-token;x-amz-target",
            (true, None) => "content-type;host;x-amz-date;x-amz-target",
            (false, Some(_)) => "content-type;host;smithy-protocol;x-amz-date;x-amz-security-token",
            (false, None) => "content-type;host;smithy-protocol;x-amz-date",
        };
        let to_sign = StringToSign::of(head, signed_headers, self.body, time, scope);
        let key = self.session.signing_key(scope);
        let signature = to_sign.map(|to_sign| key.sign(&to_sign));
        let mut text = Vec::with_capacity(320);
        text.extend_from_slice(b"AWS4-HMAC-SHA256 Credential=");
        text.extend_from_slice(self.session.access_key_id().as_bytes());
        text.push(b'/');
        push_scope(&mut text, scope);
        for part in [
            ", SignedHeaders=",
            signed_headers,
            ", Signature=",
            &signature.unwrap_or_default(),
        ] {
            text.extend_from_slice(part.as_bytes());
        }
        let mut value = header(&text);
        value.set_sensitive(true);
        value
    }
}

/// INVARIANT: names of endpoints, times and key ids are all that comes here, and each was read as
/// such. Were one not a header's value, the service would refuse the request as unsigned.
fn header(text: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use aws_credential_types::Credentials;
    use aws_sigv4::http_request::{
        PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign,
    };
    use aws_sigv4::sign::v4;
    use http::{Request, Version};

    use super::{RequestBody, Session, Signature};
    use crate::sigv4::hash_body;

    const ID: &str = "ASIAY34FZKBOKMUTVV7A";
    const BODY: &[u8] = br#"{"StreamName":"s"}"#;

    fn theirs(token: Option<&str>, now: SystemTime) -> String {
        let identity =
            Credentials::new(ID, "secret", token.map(str::to_owned), None, "test").into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("kinesis")
            .time(now)
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("host", "kinesis.us-east-1.amazonaws.com"),
            ("x-amz-target", "Kinesis_20131202.ListShards"),
        ];
        let signable = SignableRequest::new(
            "POST",
            "https://kinesis.us-east-1.amazonaws.com/",
            headers.into_iter(),
            SignableBody::Bytes(BODY),
        );
        let (instructions, _) = sign(signable.unwrap(), &params).unwrap().into_parts();
        let (headers, _) = instructions.into_parts();
        let found = headers
            .iter()
            .find(|header| header.name() == "authorization");
        found.unwrap().value().to_owned()
    }

    /// The same request, signed by AWS's own crate and by us, to the letter.
    #[test]
    fn signs_as_aws_does() {
        for (token, seconds) in [
            (None, 1_440_938_160),
            (Some("FwoGZXIvYXdzE=="), 1_790_000_000),
        ] {
            let now = UNIX_EPOCH + Duration::from_secs(seconds);
            let session = Session::new(ID.to_owned(), "secret".to_owned(), token, None, None);
            let session = session.unwrap();
            let body = hash_body([BODY].into_iter());
            let signature = Signature {
                session: &session,
                region: "us-east-1",
                host: "kinesis.us-east-1.amazonaws.com",
                body: &body,
                now,
            };
            let mut request = Request::post("https://localhost:4443/?X-Amz-Signature=0")
                .version(Version::HTTP_2)
                .header("content-type", "application/x-amz-json-1.1")
                .header("authorization", "theirs")
                .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
                .header("x-amz-security-token", "theirs")
                .header("x-amz-target", "Kinesis_20131202.ListShards")
                .body(RequestBody::new(Some("POST / HTTP/1.1\r\n\r\n".into())))
                .unwrap();
            signature.apply(&mut request);
            assert!(!request.body().keeps_head());
            let headers = request.headers();
            assert_eq!(
                headers["authorization"].to_str().unwrap(),
                theirs(token, now)
            );
            assert_eq!(
                headers
                    .get("x-amz-security-token")
                    .map(|v| v.to_str().unwrap()),
                token
            );
            assert!(!headers.contains_key("x-amz-content-sha256"));
            assert_eq!(request.uri(), "https://kinesis.us-east-1.amazonaws.com/");
        }
    }
}
