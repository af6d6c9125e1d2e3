//! Verifying a client's signature, signing anew, and both, for a request of 1 KiB; beside them AWS's
//! own signer, which derives its key each time.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use divan::Bencher;
use http::{HeaderMap, HeaderName, HeaderValue};
use kinesis_gate::credentials::{Order, issue, read};
use kinesis_gate::sigv4::{
    self, Head, LocalKeys, Scope, SigningKey, StringToSign, hash_body, signing_time,
};

#[global_allocator]
static ALLOC: divan::AllocProfiler = divan::AllocProfiler::system();

const SIGNED: &str = "amz-sdk-invocation-id;amz-sdk-request;content-length;content-type;host;\
                      x-amz-date;x-amz-security-token;x-amz-target";
const HOST: &str = "kinesis.us-east-1.amazonaws.com";

fn main() {
    divan::main();
}

/// A signed request of 1 KiB and the keys that it was signed with.
struct Signed {
    keys: LocalKeys,
    headers: HeaderMap,
    authorization: String,
    body: Vec<u8>,
    now: SystemTime,
    signing: SigningKey,
}

impl Signed {
    fn new() -> Signed {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("local.jsonl");
        let order = Order {
            principal: "arn:aws:iam::123456789012:user/alice".to_owned(),
            session: None,
            regions: vec!["us-east-1".to_owned()],
            ttl: Duration::from_secs(3600),
        };
        let issued = issue(&order, &store, now).unwrap().json();
        let issued: serde_json::Value = serde_json::from_str(&issued).unwrap();
        let of = |name: &str| issued.get(name).and_then(|value| value.as_str()).unwrap();
        let time = signing_time(now);
        let scope = scope(&time);
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", HOST),
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", "Kinesis_20131202.PutRecord"),
            ("x-amz-date", &time),
            ("x-amz-security-token", of("SessionToken")),
            ("content-length", "1024"),
            (
                "amz-sdk-invocation-id",
                "2a7b8c9d-0000-4000-8000-000000000000",
            ),
            ("amz-sdk-request", "attempt=1; max=3"),
            ("user-agent", "aws-sdk-rust/1.3.9 os/linux lang/rust/1.95.0"),
        ] {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let body = vec![b'x'; 1024];
        let signing = SigningKey::new(&SigningKey::derive(of("SecretAccessKey"), scope));
        let hash = hash_body([&*body].into_iter());
        let to_sign = StringToSign::of(head(&headers), SIGNED, &hash, &time, scope).unwrap();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}/us-east-1/kinesis/aws4_request, \
             SignedHeaders={SIGNED}, Signature={}",
            of("AccessKeyId"),
            scope.date,
            signing.sign(&to_sign)
        );
        Signed {
            keys: read(&store).unwrap(),
            headers,
            authorization,
            body,
            now,
            signing,
        }
    }

    fn verify(&self, hash: &[u8; 32]) {
        let caller = sigv4::read(Some(&self.authorization), None).unwrap();
        let head = head(&self.headers);
        let pending = self.keys.check(caller, head, self.now).unwrap();
        pending.verify(hash).unwrap();
    }

    fn sign(&self, hash: &[u8; 32]) -> String {
        let time = signing_time(self.now);
        let signed = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target";
        let to_sign = StringToSign::of(head(&self.headers), signed, hash, &time, scope(&time));
        self.signing.sign(&to_sign.unwrap())
    }

    fn hash(&self) -> [u8; 32] {
        hash_body([&*self.body].into_iter())
    }
}

fn head(headers: &HeaderMap) -> Head<'_> {
    Head {
        method: "POST",
        path: "/",
        query: None,
        headers,
        authority: None,
    }
}

fn scope(time: &str) -> Scope<'_> {
    Scope {
        date: time.get(..8).unwrap(),
        region: "us-east-1",
        service: "kinesis",
    }
}

#[divan::bench]
fn hash_1_kib(bencher: Bencher<'_, '_>) {
    let signed = Signed::new();
    bencher.bench(|| signed.hash());
}

#[divan::bench]
fn verify(bencher: Bencher<'_, '_>) {
    let signed = Signed::new();
    bencher.bench(|| signed.verify(&signed.hash()));
}

#[divan::bench]
fn sign_anew(bencher: Bencher<'_, '_>) {
    let signed = Signed::new();
    bencher.bench(|| signed.sign(&signed.hash()));
}

/// What a request that is signed anew costs: one hash serves both.
#[divan::bench]
fn verify_and_sign_anew(bencher: Bencher<'_, '_>) {
    let signed = Signed::new();
    bencher.bench(|| {
        let hash = signed.hash();
        signed.verify(&hash);
        signed.sign(&hash)
    });
}

#[divan::bench]
fn sign_with_aws_sigv4(bencher: Bencher<'_, '_>) {
    let signed = Signed::new();
    let identity = Credentials::new("ASIAY34FZKBOKMUTVV7A", "secret", None, None, "bench").into();
    let headers: Vec<(&str, &str)> = ["content-type", "x-amz-target", "host"]
        .into_iter()
        .filter_map(|name| Some((name, signed.headers.get(name)?.to_str().ok()?)))
        .collect();
    bencher.bench(|| {
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("kinesis")
            .time(signed.now)
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let request = SignableRequest::new(
            "POST",
            "https://kinesis.us-east-1.amazonaws.com/",
            headers.iter().copied(),
            SignableBody::Bytes(&signed.body),
        );
        black_box(sign(request.unwrap(), &params).unwrap())
    });
}
