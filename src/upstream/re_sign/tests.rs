use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_lc_rs::digest::{SHA256, digest};
use http::{Request, Version};

use super::{RequestBody, Signer};
use crate::credentials::SigningCredentials;
use crate::sigv4::{
    self, CredentialScope, LocalKey, LocalKeys, PrincipalArn, RequestHead, SigningKey, amz_date,
    hash_body,
};

const ID: &str = "ASIAY34FZKBOKMUTVV7A";
const TOKEN: &str = "FwoGZXIvYXdzE==";
const HOST: &str = "kinesis.us-east-1.amazonaws.com";
const BODY: &[u8] = br#"{"StreamName":"s"}"#;

fn signed(
    request: http::request::Builder,
    token: Option<&str>,
    now: SystemTime,
) -> Request<RequestBody> {
    let credentials = Credentials::new(ID, "secret", token.map(str::to_owned), None, "test");
    let credentials = SigningCredentials::new(credentials).unwrap();
    let mut request = request
        .header("content-type", "application/x-amz-json-1.1")
        .header("authorization", "client")
        .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
        .header("x-amz-security-token", "client")
        .header("cookie", "client")
        .body(RequestBody::new(Some("POST / HTTP/1.1\r\n\r\n".into())))
        .unwrap();
    let signer = Signer {
        credentials: &credentials,
        region: "us-east-1",
        host: HOST,
        body_hash: &hash_body([BODY].into_iter()),
        time: now,
    };
    signer.sign(&mut request).unwrap();
    assert!(!request.body().has_raw_head());
    for name in ["x-amz-content-sha256", "cookie"] {
        assert!(!request.headers().contains_key(name), "{name}");
    }
    request
}

/// The gate's verifier accepts a signature of AWS's crate, and returns the signed headers.
fn verify(request: &Request<RequestBody>, now: SystemTime) -> String {
    let date = amz_date(now);
    let scope = CredentialScope {
        date: date.get(..8).unwrap(),
        region: "us-east-1",
        service: "kinesis",
    };
    let region_key = (scope.date.into(), scope.region.into());
    let signing_key = SigningKey::new(&SigningKey::derive("secret", scope));
    let mut keys = LocalKeys::new();
    let key = LocalKey {
        principal: PrincipalArn::parse("arn:aws:iam::123456789012:user/alice", None).unwrap(),
        issued_at: 0,
        token_hash: digest(&SHA256, TOKEN.as_bytes())
            .as_ref()
            .try_into()
            .unwrap(),
        expires_at: i64::MAX,
        signing_keys: HashMap::from([(region_key, signing_key)]),
    };
    keys.insert(ID.into(), key);
    let authorization = request.headers()["authorization"].to_str().unwrap();
    let signature = sigv4::parse(Some(authorization), request.uri().query()).unwrap();
    assert_eq!(signature.credential.scope, scope);
    let head = RequestHead {
        method: "POST",
        path: request.uri().path(),
        query: request.uri().query(),
        headers: request.headers(),
        authority: request
            .uri()
            .authority()
            .map(|authority| authority.as_str()),
    };
    let pending = keys.verify_head(signature, head, now).unwrap();
    assert!(
        pending
            .verify(&hash_body([b"x".as_slice()].into_iter()))
            .is_err()
    );
    pending.verify(&hash_body([BODY].into_iter())).unwrap();
    signature.signed_headers.to_owned()
}

#[test]
fn signs_what_the_verifier_verifies() {
    let now = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    let builder = Request::post("https://localhost:4443/?X-Amz-Signature=0")
        .version(Version::HTTP_2)
        .header("x-amz-target", "Kinesis_20131202.ListShards");
    let request = signed(builder, Some(TOKEN), now);
    assert_eq!(
        verify(&request, now),
        "content-type;host;x-amz-date;x-amz-security-token;x-amz-target"
    );
    assert_eq!(request.uri(), &*format!("https://{HOST}/"));
    let headers = request.headers();
    assert_eq!(headers["x-amz-security-token"], TOKEN);
    assert_eq!(headers["x-amz-date"], "20260921T141320Z");
    for (name, sensitive) in [
        ("authorization", true),
        ("x-amz-security-token", true),
        ("x-amz-date", false),
    ] {
        assert_eq!(headers[name].is_sensitive(), sensitive, "{name}");
    }
}

/// Under Smithy RPC v2 the path stays; over HTTP/1.1 `Host` is the endpoint's.
#[test]
fn signs_the_path_of_rpc_v2() {
    let now = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    let path = "/service/Kinesis_20131202/operation/ListShards";
    let builder = Request::post(path)
        .header("host", "localhost:4443")
        .header("smithy-protocol", "rpc-v2-cbor");
    let request = signed(builder, Some(TOKEN), now);
    assert_eq!(
        verify(&request, now),
        "content-type;host;smithy-protocol;x-amz-date;x-amz-security-token"
    );
    assert_eq!(
        (request.uri().path(), &request.headers()["host"]),
        (path, &HOST.parse().unwrap())
    );
}

#[test]
fn signs_with_long_term_credentials() {
    let now = UNIX_EPOCH + Duration::from_secs(1_440_938_160);
    let builder = Request::post("/").header("x-amz-target", "Kinesis_20131202.ListShards");
    let request = signed(builder, None, now);
    assert!(!request.headers().contains_key("x-amz-security-token"));
    let authorization = request.headers()["authorization"].to_str().unwrap();
    assert!(
        authorization.starts_with(
            "AWS4-HMAC-SHA256 Credential=ASIAY34FZKBOKMUTVV7A/20150830/us-east-1/kinesis/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature="
        ),
        "{authorization}"
    );
}
