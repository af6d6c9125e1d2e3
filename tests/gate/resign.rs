//! The gate authenticates its clients and signs anew: a signature is proven in full, nothing that
//! the client authenticated with goes on, and what arrives is signed with the gate's credentials.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kinesis_gate::app;
use kinesis_gate::sandbox::Authority;
use tempfile::TempDir;

use crate::support::local::{Local, ROLE, Signing, USER, local, sha256};
use crate::support::process::Process;
use crate::support::raw::Request;
use crate::support::{Behaviour, HOST, KEY_ID, Recorder, SECRET, http2, signature};

const HOUR: Duration = Duration::from_secs(3600);
const ALL: &str = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}"#;
const OWN: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", KEY_ID),
    ("AWS_SECRET_ACCESS_KEY", SECRET),
    ("AWS_SESSION_TOKEN", "gate/token=="),
];

/// A gate that signs anew in front of a recorder.
struct Parts {
    folder: TempDir,
    authority: Arc<Authority>,
    recorder: Recorder,
    gate: Process,
}

/// Writes a configuration for one endpoint; `endpoint` and `rest` are TOML.
fn configure(folder: &Path, recorder: &Recorder, endpoint: &str, rest: &str) -> PathBuf {
    let file = folder.join("gate.toml");
    let text = format!(
        "workers = 1\n[upstream]\nconnect = \"{}\"\nserver-name = \"localhost\"\nca-file = \"ca.pem\"\n\
         [[endpoint]]\nid = \"vpce-33cc44dd\"\nregion = \"us-east-1\"\npolicy = \"policy.json\"\n\
         {endpoint}\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\nendpoint = \"vpce-33cc44dd\"\n\
         tls = {{ ca-certificate = \"ca.pem\", ca-key = \"ca-key.pem\" }}\n{rest}\n",
        recorder.address()
    );
    std::fs::write(&file, text).unwrap();
    file
}

fn parts(endpoint: &str, rest: &str, policy: &str) -> Parts {
    let folder = tempfile::tempdir().unwrap();
    let authority = Arc::new(Authority::create().unwrap());
    authority.write(folder.path()).unwrap();
    let recorder = Recorder::start(&authority, Behaviour::Answer);
    std::fs::write(folder.path().join("policy.json"), policy).unwrap();
    std::fs::write(folder.path().join("all.json"), r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kinesis:*","Resource":"*"}}"#).unwrap();
    let file = configure(folder.path(), &recorder, endpoint, rest);
    let gate = Process::start(&file, &OWN);
    Parts {
        folder,
        authority,
        recorder,
        gate,
    }
}

/// One that authenticates by signature, with identity policies that allow everybody everything.
fn sigv4(policy: &str) -> Parts {
    parts(
        "[endpoint.re-sign]\nauthenticate = \"sigv4\"\nlocal-credentials = \"local.jsonl\"",
        "[[identity-policy]]\nfile = \"all.json\"\nprincipals = [\"*\"]",
        policy,
    )
}

impl Parts {
    /// Credentials that the running gate has read.
    fn issue(&self, principal: &str) -> Local {
        let store = self.folder.path().join("local.jsonl");
        let issued = local(&store, principal, app::clock(), HOUR);
        let request = Signing::new(&issued).request("ListStreams", "{}", &[]);
        for _ in 0..100 {
            let answer = request.send(&self.authority, self.gate.address());
            if answer.status == 200 {
                return issued;
            }
            assert_eq!(answer.error(), "UnrecognizedClientException");
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the gate does not read what was issued");
    }

    fn send(&self, request: &Request) -> (u16, String, String) {
        let answer = request.send(&self.authority, self.gate.address());
        if answer.status == 200 {
            return (200, String::new(), String::new());
        }
        (answer.status, answer.error(), answer.message())
    }
}

#[test]
fn what_arrives_is_signed_by_the_gate_and_nobody_else() {
    let parts = sigv4(ALL);
    let client = parts.issue(ROLE);
    let before = parts.recorder.requests().len();
    let body = r#"{"StreamName":"orders","Data":"aGVsbG8=","PartitionKey":"1"}"#;
    let mut signing = Signing::new(&client);
    signing.signed.insert(2, "x-amz-content-sha256");
    let hash = sha256(body);
    let more = [
        ("X-Amz-Content-Sha256", hash.as_str()),
        ("User-Agent", "aws-sdk/1.0"),
        ("Cookie", "session=1"),
        ("Proxy-Authorization", "Basic eA=="),
    ];
    let headers = signing.request("PutRecord", body, &more);
    let mut presigned = Signing::new(&client);
    presigned.signed = vec!["content-type", "host", "x-amz-target"];
    presigned.expires = Some(60);
    let query = presigned.request("PutRecord", body, &[]);
    for request in [headers, query] {
        assert_eq!(parts.send(&request), (200, String::new(), String::new()));
    }
    let arrived = parts.recorder.requests();
    assert_eq!(arrived.len(), before + 2);
    for arrived in &arrived[before..] {
        assert!(signature::verifies(&arrived.headers, &arrived.body));
        assert_eq!(arrived.body, body.as_bytes());
        let text = String::from_utf8(arrived.head.clone()).unwrap();
        assert!(text.starts_with("POST / HTTP/1.1\r\n"), "{text}");
        let token = client.token.as_ref().unwrap();
        let lower = text.to_lowercase();
        for gone in [
            token.as_str(),
            &client.id,
            "Basic",
            "session=1",
            "content-sha256",
            "x-amz-signature",
        ] {
            assert!(!lower.contains(&gone.to_lowercase()), "{gone}: {text}");
        }
        let of = |name: &str| {
            let named = arrived.headers.iter();
            let mut named = named.filter(|(known, _)| known.eq_ignore_ascii_case(name));
            let found = named.next().unwrap().1.clone();
            assert!(named.next().is_none(), "{name}");
            found
        };
        assert_eq!(of("host"), HOST);
        assert_eq!(of("x-amz-security-token"), "gate/token==");
        assert!(of("authorization").contains(KEY_ID));
        assert!(of("authorization").contains("x-amz-security-token"));
    }
    // The principal is the client, and a stream's name means one in the gate's account.
    let record = loop {
        let mut log = parts.gate.log(before + 2).into_iter();
        if let Some(record) = log.find(|record| record["action"] == "kinesis:PutRecord") {
            break record;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(
        record["principal"]["arn"], "arn:aws:sts::123456789012:assumed-role/producer/i-1",
        "{record}"
    );
    assert_eq!(
        record["resource"],
        "arn:aws:kinesis:us-east-1:123456789012:stream/orders"
    );
}

/// Every class of tampering with its error; each would pass were it not for what was changed.
#[test]
fn tampering_is_refused() {
    let parts = sigv4(ALL);
    let store = parts.folder.path().join("local.jsonl");
    let client = parts.issue(ROLE);
    let other = parts.issue(USER);
    let now = app::clock();
    let over = local(&store, USER, now - 2 * HOUR, HOUR);
    let of_over = Signing::new(&over).request("ListStreams", "{}", &[]);
    for _ in 0..100 {
        if parts.send(&of_over).1 != "UnrecognizedClientException" {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let before = parts.recorder.requests().len();

    let body = r#"{"StreamName":"orders"}"#;
    let good = || Signing::new(&client);
    let sign = |signing: &Signing| signing.request("ListShards", body, &[]);
    let changed = |change: fn(Request) -> Request| change(sign(&good()));
    let with = |change: &dyn Fn(&mut Signing)| {
        let mut signing = good();
        change(&mut signing);
        signing
    };
    let presigned = |expires: u32, age: Duration| {
        let mut signing = Signing::at(&client, now - age);
        signing.signed = vec!["content-type", "host", "x-amz-target"];
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
        signing.signed.insert(2, "x-amz-content-sha256");
        signing.payload = payload.map(str::to_owned);
        signing.request("ListShards", body, &[("X-Amz-Content-Sha256", value)])
    };
    let without = |name: &'static str| {
        sign(&with(&|signing| {
            signing.signed.retain(|known| *known != name)
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
                kinesis_gate::caller::signing_time(now - Duration::from_secs(60))
            }),
            mismatch,
        ),
        (
            "a header that was signed is gone",
            {
                let mut signing = good();
                signing.signed.insert(3, "x-amz-meta");
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
                signing.signed.insert(3, "x-amz-meta");
                signing
                    .request("ListShards", body, &[("X-Amz-Meta", "1")])
                    .header("X-Amz-Meta", "2")
            },
            mismatch,
        ),
        ("another signature", flip(sign(&good())), mismatch),
        (
            "another secret",
            sign(&with(&|s| s.local.secret = other.secret.clone())),
            mismatch,
        ),
        (
            "another key, its own token",
            sign(&with(&|s| {
                s.local.id = other.id.clone();
                s.local.token = other.token.clone();
            })),
            mismatch,
        ),
        (
            "old",
            sign(&Signing::at(&client, now - minutes(6))),
            (invalid, "Signature expired: "),
        ),
        (
            "of the future",
            sign(&Signing::at(&client, now + minutes(6))),
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
            swap(sign(&good()), &client.id, KEY_ID),
            unknown,
        ),
        (
            "no token",
            sign(&with(&|s| {
                s.local.token = None;
                s.signed.retain(|name| *name != "x-amz-security-token");
            })),
            unknown,
        ),
        (
            "another token",
            sign(&with(&|s| s.local.token = Some("x".to_owned()))),
            unknown,
        ),
        (
            "another's token",
            sign(&with(&|s| s.local.token = other.token.clone())),
            unknown,
        ),
        (
            "over",
            sign(&Signing::new(&over)),
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
            sign(&with(&|s| s.signed.reverse())),
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
            (invalid, "query-string"),
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
    let log = format!("{:?}{:?}", parts.gate.log(cases.len()), parts.gate.told());
    for secret in [&client.secret, client.token.as_ref().unwrap()] {
        assert!(!log.contains(secret.as_str()));
    }
    let store = std::fs::read_to_string(store).unwrap();
    assert!(!store.contains(&client.secret) && !store.contains(client.token.as_ref().unwrap()));
}

#[test]
fn http2_clients_sign_authority_or_host() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Arc::new(Authority::create().unwrap());
    authority.write(folder.path()).unwrap();
    let recorder = Recorder::start_http2(&authority);
    std::fs::write(folder.path().join("policy.json"), ALL).unwrap();
    let endpoint = "principal = \"arn:aws:iam::123456789012:user/alice\"\n[endpoint.re-sign]\nauthenticate = \"loopback\"";
    std::fs::write(
        folder.path().join("all.json"),
        r#"{"Statement":{"Effect":"Allow","Action":"kinesis:*","Resource":"*"}}"#,
    )
    .unwrap();
    let rest = "[[identity-policy]]\nfile = \"all.json\"\nprincipals = [\"*\"]";
    let file = configure(folder.path(), &recorder, endpoint, rest);
    let gate = Process::start(&file, &OWN);
    for name in [":authority", "host"] {
        let headers = http2::signed_headers("ListStreams", "{}", name);
        let request = http2::request(&headers, "{}");
        let status = http2::send(&authority, gate.address(), http2::H2, request);
        assert_eq!(status, 200, "{name}");
        let arrived = recorder.requests().pop().unwrap();
        assert!(signature::verifies(&arrived.headers, &arrived.body));
    }
    assert_eq!(gate.log(2)[1]["principal"]["arn"], USER);
}

/// In this mode IAM sees the gate: the endpoint's policy and the principal's must both allow.
#[test]
fn identity_policies_must_allow() {
    let endpoint =
        format!("principal = \"{USER}\"\n[endpoint.re-sign]\nauthenticate = \"loopback\"");
    let one = r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/alice"},"Action":"kinesis:List*","Resource":"*"}}"#;
    let nobody = parts(&endpoint, "", one);
    let request = Request::new("ListStreams", "{}");
    let (status, error, message) = nobody.send(&request);
    assert_eq!((status, error.as_str()), (400, "AccessDeniedException"));
    let words = format!(
        "User: {USER} is not authorized to perform: kinesis:ListStreams on resource: * because no \
         identity-based policy allows the kinesis:ListStreams action"
    );
    assert_eq!(message, words);
    let alice = "[[identity-policy]]\nfile = \"all.json\"\nprincipals = [\"arn:aws:iam::123456789012:user/a*\"]";
    let allowed = parts(&endpoint, alice, one);
    assert_eq!(allowed.send(&request).0, 200);
    let denied = allowed.send(&Request::new("DeleteStream", r#"{"StreamName":"s"}"#));
    assert!(
        denied.2.contains("because no VPC endpoint policy allows"),
        "{}",
        denied.2
    );
    // Unsigned, on loopback: nothing of the client's proves anything there.
    let unsigned = request.without("Authorization").without("X-Amz-Date");
    assert_eq!(allowed.send(&unsigned).0, 200);
    assert_eq!(nobody.recorder.requests().len(), 0);
    assert_eq!(allowed.recorder.requests().len(), 2);
}

#[test]
fn what_an_endpoint_cannot_authenticate_by_is_refused_at_load() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Arc::new(Authority::create().unwrap());
    authority.write(folder.path()).unwrap();
    std::fs::write(folder.path().join("policy.json"), ALL).unwrap();
    let recorder = Recorder::start(&authority, Behaviour::Answer);
    let loopback = "[endpoint.re-sign]\nauthenticate = \"loopback\"";
    for (endpoint, address, words) in [
        (loopback, "127.0.0.1:0", "without `principal`"),
        (
            "principal = \"arn:aws:iam::123456789012:user/a\"\n[endpoint.re-sign]\nauthenticate = \"loopback\"",
            "0.0.0.0:0",
            "not on a loopback address",
        ),
        (
            "[endpoint.re-sign]\nauthenticate = \"mtls\"",
            "127.0.0.1:0",
            "without `tls.client-ca`",
        ),
        (
            "[endpoint.re-sign]\nauthenticate = \"sigv4\"",
            "127.0.0.1:0",
            "needs `local-credentials`",
        ),
        (
            "[endpoint.re-sign]\nauthenticate = \"trust\"",
            "127.0.0.1:0",
            "`trust` is none of",
        ),
        (
            "principal = \"arn:aws:sts::1:x\"",
            "127.0.0.1:0",
            "is not the ARN of an IAM user",
        ),
    ] {
        let file = configure(folder.path(), &recorder, endpoint, "");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("127.0.0.1:0", address)).unwrap();
        let problems = app::load(&file, app::clock).err().expect(words).to_string();
        assert!(problems.contains(words), "{problems}");
    }
}

/// The gate reads what is issued as it comes, and takes no file that others may read.
#[test]
fn a_file_of_local_credentials_is_private() {
    use std::os::unix::fs::PermissionsExt as _;

    let mut parts = sigv4(ALL);
    let client = parts.issue(USER);
    let store = parts.folder.path().join("local.jsonl");
    let mode = std::fs::metadata(&store).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::fs::write(&store, "").unwrap();
    parts
        .gate
        .wait(|told| told.iter().any(|line| line.contains("has mode 0640")));
    let request = Signing::new(&client).request("ListStreams", "{}", &[]);
    assert_eq!(parts.send(&request).0, 200, "what was read stays");
    let file = parts.folder.path().join("gate.toml");
    let problems = app::load(&file, app::clock).err().unwrap().to_string();
    assert!(
        problems.contains("has mode 0640") && problems.contains("local.jsonl"),
        "{problems}"
    );
}
