//! SigV4 verification: every class of tampering with a signature, and its error.

use std::time::Duration;

use kinesis_gate::app;

use crate::published_policies::FULL_ACCESS;
use crate::re_sign::{HOUR, sigv4_fixture};
use crate::support::KEY_ID;
use crate::support::local_credentials::{ROLE, SigningParams, USER, issue_local};
use crate::support::raw::Request;
use crate::support::signature::sha256;

/// Each request would pass without the tampering.
#[test]
fn a_tampered_signature_is_refused() {
    let fixture = sigv4_fixture(FULL_ACCESS);
    let store = fixture.folder.path().join("local.jsonl");
    let client = fixture.issue(ROLE);
    let other = fixture.issue(USER);
    let now = app::clock();
    let expired = issue_local(&store, USER, now - 2 * HOUR, HOUR);
    let expired_request = SigningParams::new(&expired).request("ListStreams", "{}", &[]);
    for _ in 0..100 {
        if fixture.send(&expired_request).1 != "UnrecognizedClientException" {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let before = fixture.recorder.requests().len();

    let body = r#"{"StreamName":"orders"}"#;
    let valid = || SigningParams::new(&client);
    let sign = |signing: &SigningParams| signing.request("ListShards", body, &[]);
    let changed = |change: fn(Request) -> Request| change(sign(&valid()));
    let with = |change: &dyn Fn(&mut SigningParams)| {
        let mut signing = valid();
        change(&mut signing);
        signing
    };
    let presigned = |expires: u32, age: Duration| {
        let mut signing = SigningParams::at(&client, now - age);
        signing.signed_headers = vec!["content-type", "host", "x-amz-target"];
        signing.expires = Some(expires);
        sign(&signing)
    };
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let swap = |request: Request, from: &str, to: &str| {
        let mut request = request;
        request.line = request.line.replace(from, to);
        for (_, value) in &mut request.headers {
            *value = value.replace(from, to);
        }
        request
    };
    let flip = |request: Request| {
        let at = "Signature=";
        let mut request = request;
        for (_, value) in &mut request.headers {
            if let Some((head, signature)) = value.split_once(at) {
                let first = if signature.starts_with('0') { "1" } else { "0" };
                *value = format!("{head}{at}{first}{}", &signature[1..]);
            }
        }
        request
    };
    let empty_hash = sha256("");
    let with_payload_hash = |value: &str, payload: Option<&str>| {
        let mut signing = valid();
        signing.signed_headers.insert(2, "x-amz-content-sha256");
        signing.payload_hash = payload.map(str::to_owned);
        signing.request("ListShards", body, &[("X-Amz-Content-Sha256", value)])
    };
    let without = |name: &'static str| {
        sign(&with(&|signing| {
            signing.signed_headers.retain(|known| *known != name)
        }))
    };

    let mismatch = ("InvalidSignatureException", "we calculated does not match");
    let invalid = "InvalidSignatureException";
    let unknown = (
        "UnrecognizedClientException",
        "token included in the request is invalid",
    );
    #[rustfmt::skip]
    let cases: Vec<(&str, Request, (&str, &str))> = vec![
        ("another body", { let mut request = sign(&valid()); request.body = br#"{"StreamName":"other!"}"#.to_vec(); request }, mismatch),
        ("a longer body", { let mut request = sign(&valid()).replace("Content-Length", "24"); request.body.push(b' '); request }, mismatch),
        ("another operation", changed(|r| r.replace("X-Amz-Target", "Kinesis_20131202.DeleteStream")), mismatch),
        ("another content type", changed(|r| r.replace("Content-Type", "application/x-amz-json-1.1;a=b")), mismatch),
        ("another host", changed(|r| r.replace("Host", "localhost")), mismatch),
        ("another time", sign(&valid()).replace("X-Amz-Date", &{ kinesis_gate::sigv4::amz_date(now - Duration::from_secs(60)) }), mismatch),
        (
            "a header that was signed is gone",
            {
                let mut signing = valid();
                signing.signed_headers.insert(3, "x-amz-meta");
                signing
                    .request("ListShards", body, &[("X-Amz-Meta", "1")])
                    .without("X-Amz-Meta")
            },
            mismatch,
        ),
        (
            "a header that was signed is there twice",
            {
                let mut signing = valid();
                signing.signed_headers.insert(3, "x-amz-meta");
                signing
                    .request("ListShards", body, &[("X-Amz-Meta", "1")])
                    .header("X-Amz-Meta", "2")
            },
            mismatch,
        ),
        ("another signature", flip(sign(&valid())), mismatch),
        ("another secret", sign(&with(&|s| { s.credentials.secret_access_key = other.secret_access_key.clone() })), mismatch),
        (
            "another key, its own token",
            sign(&with(&|s| {
                s.credentials.access_key_id = other.access_key_id.clone();
                s.credentials.session_token = other.session_token.clone();
            })),
            mismatch,
        ),
        ("old", sign(&SigningParams::at(&client, now - minutes(6))), (invalid, "Signature expired: ")),
        ("of the future", sign(&SigningParams::at(&client, now + minutes(6))), (invalid, "Signature not yet current: ")),
        ("another day in the scope", sign(&with(&|s| s.day = "20200101".to_owned())), (invalid, "Date in Credential scope")),
        ("another region", sign(&with(&|s| s.region = "eu-west-1")), (invalid, "Credential should be scoped")),
        ("another service", sign(&with(&|s| s.service = "dynamodb")), (invalid, "Credential should be scoped")),
        ("a key that was never issued", swap(sign(&valid()), &client.access_key_id, KEY_ID), unknown),
        ("no token", sign(&with(&|s| { s.credentials.session_token = None; s.signed_headers.retain(|name| *name != "x-amz-security-token"); })), unknown),
        ("another token", sign(&with(&|s| { s.credentials.session_token = Some("x".to_owned()) })), unknown),
        ("another's token", sign(&with(&|s| { s.credentials.session_token = other.session_token.clone() })), unknown),
        ("over", sign(&SigningParams::new(&expired)), ("ExpiredTokenException", "is expired")),
        ("the token is not signed", without("x-amz-security-token"), (invalid, "'x-amz-security-token' must be")),
        ("the host is not signed", without("host"), (invalid, "'Host' or ':authority' must be")),
        ("the time is not signed", without("x-amz-date"), (invalid, "'x-amz-date' must be")),
        ("the operation is not signed", without("x-amz-target"), (invalid, "'x-amz-target' must be")),
        ("the content type is not signed", without("content-type"), (invalid, "'content-type' must be")),
        ("the hash is there and not signed", sign(&valid()).header("X-Amz-Content-Sha256", &empty_hash), (invalid, "'x-amz-content-sha256' must be")),
        ("the body is not signed", with_payload_hash("UNSIGNED-PAYLOAD", Some("UNSIGNED-PAYLOAD")), (invalid, "'x-amz-content-sha256' is not")),
        (
            "the body is signed in pieces",
            with_payload_hash(
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
                Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            ),
            (invalid, "'x-amz-content-sha256' is not"),
        ),
        ("the hash of another body", with_payload_hash(&empty_hash, Some(&empty_hash)), (invalid, "'x-amz-content-sha256' is not")),
        ("headers in another order", sign(&with(&|s| s.signed_headers.reverse())), (invalid, "alphabetical order")),
        ("no time", changed(|r| r.without("X-Amz-Date")), ("IncompleteSignatureException", "X-Amz-Date")),
        ("another algorithm", swap(sign(&valid()), "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512"), ("IncompleteSignatureException", "algorithm")),
        ("no signature", changed(|r| r.without("Authorization")), ("MissingAuthenticationTokenException", "Missing")),
        (
            "signed in both places",
            {
                let header = sign(&valid());
                let mut request = presigned(60, Duration::ZERO);
                request.headers = header.headers;
                request
            },
            (invalid, "Found both"),
        ),
        ("presigned, over", presigned(60, minutes(2)), (invalid, "Signature expired: ")),
        ("presigned, for a day", presigned(86_400, Duration::ZERO), (invalid, "X-Amz-Expires")),
        ("presigned, prolonged", swap(presigned(60, minutes(2)), "X-Amz-Expires=60", "X-Amz-Expires=600"), mismatch),
        ("presigned, with more in the query", swap(presigned(60, Duration::ZERO), "/?", "/?Action=DeleteStream&"), ("SerializationException", "")),
    ];
    assert!(cases.len() >= 20);
    for (name, request, (error, expected)) in &cases {
        let (status, error_type, message) = fixture.send(request);
        assert_eq!(
            (status, error_type.as_str()),
            (400, *error),
            "{name}: {message}"
        );
        assert!(message.contains(expected), "{name}: {message}");
    }
    assert_eq!(fixture.recorder.requests().len(), before, "none arrives");
    // The control: the untampered requests pass.
    assert_eq!(fixture.send(&sign(&valid())).0, 200);
    assert_eq!(fixture.send(&presigned(300, minutes(2))).0, 200);
    // No secret is logged or stored.
    let log = format!(
        "{:?}{:?}",
        fixture.gate.log(cases.len()),
        fixture.gate.messages()
    );
    for secret in [
        &client.secret_access_key,
        client.session_token.as_ref().unwrap(),
    ] {
        assert!(!log.contains(secret.as_str()));
    }
    let store = std::fs::read_to_string(store).unwrap();
    assert!(
        !store.contains(&client.secret_access_key)
            && !store.contains(client.session_token.as_ref().unwrap())
    );
}
