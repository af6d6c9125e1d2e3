//! Re-sign mode: the gate verifies the client's signature, forwards none of the client's credentials,
//! and signs the request with its own.

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

use crate::published_policies::FULL_ACCESS;
use crate::sdk_client::http_client;
use crate::support::local_credentials::{LocalCredentials, ROLE, SigningParams, USER, issue_local};
use crate::support::process::GateProcess;
use crate::support::raw::Request;
use crate::support::scripted::{HTTP_VERSIONS, HttpVersion};
use crate::support::signature::sha256;
use crate::support::{Behaviour, HOST, KEY_ID, Recorder, SECRET_KEY, http2, signature};

pub const HOUR: Duration = Duration::from_secs(3600);
/// The environment that holds the gate's credentials.
pub const GATE_CREDENTIALS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", KEY_ID),
    ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
    ("AWS_SESSION_TOKEN", "gate/token=="),
];

/// The identity policy of these tests: the principal may do everything.
pub const IDENTITY_POLICY: &str =
    r#"{"Statement":{"Effect":"Allow","Action":"kinesis:*","Resource":"*"}}"#;
/// Attaches that policy to every principal.
pub const EVERYONE: &str = "[[identity-policy]]\nfile = \"all.json\"\nprincipals = [\"*\"]";
pub const SIGV4: &str =
    "[endpoint.re-sign]\nauthenticate = \"sigv4\"\nlocal-credentials = \"local.jsonl\"";

/// A gate that re-signs in front of a recorder.
pub struct Fixture {
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

pub fn fixture_with(endpoint: &str, rest: &str, policy: &str) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let authority = Arc::new(Authority::create().unwrap());
    authority.write(folder.path()).unwrap();
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    std::fs::write(folder.path().join("policy.json"), policy).unwrap();
    std::fs::write(folder.path().join("all.json"), IDENTITY_POLICY).unwrap();
    let file = configure(folder.path(), &recorder, endpoint, rest);
    let gate = GateProcess::start(&file, &GATE_CREDENTIALS);
    Fixture {
        folder,
        authority,
        recorder,
        gate,
    }
}

/// A gate that authenticates by signature, with [`IDENTITY_POLICY`] for every principal.
pub fn sigv4_fixture(policy: &str) -> Fixture {
    fixture_with(SIGV4, EVERYONE, policy)
}

impl Fixture {
    /// Issues local credentials and waits until the running gate has read them.
    pub fn issue(&self, principal: &str) -> LocalCredentials {
        let store = self.folder.path().join("local.jsonl");
        let issued = issue_local(&store, principal, app::clock(), HOUR);
        let request = SigningParams::new(&issued).request("ListStreams", "{}", &[]);
        for _ in 0..100 {
            let response = request.send(&self.authority, self.gate.address());
            if response.status == 200 {
                return issued;
            }
            assert_eq!(response.error_type(), "UnrecognizedClientException");
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the gate does not read the issued credentials");
    }

    /// The status, error and message of the response.
    pub fn send(&self, request: &Request) -> (u16, String, String) {
        let response = request.send(&self.authority, self.gate.address());
        if response.status == 200 {
            return (200, String::new(), String::new());
        }
        (response.status, response.error_type(), response.message())
    }
}

#[test]
fn an_allowed_request_is_re_signed_with_the_gates_credentials_only() {
    let fixture = sigv4_fixture(FULL_ACCESS);
    let client = fixture.issue(ROLE);
    let before = fixture.recorder.requests().len();
    let body = r#"{"StreamName":"orders","Data":"aGVsbG8=","PartitionKey":"1"}"#;
    let mut signing = SigningParams::new(&client);
    signing.signed_headers.insert(2, "x-amz-content-sha256");
    let hash = sha256(body);
    let headers = [
        ("X-Amz-Content-Sha256", hash.as_str()),
        ("User-Agent", "aws-sdk/1.0"),
        ("Cookie", "session=1"),
        ("Proxy-Authorization", "Basic eA=="),
    ];
    let signed = signing.request("PutRecord", body, &headers);
    let mut presigned = SigningParams::new(&client);
    presigned.signed_headers = vec!["content-type", "host", "x-amz-target"];
    presigned.expires = Some(60);
    let query = presigned.request("PutRecord", body, &[]);
    for request in [signed, query] {
        assert_eq!(fixture.send(&request), (200, String::new(), String::new()));
    }
    let arrived = fixture.recorder.requests();
    assert_eq!(arrived.len(), before + 2);
    for arrived in &arrived[before..] {
        assert!(signature::is_valid(&arrived.headers, &arrived.body));
        assert_eq!(arrived.body, body.as_bytes());
        let text = String::from_utf8(arrived.head.clone()).unwrap();
        assert!(text.starts_with("POST / HTTP/1.1\r\n"), "{text}");
        let token = client.session_token.as_ref().unwrap();
        let lower = text.to_lowercase();
        for removed in [
            token.as_str(),
            &client.access_key_id,
            "Basic",
            "session=1",
            "content-sha256",
            "x-amz-signature",
        ] {
            assert!(
                !lower.contains(&removed.to_lowercase()),
                "{removed}: {text}"
            );
        }
        let header = |name: &str| {
            let named = arrived.headers.iter();
            let mut named = named.filter(|(known, _)| known.eq_ignore_ascii_case(name));
            let found = named.next().unwrap().1.clone();
            assert!(named.next().is_none(), "{name}");
            found
        };
        assert_eq!(header("host"), HOST);
        assert_eq!(header("x-amz-security-token"), "gate/token==");
        assert!(header("authorization").contains(KEY_ID));
        assert!(header("authorization").contains("x-amz-security-token"));
    }
    // The principal is the client, and a stream's name is one of the gate's account.
    let record = loop {
        let mut log = fixture.gate.log(before + 2).into_iter();
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

/// Smithy RPC v2 names the operation in its path, which the client's signature and the gate's cover.
#[test]
fn an_operation_in_the_path_is_verified_and_re_signed() {
    const PUT: &str = "/service/Kinesis_20131202/operation/PutRecord";
    let body = b"\xa3\x6aStreamName\x66orders\x64Data\x41h\x6cPartitionKey\x611";
    let fixture = sigv4_fixture(FULL_ACCESS);
    let client = fixture.issue(ROLE);
    let before = fixture.recorder.requests().len();
    let signing = SigningParams::rpc(&client, PUT);
    let request = signing.request("", body, &[]);
    // Signed for one operation, sent for another.
    let mut tampered = request.clone();
    tampered.line = tampered.line.replace("PutRecord", "DeleteStream");
    let send = |request: &Request| request.send(&fixture.authority, fixture.gate.address());
    let refused = send(&tampered);
    assert_eq!(refused.status, 400);
    let error = refused.cbor("__type").unwrap();
    assert!(error.ends_with("#InvalidSignatureException"), "{error}");
    assert_eq!(fixture.recorder.requests().len(), before);
    assert_eq!(send(&request).status, 200);
    let arrived = &fixture.recorder.requests()[before];
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

/// The AWS SDK for Rust, with the session token of local credentials, in both HTTP versions.
#[test]
fn the_rust_sdk_authenticates_with_local_credentials() {
    for http in HTTP_VERSIONS {
        let folder = tempfile::tempdir().unwrap();
        let authority = Arc::new(Authority::create().unwrap());
        authority.write(folder.path()).unwrap();
        let recorder = match http {
            HttpVersion::Http1 => Recorder::start(&authority, Behaviour::Respond),
            HttpVersion::Http2 => Recorder::start_http2(&authority),
        };
        std::fs::write(folder.path().join("policy.json"), FULL_ACCESS).unwrap();
        std::fs::write(folder.path().join("all.json"), IDENTITY_POLICY).unwrap();
        let file = configure(folder.path(), &recorder, SIGV4, EVERYONE);
        let store = folder.path().join("local.jsonl");
        let issued = issue_local(&store, ROLE, app::clock(), HOUR);
        let gate = GateProcess::start(&file, &GATE_CREDENTIALS);
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
                .http_client(http_client(&authority, http))
                .endpoint_url(format!("https://localhost:{}", gate.address().port()))
                .build();
            let client = Client::from_conf(config);
            let put = client.put_record().stream_name("orders").partition_key("1");
            let put = put.data(Blob::new(vec![b'x'; 2 << 20])).send();
            let response = http2::block_on(put);
            // The recorder's response has no members.
            let error_code = response
                .err()
                .and_then(|error| error.code().map(str::to_owned));
            assert_eq!(error_code.as_deref(), code, "{http:?}");
        }
        let arrived = recorder.requests();
        assert_eq!(arrived.len(), 1);
        assert!(signature::is_valid(&arrived[0].headers, &arrived[0].body));
        assert!(arrived[0].body.len() > 2 << 20);
    }
}

#[test]
fn http2_clients_may_sign_authority_or_host() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Arc::new(Authority::create().unwrap());
    authority.write(folder.path()).unwrap();
    let recorder = Recorder::start_http2(&authority);
    std::fs::write(folder.path().join("policy.json"), FULL_ACCESS).unwrap();
    let endpoint = "principal = \"arn:aws:iam::123456789012:user/alice\"\n[endpoint.re-sign]\nauthenticate = \"loopback\"";
    std::fs::write(folder.path().join("all.json"), IDENTITY_POLICY).unwrap();
    let file = configure(folder.path(), &recorder, endpoint, EVERYONE);
    let gate = GateProcess::start(&file, &GATE_CREDENTIALS);
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

/// In re-sign mode IAM sees the gate: the endpoint policy and the identity policy must both allow.
#[test]
fn an_identity_policy_must_allow_too() {
    let endpoint =
        format!("principal = \"{USER}\"\n[endpoint.re-sign]\nauthenticate = \"loopback\"");
    let endpoint_policy = r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/alice"},"Action":"kinesis:List*","Resource":"*"}}"#;
    let without_policy = fixture_with(&endpoint, "", endpoint_policy);
    let request = Request::new("ListStreams", "{}");
    let (status, error, message) = without_policy.send(&request);
    assert_eq!((status, error.as_str()), (400, "AccessDeniedException"));
    let words = format!(
        "User: {USER} is not authorized to perform: kinesis:ListStreams on resource: * because no \
         identity-based policy allows the kinesis:ListStreams action"
    );
    assert_eq!(message, words);
    let alice = "[[identity-policy]]\nfile = \"all.json\"\nprincipals = [\"arn:aws:iam::123456789012:user/a*\"]";
    let allowed = fixture_with(&endpoint, alice, endpoint_policy);
    assert_eq!(allowed.send(&request).0, 200);
    let denied = allowed.send(&Request::new("DeleteStream", r#"{"StreamName":"s"}"#));
    assert!(
        denied.2.contains("because no VPC endpoint policy allows"),
        "{}",
        denied.2
    );
    // On loopback the client need not sign.
    let unsigned = request.without("Authorization").without("X-Amz-Date");
    assert_eq!(allowed.send(&unsigned).0, 200);
    assert_eq!(without_policy.recorder.requests().len(), 0);
    assert_eq!(allowed.recorder.requests().len(), 2);
}

#[test]
fn an_authentication_that_the_endpoint_cannot_do_is_a_config_error() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Arc::new(Authority::create().unwrap());
    authority.write(folder.path()).unwrap();
    std::fs::write(folder.path().join("policy.json"), FULL_ACCESS).unwrap();
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

/// The gate reads credentials as they are issued, and refuses a file that others may read.
#[test]
fn the_file_of_local_credentials_must_be_private() {
    use std::os::unix::fs::PermissionsExt as _;

    let mut fixture = sigv4_fixture(FULL_ACCESS);
    let client = fixture.issue(USER);
    let store = fixture.folder.path().join("local.jsonl");
    let mode = std::fs::metadata(&store).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::fs::write(&store, "").unwrap();
    fixture
        .gate
        .wait_for_messages(|lines| lines.iter().any(|line| line.contains("has mode 0640")));
    let request = SigningParams::new(&client).request("ListStreams", "{}", &[]);
    assert_eq!(
        fixture.send(&request).0,
        200,
        "credentials that were read stay valid"
    );
    let file = fixture.folder.path().join("gate.toml");
    let problems = app::load(&file, app::clock).err().unwrap().to_string();
    assert!(
        problems.contains("has mode 0640") && problems.contains("local.jsonl"),
        "{problems}"
    );
}
