//! The time to verify a client's signature, to re-sign with `aws-sigv4`, and to do both, for a request of
//! 1 KiB.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use divan::Bencher;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use kinesis_gate::credentials::{IssueRequest, SigningCredentials, issue, read_keys};
use kinesis_gate::sigv4::{self, BodyHash, LocalKeys, RequestHead, amz_date, hash_body};
use kinesis_gate::upstream::{RequestBody, Signer};

#[global_allocator]
static ALLOC: divan::AllocProfiler = divan::AllocProfiler::system();

const HOST: &str = "kinesis.us-east-1.amazonaws.com";

fn main() {
    divan::main();
}

/// A signed request of 1 KiB, and the keys that verify its signature.
struct SignedRequest {
    keys: LocalKeys,
    headers: HeaderMap,
    authorization: String,
    body: Vec<u8>,
    now: SystemTime,
    credentials: SigningCredentials,
}

impl SignedRequest {
    fn new() -> SignedRequest {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("local.jsonl");
        let request = IssueRequest {
            principal: "arn:aws:iam::123456789012:user/alice".to_owned(),
            session: None,
            regions: vec!["us-east-1".to_owned()],
            ttl: Duration::from_secs(3600),
        };
        let issued = issue(&request, &store, now).unwrap().json();
        let issued: serde_json::Value = serde_json::from_str(&issued).unwrap();
        let member = |name: &str| issued.get(name).and_then(|value| value.as_str()).unwrap();
        let token = member("SessionToken");
        let credentials = Credentials::new(
            member("AccessKeyId"),
            member("SecretAccessKey"),
            Some(token.to_owned()),
            None,
            "bench",
        );
        let body = vec![b'x'; 1024];
        let mut headers = vec![
            ("host", HOST),
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", "Kinesis_20131202.PutRecord"),
            ("content-length", "1024"),
            (
                "amz-sdk-invocation-id",
                "2a7b8c9d-0000-4000-8000-000000000000",
            ),
            ("amz-sdk-request", "attempt=1; max=3"),
        ];
        let identity = credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("kinesis")
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let request = SignableRequest::new(
            "POST",
            "/",
            headers.iter().copied(),
            SignableBody::Bytes(&body),
        );
        let (instructions, _) = sign(request.unwrap(), &params).unwrap().into_parts();
        let (signature, _) = instructions.into_parts();
        let signature = signature.iter().find(|it| it.name() == "authorization");
        let time = amz_date(now);
        headers.extend([
            ("x-amz-date", &*time),
            ("x-amz-security-token", token),
            ("user-agent", "aws-sdk-rust/1.3.9 os/linux lang/rust/1.95.0"),
        ]);
        let headers = headers.into_iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        SignedRequest {
            keys: read_keys(&store).unwrap(),
            headers: headers.collect(),
            authorization: signature.unwrap().value().to_owned(),
            body,
            now,
            credentials: SigningCredentials::new(credentials).unwrap(),
        }
    }

    fn verify(&self, hash: &BodyHash) {
        let signature = sigv4::parse(Some(&self.authorization), None).unwrap();
        let head = RequestHead {
            method: "POST",
            path: "/",
            query: None,
            headers: &self.headers,
            authority: None,
        };
        let pending = self.keys.verify_head(signature, head, self.now).unwrap();
        pending.verify(hash).unwrap();
    }

    fn request(&self) -> Request<RequestBody> {
        let mut request = Request::post("/").body(RequestBody::new(None)).unwrap();
        *request.headers_mut() = self.headers.clone();
        request
    }

    fn re_sign(&self, hash: &BodyHash, mut request: Request<RequestBody>) -> Request<RequestBody> {
        let signer = Signer {
            credentials: &self.credentials,
            region: "us-east-1",
            host: HOST,
            body_hash: hash,
            time: self.now,
        };
        signer.sign(&mut request).unwrap();
        request
    }

    fn hash(&self) -> BodyHash {
        hash_body([&*self.body].into_iter())
    }
}

#[divan::bench]
fn hash_1_kib(bencher: Bencher<'_, '_>) {
    let signed = SignedRequest::new();
    bencher.bench(|| signed.hash());
}

#[divan::bench]
fn verify(bencher: Bencher<'_, '_>) {
    let signed = SignedRequest::new();
    bencher.bench(|| signed.verify(&signed.hash()));
}

#[divan::bench]
fn re_sign(bencher: Bencher<'_, '_>) {
    let signed = SignedRequest::new();
    bencher
        .with_inputs(|| signed.request())
        .bench_values(|request| signed.re_sign(&signed.hash(), request));
}

/// The work for a re-signed request: both steps use one hash of the body.
#[divan::bench]
fn verify_and_re_sign(bencher: Bencher<'_, '_>) {
    let signed = SignedRequest::new();
    bencher
        .with_inputs(|| signed.request())
        .bench_values(|request| {
            let hash = signed.hash();
            signed.verify(&hash);
            signed.re_sign(&hash, request)
        });
}
