//! The gate authenticates its clients and signs anew: a signature is proven in full, nothing that
//! the client authenticated with goes on, and what arrives is signed with the gate's credentials.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::{Client, Config};
use kinesis_gate::app;
use kinesis_gate::sandbox::Authority;
use tempfile::TempDir;

use crate::sdk_client::{Speaks, http_client};
use crate::support::local_credentials::{LocalCredentials, ROLE, SigningParams, USER, issue_local};
use crate::support::process::GateProcess;
use crate::support::raw::Request;
use crate::support::signature::sha256;
use crate::support::{Behaviour, HOST, KEY_ID, Recorder, SECRET_KEY, http2, signature};

pub const HOUR: Duration = Duration::from_secs(3600);
pub const ALL: &str =
    r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}"#;
pub const OWN: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", KEY_ID),
    ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
    ("AWS_SESSION_TOKEN", "gate/token=="),
];

/// Every identity policy of these tests: the principal may do everything.
pub const IDENTITY: &str =
    r#"{"Statement":{"Effect":"Allow","Action":"kinesis:*","Resource":"*"}}"#;
pub const EVERYONE: &str = "[[identity-policy]]\nfile = \"all.json\"\nprincipals = [\"*\"]";
pub const SIGV4: &str =
    "[endpoint.re-sign]\nauthenticate = \"sigv4\"\nlocal-credentials = \"local.jsonl\"";

/// A gate that signs anew in front of a recorder.
pub struct Parts {
    pub folder: TempDir,
    authority: Arc<Authority>,
    pub recorder: Recorder,
    pub gate: GateProcess,
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

pub fn parts(endpoint: &str, rest: &str, policy: &str) -> Parts {
    let folder = tempfile::tempdir().unwrap();
    let authority = Arc::new(Authority::create().unwrap());
    authority.write(folder.path()).unwrap();
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    std::fs::write(folder.path().join("policy.json"), policy).unwrap();
    std::fs::write(folder.path().join("all.json"), IDENTITY).unwrap();
    let file = configure(folder.path(), &recorder, endpoint, rest);
    let gate = GateProcess::start(&file, &OWN);
    Parts {
        folder,
        authority,
        recorder,
        gate,
    }
}

/// One that authenticates by signature, with identity policies that allow everybody everything.
pub fn sigv4(policy: &str) -> Parts {
    parts(SIGV4, EVERYONE, policy)
}

impl Parts {
    /// Credentials that the running gate has read.
    pub fn issue(&self, principal: &str) -> LocalCredentials {
        let store = self.folder.path().join("local.jsonl");
        let issued = issue_local(&store, principal, app::clock(), HOUR);
        let request = SigningParams::new(&issued).request("ListStreams", "{}", &[]);
        for _ in 0..100 {
            let answer = request.send(&self.authority, self.gate.address());
            if answer.status == 200 {
                return issued;
            }
            assert_eq!(answer.error_type(), "UnrecognizedClientException");
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the gate does not read what was issued");
    }

    /// Status, error and message of an answer.
    pub fn send(&self, request: &Request) -> (u16, String, String) {
        let answer = request.send(&self.authority, self.gate.address());
        if answer.status == 200 {
            return (200, String::new(), String::new());
        }
        (answer.status, answer.error_type(), answer.message())
    }
}

#[test]
fn what_arrives_is_signed_by_the_gate_and_nobody_else() {
    let parts = sigv4(ALL);
    let client = parts.issue(ROLE);
    let before = parts.recorder.requests().len();
    let body = r#"{"StreamName":"orders","Data":"aGVsbG8=","PartitionKey":"1"}"#;
    let mut signing = SigningParams::new(&client);
    signing.signed_headers.insert(2, "x-amz-content-sha256");
    let hash = sha256(body);
    let more = [
        ("X-Amz-Content-Sha256", hash.as_str()),
        ("User-Agent", "aws-sdk/1.0"),
        ("Cookie", "session=1"),
        ("Proxy-Authorization", "Basic eA=="),
    ];
    let headers = signing.request("PutRecord", body, &more);
    let mut presigned = SigningParams::new(&client);
    presigned.signed_headers = vec!["content-type", "host", "x-amz-target"];
    presigned.expires = Some(60);
    let query = presigned.request("PutRecord", body, &[]);
    for request in [headers, query] {
        assert_eq!(parts.send(&request), (200, String::new(), String::new()));
    }
    let arrived = parts.recorder.requests();
    assert_eq!(arrived.len(), before + 2);
    for arrived in &arrived[before..] {
        assert!(signature::is_valid(&arrived.headers, &arrived.body));
        assert_eq!(arrived.body, body.as_bytes());
        let text = String::from_utf8(arrived.head.clone()).unwrap();
        assert!(text.starts_with("POST / HTTP/1.1\r\n"), "{text}");
        let token = client.session_token.as_ref().unwrap();
        let lower = text.to_lowercase();
        for gone in [
            token.as_str(),
            &client.access_key_id,
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

/// Smithy RPC v2 names the operation in its path: the client's signature covers it, and so does ours.
#[test]
fn an_operation_in_the_path_is_proven_and_signed() {
    const PUT: &str = "/service/Kinesis_20131202/operation/PutRecord";
    let body = b"\xa3\x6aStreamName\x66orders\x64Data\x41h\x6cPartitionKey\x611";
    let parts = sigv4(ALL);
    let client = parts.issue(ROLE);
    let before = parts.recorder.requests().len();
    let signing = SigningParams::rpc(&client, PUT);
    let request = signing.request("", body, &[]);
    // Signed for one operation, sent for another.
    let mut moved = request.clone();
    moved.line = moved.line.replace("PutRecord", "DeleteStream");
    let send = |request: &Request| request.send(&parts.authority, parts.gate.address());
    let refused = send(&moved);
    assert_eq!(refused.status, 400);
    let error = refused.cbor("__type").unwrap();
    assert!(error.ends_with("#InvalidSignatureException"), "{error}");
    assert_eq!(parts.recorder.requests().len(), before);
    assert_eq!(send(&request).status, 200);
    let arrived = &parts.recorder.requests()[before];
    assert_eq!(arrived.body, body);
    let text = String::from_utf8(arrived.head.clone()).unwrap();
    assert!(
        text.starts_with(&format!("POST {PUT} HTTP/1.1\r\n")),
        "{text}"
    );
    assert!(
        text.to_lowercase().contains("smithy-protocol: rpc-v2-cbor"),
        "{text}"
    );
    assert!(
        signature::is_valid_for_path(PUT, &arrived.headers, &arrived.body),
        "{text}"
    );
    assert!(text.contains(";smithy-protocol;"), "{text}");
    assert!(!text.contains(&client.access_key_id), "{text}");
}

/// The real SDK for Rust, with the session token of local credentials, in both HTTP versions.
#[test]
fn the_rust_sdk_authenticates() {
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let folder = tempfile::tempdir().unwrap();
        let authority = Arc::new(Authority::create().unwrap());
        authority.write(folder.path()).unwrap();
        let recorder = match speaks {
            Speaks::Http1 => Recorder::start(&authority, Behaviour::Respond),
            Speaks::Http2 => Recorder::start_http2(&authority),
        };
        std::fs::write(folder.path().join("policy.json"), ALL).unwrap();
        std::fs::write(folder.path().join("all.json"), IDENTITY).unwrap();
        let file = configure(folder.path(), &recorder, SIGV4, EVERYONE);
        let store = folder.path().join("local.jsonl");
        let issued = issue_local(&store, ROLE, app::clock(), HOUR);
        let gate = GateProcess::start(&file, &OWN);
        let wrong = LocalCredentials {
            secret_access_key: "another".to_owned(),
            ..issued.clone()
        };
        for (local, code) in [(issued, None), (wrong, Some("InvalidSignatureException"))] {
            let token = local.session_token.clone();
            let credentials = Credentials::new(
                local.access_key_id,
                local.secret_access_key,
                token,
                None,
                "local",
            );
            let config = Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new("us-east-1"))
                .credentials_provider(credentials)
                .http_client(http_client(&authority, speaks))
                .endpoint_url(format!("https://localhost:{}", gate.address().port()))
                .build();
            let client = Client::from_conf(config);
            let put = client.put_record().stream_name("orders").partition_key("1");
            let put = put.data(Blob::new(vec![b'x'; 2 << 20])).send();
            let answer = http2::block_on(put);
            // The recorder's answer has no members.
            let found = answer
                .err()
                .and_then(|error| error.code().map(str::to_owned));
            assert_eq!(found.as_deref(), code, "{speaks:?}");
        }
        let arrived = recorder.requests();
        assert_eq!(arrived.len(), 1);
        assert!(signature::is_valid(&arrived[0].headers, &arrived[0].body));
        assert!(arrived[0].body.len() > 2 << 20);
    }
}

#[test]
fn http2_clients_sign_authority_or_host() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Arc::new(Authority::create().unwrap());
    authority.write(folder.path()).unwrap();
    let recorder = Recorder::start_http2(&authority);
    std::fs::write(folder.path().join("policy.json"), ALL).unwrap();
    let endpoint = "principal = \"arn:aws:iam::123456789012:user/alice\"\n[endpoint.re-sign]\nauthenticate = \"loopback\"";
    std::fs::write(folder.path().join("all.json"), IDENTITY).unwrap();
    let file = configure(folder.path(), &recorder, endpoint, EVERYONE);
    let gate = GateProcess::start(&file, &OWN);
    for name in [":authority", "host"] {
        let headers = http2::signed_headers("ListStreams", "{}", name);
        let request = http2::request(&headers, "{}");
        let status = http2::send_for_status(&authority, gate.address(), http2::H2, request);
        assert_eq!(status, 200, "{name}");
        let arrived = recorder.requests().pop().unwrap();
        assert!(signature::is_valid(&arrived.headers, &arrived.body));
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
    let recorder = Recorder::start(&authority, Behaviour::Respond);
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
        .wait_for_messages(|told| told.iter().any(|line| line.contains("has mode 0640")));
    let request = SigningParams::new(&client).request("ListStreams", "{}", &[]);
    assert_eq!(parts.send(&request).0, 200, "what was read stays");
    let file = parts.folder.path().join("gate.toml");
    let problems = app::load(&file, app::clock).err().unwrap().to_string();
    assert!(
        problems.contains("has mode 0640") && problems.contains("local.jsonl"),
        "{problems}"
    );
}
