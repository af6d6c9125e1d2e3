//! Every class of tampering with a signature that has to prove who calls, and its error.

use std::time::Duration;

use kinesis_gate::app;

use crate::re_sign::{ALL, HOUR, sigv4};
use crate::support::KEY_ID;
use crate::support::local_credentials::{ROLE, SigningParams, USER, issue_local};
use crate::support::raw::Request;
use crate::support::signature::sha256;

/// Each would pass were it not for what was changed.
#[test]
fn tampering_is_refused() {
    let parts = sigv4(ALL);
    let store = parts.folder.path().join("local.jsonl");
    let client = parts.issue(ROLE);
    let other = parts.issue(USER);
    let now = app::clock();
    let over = issue_local(&store, USER, now - 2 * HOUR, HOUR);
    let of_over = SigningParams::new(&over).request("ListStreams", "{}", &[]);
    for _ in 0..100 {
        if parts.send(&of_over).1 != "UnrecognizedClientException" {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let before = parts.recorder.requests().len();

    let body = r#"{"StreamName":"orders"}"#;
    let good = || SigningParams::new(&client);
    let sign = |signing: &SigningParams| signing.request("ListShards", body, &[]);
    let changed = |change: fn(Request) -> Request| change(sign(&good()));
    let with = |change: &dyn Fn(&mut SigningParams)| {
        let mut signing = good();
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
    let of_payload = |value: &str, payload: Option<&str>| {
        let mut signing = good();
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
    let cases: Vec<(&str, Request, (&str, &str))> = vec![
        (
            "another body",
            {
                let mut request = sign(&good());
                request.body = br#"{"StreamName":"other!"}"#.to_vec();
                request
            },
            mismatch,
        ),
        (
            "a longer body",
            {
                let mut request = sign(&good()).replace("Content-Length", "24");
                request.body.push(b' ');
                request
            },
            mismatch,
        ),
        (
            "another operation",
            changed(|r| r.replace("X-Amz-Target", "Kinesis_20131202.DeleteStream")),
            mismatch,
        ),
        (
            "another content type",
            changed(|r| r.replace("Content-Type", "application/x-amz-json-1.1;a=b")),
            mismatch,
        ),
        (
            "another host",
            changed(|r| r.replace("Host", "localhost")),
            mismatch,
        ),
        (
            "another time",
            sign(&good()).replace("X-Amz-Date", &{
                kinesis_gate::sigv4::amz_date(now - Duration::from_secs(60))
            }),
            mismatch,
        ),
        (
            "a header that was signed is gone",
            {
                let mut signing = good();
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
                let mut signing = good();
                signing.signed_headers.insert(3, "x-amz-meta");
                signing
                    .request("ListShards", body, &[("X-Amz-Meta", "1")])
                    .header("X-Amz-Meta", "2")
            },
            mismatch,
        ),
        ("another signature", flip(sign(&good())), mismatch),
        (
            "another secret",
            sign(&with(&|s| {
                s.credentials.secret_access_key = other.secret_access_key.clone()
            })),
            mismatch,
        ),
        (
            "another key, its own token",
            sign(&with(&|s| {
                s.credentials.access_key_id = other.access_key_id.clone();
                s.credentials.session_token = other.session_token.clone();
            })),
            mismatch,
        ),
        (
            "old",
            sign(&SigningParams::at(&client, now - minutes(6))),
            (invalid, "Signature expired: "),
        ),
        (
            "of the future",
            sign(&SigningParams::at(&client, now + minutes(6))),
            (invalid, "Signature not yet current: "),
        ),
        (
            "another day in the scope",
            sign(&with(&|s| s.day = "20200101".to_owned())),
            (invalid, "Date in Credential scope"),
        ),
        (
            "another region",
            sign(&with(&|s| s.region = "eu-west-1")),
            (invalid, "Credential should be scoped"),
        ),
        (
            "another service",
            sign(&with(&|s| s.service = "dynamodb")),
            (invalid, "Credential should be scoped"),
        ),
        (
            "a key that was never issued",
            swap(sign(&good()), &client.access_key_id, KEY_ID),
            unknown,
        ),
        (
            "no token",
            sign(&with(&|s| {
                s.credentials.session_token = None;
                s.signed_headers
                    .retain(|name| *name != "x-amz-security-token");
            })),
            unknown,
        ),
        (
            "another token",
            sign(&with(&|s| {
                s.credentials.session_token = Some("x".to_owned())
            })),
            unknown,
        ),
        (
            "another's token",
            sign(&with(&|s| {
                s.credentials.session_token = other.session_token.clone()
            })),
            unknown,
        ),
        (
            "over",
            sign(&SigningParams::new(&over)),
            ("ExpiredTokenException", "is expired"),
        ),
        (
            "the token is not signed",
            without("x-amz-security-token"),
            (invalid, "'x-amz-security-token' must be"),
        ),
        (
            "the host is not signed",
            without("host"),
            (invalid, "'Host' or ':authority' must be"),
        ),
        (
            "the time is not signed",
            without("x-amz-date"),
            (invalid, "'x-amz-date' must be"),
        ),
        (
            "the operation is not signed",
            without("x-amz-target"),
            (invalid, "'x-amz-target' must be"),
        ),
        (
            "the content type is not signed",
            without("content-type"),
            (invalid, "'content-type' must be"),
        ),
        (
            "the hash is there and not signed",
            sign(&good()).header("X-Amz-Content-Sha256", &empty_hash),
            (invalid, "'x-amz-content-sha256' must be"),
        ),
        (
            "the body is not signed",
            of_payload("UNSIGNED-PAYLOAD", Some("UNSIGNED-PAYLOAD")),
            (invalid, "'x-amz-content-sha256' is not"),
        ),
        (
            "the body is signed in pieces",
            of_payload(
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
                Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            ),
            (invalid, "'x-amz-content-sha256' is not"),
        ),
        (
            "the hash of another body",
            of_payload(&empty_hash, Some(&empty_hash)),
            (invalid, "'x-amz-content-sha256' is not"),
        ),
        (
            "headers in another order",
            sign(&with(&|s| s.signed_headers.reverse())),
            (invalid, "alphabetical order"),
        ),
        (
            "no time",
            changed(|r| r.without("X-Amz-Date")),
            ("IncompleteSignatureException", "X-Amz-Date"),
        ),
        (
            "another algorithm",
            swap(sign(&good()), "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512"),
            ("IncompleteSignatureException", "algorithm"),
        ),
        (
            "no signature",
            changed(|r| r.without("Authorization")),
            ("MissingAuthenticationTokenException", "Missing"),
        ),
        (
            "signed in both places",
            {
                let header = sign(&good());
                let mut request = presigned(60, Duration::ZERO);
                request.headers = header.headers;
                request
            },
            (invalid, "Found both"),
        ),
        (
            "presigned, over",
            presigned(60, minutes(2)),
            (invalid, "Signature expired: "),
        ),
        (
            "presigned, for a day",
            presigned(86_400, Duration::ZERO),
            (invalid, "X-Amz-Expires"),
        ),
        (
            "presigned, prolonged",
            swap(
                presigned(60, minutes(2)),
                "X-Amz-Expires=60",
                "X-Amz-Expires=600",
            ),
            mismatch,
        ),
        (
            "presigned, with more in the query",
            swap(
                presigned(60, Duration::ZERO),
                "/?",
                "/?Action=DeleteStream&",
            ),
            ("SerializationException", ""),
        ),
    ];
    assert!(cases.len() >= 20);
    for (name, request, (error, words)) in &cases {
        let (status, found, message) = parts.send(request);
        assert_eq!((status, found.as_str()), (400, *error), "{name}: {message}");
        assert!(message.contains(words), "{name}: {message}");
    }
    assert_eq!(parts.recorder.requests().len(), before, "none arrives");
    // The control: what they were made from passes.
    assert_eq!(parts.send(&sign(&good())).0, 200);
    assert_eq!(parts.send(&presigned(300, minutes(2))).0, 200);
    // Nothing secret is told.
    let log = format!(
        "{:?}{:?}",
        parts.gate.log(cases.len()),
        parts.gate.messages()
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
