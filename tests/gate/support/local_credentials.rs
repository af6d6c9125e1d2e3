//! Local credentials, and requests signed with them.

use std::path::Path;
use std::time::{Duration, SystemTime};

use kinesis_gate::credentials::{IssueRequest, issue};
use serde_json::Value;

use super::HOST;
use super::raw::Request;
use super::signature::{sha256, sign_canonical};

/// Credentials that the gate issued to a client.
#[derive(Clone)]
pub struct LocalCredentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
}

/// The parameters of a signature, which a test may change.
#[derive(Clone)]
pub struct SigningParams {
    pub credentials: LocalCredentials,
    /// `X-Amz-Date`.
    pub time: String,
    /// The date in the credential scope.
    pub day: String,
    pub region: &'static str,
    pub service: &'static str,
    pub signed_headers: Vec<&'static str>,
    /// `/`, or a path of Smithy RPC v2, which names the operation.
    pub path: &'static str,
    /// The payload hash in the canonical request, if not that of the body.
    pub payload_hash: Option<String>,
    /// `X-Amz-Expires` in seconds, which makes a presigned request.
    pub expires: Option<u32>,
}

pub const ROLE: &str = "arn:aws:iam::123456789012:role/team/producer";
pub const USER: &str = "arn:aws:iam::123456789012:user/alice";

/// Issues credentials that expire `ttl` after `now`.
pub fn issue_local(
    store: &Path,
    principal: &str,
    now: SystemTime,
    ttl: Duration,
) -> LocalCredentials {
    let request = IssueRequest {
        principal: principal.to_owned(),
        session: principal.contains(":role/").then(|| "i-1".to_owned()),
        regions: vec!["us-east-1".to_owned()],
        ttl,
    };
    let json: Value = serde_json::from_str(&issue(&request, store, now).unwrap().json()).unwrap();
    LocalCredentials::from_json(&json)
}

impl LocalCredentials {
    /// Parses the output of `credential_process`.
    pub fn from_json(json: &Value) -> LocalCredentials {
        let text = |name: &str| json[name].as_str().unwrap().to_owned();
        LocalCredentials {
            access_key_id: text("AccessKeyId"),
            secret_access_key: text("SecretAccessKey"),
            session_token: Some(text("SessionToken")),
        }
    }
}

impl SigningParams {
    /// The parameters of an SDK that signs now.
    pub fn new(credentials: &LocalCredentials) -> SigningParams {
        SigningParams::at(credentials, kinesis_gate::app::clock())
    }

    /// The parameters of an SDK that signs at `time`.
    pub fn at(credentials: &LocalCredentials, time: SystemTime) -> SigningParams {
        let time = kinesis_gate::sigv4::amz_date(time);
        SigningParams {
            credentials: credentials.clone(),
            day: time[..8].to_owned(),
            time,
            region: "us-east-1",
            service: "kinesis",
            signed_headers: vec![
                "content-type",
                "host",
                "x-amz-date",
                "x-amz-security-token",
                "x-amz-target",
            ],
            path: "/",
            payload_hash: None,
            expires: None,
        }
    }

    /// The parameters of an SDK that speaks Smithy RPC v2.
    pub fn rpc(credentials: &LocalCredentials, path: &'static str) -> SigningParams {
        let mut params = SigningParams::new(credentials);
        params.signed_headers.retain(|name| *name != "x-amz-target");
        params.signed_headers.insert(2, "smithy-protocol");
        params.path = path;
        params
    }

    /// A signed request; `signed_headers` may name headers of `more`.
    pub fn request(
        &self,
        operation: &str,
        body: impl AsRef<[u8]>,
        more: &[(&str, &str)],
    ) -> Request {
        let body = body.as_ref();
        let target = format!("Kinesis_20131202.{operation}");
        let (content_type, protocol) = match self.path {
            "/" => ("application/x-amz-json-1.1", ("X-Amz-Target", &*target)),
            _ => ("application/cbor", ("Smithy-Protocol", "rpc-v2-cbor")),
        };
        let mut headers: Vec<(String, String)> = [
            ("Host", HOST),
            ("Content-Type", content_type),
            protocol,
            ("Content-Length", &body.len().to_string()),
        ]
        .iter()
        .chain(more)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
        let scope = format!("{}/{}/{}/aws4_request", self.day, self.region, self.service);
        let signed = self.signed_headers.join(";");
        let mut query = String::new();
        if let Some(expires) = self.expires {
            let mut parameters = vec![
                ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
                (
                    "X-Amz-Credential",
                    format!("{}/{scope}", self.credentials.access_key_id),
                ),
                ("X-Amz-Date", self.time.clone()),
                ("X-Amz-Expires", expires.to_string()),
                ("X-Amz-SignedHeaders", signed.clone()),
            ];
            let token = self.credentials.session_token.clone();
            parameters.extend(token.map(|token| ("X-Amz-Security-Token", token)));
            parameters.sort();
            let encoded: Vec<String> = parameters
                .iter()
                .map(|(name, value)| format!("{name}={}", encode(value)))
                .collect();
            query = encoded.join("&");
        } else {
            headers.push(("X-Amz-Date".to_owned(), self.time.clone()));
            if let Some(token) = &self.credentials.session_token {
                headers.push(("X-Amz-Security-Token".to_owned(), token.clone()));
            }
        }
        let mut canonical = format!("POST\n{}\n{query}\n", self.path);
        for name in &self.signed_headers {
            let values = headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
            let values: Vec<&str> = values.map(|(_, value)| value.trim()).collect();
            canonical += &format!("{name}:{}\n", values.join(","));
        }
        let payload = self.payload_hash.clone().unwrap_or_else(|| sha256(body));
        canonical += &format!("\n{signed}\n{payload}");
        let secret = &self.credentials.secret_access_key;
        let signature = sign_canonical(&canonical, secret, &self.time, &scope);
        let mut line = format!("POST {} HTTP/1.1", self.path);
        if self.expires.is_some() {
            line = format!(
                "POST {}?{query}&X-Amz-Signature={signature} HTTP/1.1",
                self.path
            );
        } else {
            let value = format!(
                "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, \
                 Signature={signature}",
                self.credentials.access_key_id
            );
            headers.push(("Authorization".to_owned(), value));
        }
        Request {
            line,
            headers,
            body: body.to_vec(),
        }
    }
}

/// Percent-encodes for a query.
fn encode(text: &str) -> String {
    let is_unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes()
        .map(|b| match is_unreserved(b) {
            true => char::from(b).to_string(),
            false => format!("%{b:02X}"),
        })
        .collect()
}
