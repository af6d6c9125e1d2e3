//! Local credentials, as a client has them, and signatures with them.

use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_lc_rs::{digest, hmac};
use kinesis_gate::credentials::{IssueRequest, issue};
use serde_json::Value;

use super::HOST;
use super::raw::Request;

/// What a client was given.
#[derive(Clone)]
pub struct Local {
    pub id: String,
    pub secret: String,
    pub token: Option<String>,
}

/// How a request is signed; a test may change any of it.
#[derive(Clone)]
pub struct Signing {
    pub local: Local,
    pub time: String,
    pub day: String,
    pub region: &'static str,
    pub service: &'static str,
    pub signed: Vec<&'static str>,
    /// Another path than `/` is one of Smithy RPC v2, which names the operation.
    pub path: &'static str,
    /// Instead of the body's hash.
    pub payload: Option<String>,
    /// Presigned, for so many seconds.
    pub expires: Option<u32>,
}

pub const ROLE: &str = "arn:aws:iam::123456789012:role/team/producer";
pub const USER: &str = "arn:aws:iam::123456789012:user/alice";

/// Issues credentials that end `ttl` after `now`.
pub fn local(store: &Path, principal: &str, now: SystemTime, ttl: Duration) -> Local {
    let order = IssueRequest {
        principal: principal.to_owned(),
        session: principal.contains(":role/").then(|| "i-1".to_owned()),
        regions: vec!["us-east-1".to_owned()],
        ttl,
    };
    let json: Value = serde_json::from_str(&issue(&order, store, now).unwrap().json()).unwrap();
    Local::of(&json)
}

impl Local {
    /// From what `credential_process` prints.
    pub fn of(json: &Value) -> Local {
        let of = |name: &str| json[name].as_str().unwrap().to_owned();
        Local {
            id: of("AccessKeyId"),
            secret: of("SecretAccessKey"),
            token: Some(of("SessionToken")),
        }
    }
}

impl Signing {
    /// As an SDK would sign now.
    pub fn new(local: &Local) -> Signing {
        Signing::at(local, kinesis_gate::app::clock())
    }

    /// As an SDK would sign at a time.
    pub fn at(local: &Local, time: SystemTime) -> Signing {
        let time = kinesis_gate::sigv4::amz_date(time);
        Signing {
            local: local.clone(),
            day: time[..8].to_owned(),
            time,
            region: "us-east-1",
            service: "kinesis",
            signed: vec![
                "content-type",
                "host",
                "x-amz-date",
                "x-amz-security-token",
                "x-amz-target",
            ],
            path: "/",
            payload: None,
            expires: None,
        }
    }

    /// The same, for an operation by Smithy RPC v2.
    pub fn rpc(local: &Local, path: &'static str) -> Signing {
        let mut signing = Signing::new(local);
        signing.signed.retain(|name| *name != "x-amz-target");
        signing.signed.insert(2, "smithy-protocol");
        signing.path = path;
        signing
    }

    /// A signed request; `more` headers may be named in `signed`.
    pub fn request(
        &self,
        operation: &str,
        body: impl AsRef<[u8]>,
        more: &[(&str, &str)],
    ) -> Request {
        let body = body.as_ref();
        let target = format!("Kinesis_20131202.{operation}");
        let (encoding, asked) = match self.path {
            "/" => ("application/x-amz-json-1.1", ("X-Amz-Target", &*target)),
            _ => ("application/cbor", ("Smithy-Protocol", "rpc-v2-cbor")),
        };
        let mut headers: Vec<(String, String)> = [
            ("Host", HOST),
            ("Content-Type", encoding),
            asked,
            ("Content-Length", &body.len().to_string()),
        ]
        .iter()
        .chain(more)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
        let scope = format!("{}/{}/{}/aws4_request", self.day, self.region, self.service);
        let signed = self.signed.join(";");
        let mut query = String::new();
        if let Some(expires) = self.expires {
            let mut parameters = vec![
                ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
                ("X-Amz-Credential", format!("{}/{scope}", self.local.id)),
                ("X-Amz-Date", self.time.clone()),
                ("X-Amz-Expires", expires.to_string()),
                ("X-Amz-SignedHeaders", signed.clone()),
            ];
            parameters.extend(
                self.local
                    .token
                    .clone()
                    .map(|t| ("X-Amz-Security-Token", t)),
            );
            parameters.sort();
            let encoded: Vec<String> = parameters
                .iter()
                .map(|(name, value)| format!("{name}={}", encode(value)))
                .collect();
            query = encoded.join("&");
        } else {
            headers.push(("X-Amz-Date".to_owned(), self.time.clone()));
            if let Some(token) = &self.local.token {
                headers.push(("X-Amz-Security-Token".to_owned(), token.clone()));
            }
        }
        let mut canonical = format!("POST\n{}\n{query}\n", self.path);
        for name in &self.signed {
            let values = headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
            let values: Vec<&str> = values.map(|(_, value)| value.trim()).collect();
            canonical += &format!("{name}:{}\n", values.join(","));
        }
        let payload = self.payload.clone().unwrap_or_else(|| sha256(body));
        canonical += &format!("\n{signed}\n{payload}");
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
            self.time,
            sha256(&canonical)
        );
        let first = format!("AWS4{}", self.local.secret).into_bytes();
        let key = scope.split('/').fold(first, |key, part| mac(&key, part));
        let signature = hex(&mac(&key, &to_sign));
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
                self.local.id
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

pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(digest::digest(&digest::SHA256, bytes.as_ref()).as_ref())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes()
        .map(|b| match plain(b) {
            true => char::from(b).to_string(),
            false => format!("%{b:02X}"),
        })
        .collect()
}
