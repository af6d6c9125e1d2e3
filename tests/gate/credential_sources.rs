//! The gate's upstream credentials: every source of the chain, refresh, outages, and assumed roles.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use kinesis_gate::app::clock;
use kinesis_gate::sandbox::Authority;
use tempfile::TempDir;

use crate::support::credential_servers::{
    StubServer, key_id, metadata_credentials, sts_credentials,
};
use crate::support::local_credentials::{ROLE, SigningParams, USER, issue_local};
use crate::support::process::GateProcess;
use crate::support::raw::{Request, Response};
use crate::support::{Behaviour, KEY_ID, Recorder, SECRET_KEY, signature};

const NO_DELAY: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_secs(3600);

/// A folder with a gate's configuration, and a recording upstream.
pub struct Fixture {
    folder: TempDir,
    authority: Arc<Authority>,
    pub recorder: Recorder,
}

impl Fixture {
    /// A gate that re-signs every request on loopback.
    pub fn loopback() -> Fixture {
        Fixture::new(&format!(
            "principal = \"{USER}\"\n[endpoint.re-sign]\nauthenticate = \"loopback\""
        ))
    }

    fn new(endpoint: &str) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let authority = Arc::new(Authority::create().unwrap());
        authority.write(folder.path()).unwrap();
        let recorder = Recorder::start(&authority, Behaviour::Respond);
        let allow = r#"{"Statement":{"Effect":"Allow","Action":"kinesis:*","Resource":"*"}}"#;
        std::fs::write(folder.path().join("all.json"), allow).unwrap();
        let text = format!(
            "workers = 1\n[upstream]\nconnect = \"{}\"\nserver-name = \"localhost\"\nca-file = \"ca.pem\"\n\
             [[principal]]\narn = \"{USER}\"\nsource-identity = \"alice\"\ntags = {{ team = \"orders\" }}\n\
             [[endpoint]]\nid = \"vpce-33cc44dd\"\nregion = \"us-east-1\"\ndefault-full-access = true\n\
             {endpoint}\n\
             [[identity-policy]]\nfile = \"all.json\"\nprincipals = [\"*\"]\n\
             [[listener]]\naddress = \"127.0.0.1:0\"\nendpoint = \"vpce-33cc44dd\"\n\
             tls = {{ ca-certificate = \"ca.pem\", ca-key = \"ca-key.pem\" }}\n",
            recorder.address()
        );
        std::fs::write(folder.path().join("gate.toml"), text).unwrap();
        Fixture {
            folder,
            authority,
            recorder,
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn gate(&self, environment: &[(&str, &str)]) -> GateProcess {
        GateProcess::start(&self.path().join("gate.toml"), environment)
    }

    pub fn send(&self, gate: &GateProcess) -> Response {
        Request::new("ListStreams", "{}").send(&self.authority, gate.address())
    }

    /// Verifies the signature of the last request and returns its access key id.
    pub fn signer(&self) -> String {
        let request = self.recorder.requests().pop().unwrap();
        assert!(signature::is_valid(&request.headers, &request.body));
        let mut headers = request.headers.iter();
        let (_, value) = headers
            .find(|(name, _)| name.eq_ignore_ascii_case("authorization"))
            .unwrap();
        let (_, rest) = value.split_once("Credential=").unwrap();
        rest.split('/').next().unwrap().to_owned()
    }
}

/// The metadata service of an instance, version 2: it needs a session token.
fn imds(expiration: impl Fn() -> SystemTime + Send + Sync + 'static) -> StubServer {
    StubServer::start(move |request, _| {
        let has_token = request.header("x-aws-ec2-metadata-token") == Some("session");
        let roles = "GET /latest/meta-data/iam/security-credentials";
        match request.line.as_str() {
            "PUT /latest/api/token" => (200, "session".to_owned(), NO_DELAY),
            _ if !has_token => (401, String::new(), NO_DELAY),
            line if line.starts_with(roles) && line.ends_with("/producer") => {
                (200, metadata_credentials(7, expiration()), NO_DELAY)
            }
            line if line.starts_with(roles) => (200, "producer".to_owned(), NO_DELAY),
            _ => (404, String::new(), NO_DELAY),
        }
    })
}

/// The metadata service of a container.
fn container(
    respond: impl Fn(usize) -> (u16, String, Duration) + Send + Sync + 'static,
) -> StubServer {
    StubServer::start(move |request, number| {
        assert_eq!(request.line, "GET /credentials");
        assert_eq!(request.header("authorization"), Some("Bearer pod"));
        respond(number)
    })
}

#[test]
fn every_source_of_the_credential_chain_signs() {
    let fixture = Fixture::loopback();
    let file = |name: &str, text: &str| {
        let file = fixture.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let profile = file(
        "profile",
        &format!("[default]\naws_access_key_id={KEY_ID}\naws_secret_access_key={SECRET_KEY}\n"),
    );
    let printed = format!(
        r#"{{"Version":1,"AccessKeyId":"{}","SecretAccessKey":"{SECRET_KEY}","SessionToken":"t"}}"#,
        key_id(3)
    );
    let printed = file("printed.json", &printed);
    let process = file(
        "process",
        &format!("[default]\ncredential_process = cat {printed}\n"),
    );
    let jwt = file("jwt", "identity");
    let instance = imds(|| clock() + HOUR);
    let container = container(|_| (200, metadata_credentials(5, clock() + HOUR), NO_DELAY));
    let sts = StubServer::start(|request, _| {
        assert!(request.body.contains("Action=AssumeRoleWithWebIdentity"));
        assert!(request.body.contains("WebIdentityToken=identity"));
        let body = sts_credentials("AssumeRoleWithWebIdentity", 6, clock() + HOUR);
        (200, body, NO_DELAY)
    });
    let (container, instance, sts) = (
        container.url("/credentials"),
        instance.url(""),
        sts.url("/"),
    );
    type Environment<'a> = Vec<(&'a str, &'a str)>;
    let cases: [(&str, Environment<'_>, String); 6] = [
        (
            "environment",
            vec![
                ("AWS_ACCESS_KEY_ID", KEY_ID),
                ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ],
            KEY_ID.to_owned(),
        ),
        (
            "profile",
            vec![("AWS_SHARED_CREDENTIALS_FILE", &profile)],
            KEY_ID.to_owned(),
        ),
        (
            "process",
            vec![("AWS_CONFIG_FILE", &process), ("PATH", "/usr/bin:/bin")],
            key_id(3),
        ),
        (
            "web identity",
            vec![
                ("AWS_WEB_IDENTITY_TOKEN_FILE", &jwt),
                ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pod"),
                ("AWS_ENDPOINT_URL_STS", &sts),
            ],
            key_id(6),
        ),
        (
            "container",
            vec![
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer pod"),
            ],
            key_id(5),
        ),
        (
            "instance",
            vec![
                ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &instance),
                ("AWS_EC2_METADATA_DISABLED", "false"),
            ],
            key_id(7),
        ),
    ];
    for (name, environment, key) in cases {
        let gate = fixture.gate(&environment);
        let response = fixture.send(&gate);
        assert_eq!(response.status, 200, "{name}: {:?}", gate.messages());
        assert_eq!(fixture.signer(), key, "{name}");
    }
}

/// The address of [`container`], and its authorization token.
fn container_source(server: &StubServer) -> (String, &'static str) {
    (server.url("/credentials"), "Bearer pod")
}

/// Sends requests for some time, which must all succeed; returns the number of keys that signed them.
fn count_signers(fixture: &Fixture, gate: &GateProcess, time: Duration) -> usize {
    let end = Instant::now() + time;
    let mut keys = std::collections::BTreeSet::new();
    while Instant::now() < end {
        let response = fixture.send(gate);
        assert_eq!(response.status, 200, "{:?}", gate.messages());
        keys.insert(fixture.signer());
        std::thread::sleep(Duration::from_millis(20));
    }
    keys.len()
}

/// Credentials that live for seconds, from a source that fails the first refresh and delays the second.
#[test]
fn no_request_fails_while_credentials_are_valid() {
    let life = Duration::from_secs(10);
    let server = container(move |number| match number {
        // The source fails while the first credentials are valid.
        1 => (500, "{}".to_owned(), NO_DELAY),
        2 => (
            200,
            metadata_credentials(2, clock() + life),
            Duration::from_millis(900),
        ),
        _ => (200, metadata_credentials(number, clock() + life), NO_DELAY),
    });
    let fixture = Fixture::loopback();
    let (url, token) = container_source(&server);
    let gate = fixture.gate(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token),
    ]);
    let keys = count_signers(&fixture, &gate, 2 * life);
    assert!(keys >= 3, "{keys} keys: {:?}", gate.messages());
}

#[test]
fn the_clock_of_the_source_may_be_skewed() {
    // The clock of the source is three minutes ahead or behind; the credentials live for ten.
    for minutes in [7, 13] {
        let expiration = move || clock() + Duration::from_secs(60 * minutes);
        let instance = imds(expiration).url("");
        let fixture = Fixture::loopback();
        let gate = fixture.gate(&[
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &instance),
            ("AWS_EC2_METADATA_DISABLED", "false"),
        ]);
        assert_eq!(fixture.send(&gate).status, 200, "{:?}", gate.messages());
    }
}

/// Without valid credentials the gate forwards nothing; an allowed request may be retried later.
#[test]
fn without_valid_credentials_the_gate_fails_closed() {
    let outage = Arc::new(AtomicBool::new(false));
    let is_out = Arc::clone(&outage);
    let life = Duration::from_secs(3);
    let server = container(move |number| match is_out.load(Ordering::Relaxed) {
        true => (400, "{}".to_owned(), NO_DELAY),
        false => (200, metadata_credentials(number, clock() + life), NO_DELAY),
    });
    let fixture = Fixture::loopback();
    let (url, token) = container_source(&server);
    let mut gate = fixture.gate(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token),
    ]);
    assert_eq!(fixture.send(&gate).status, 200);
    outage.store(true, Ordering::Relaxed);
    let wait_for_status = |status: u16| {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let response = fixture.send(&gate);
            if response.status == status {
                return response;
            }
            assert!(Instant::now() < deadline, "{response:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let response = wait_for_status(503);
    let forwarded = fixture.recorder.requests().len();
    assert_eq!(response.error_type(), "ServiceUnavailable");
    assert_eq!(fixture.send(&gate).status, 503);
    assert_eq!(
        fixture.recorder.requests().len(),
        forwarded,
        "nothing is forwarded"
    );
    outage.store(false, Ordering::Relaxed);
    wait_for_status(200);
    gate.wait_for_messages(|lines| lines.iter().any(|line| line.contains("no new credentials")));
    let reason = "no valid credentials to sign with";
    assert!(gate.log(3).iter().any(|record| record["reason"] == reason));

    // Credentials that have already expired are not used.
    let expired = container(|number| (200, metadata_credentials(number, clock() - HOUR), NO_DELAY));
    let (url, token) = container_source(&expired);
    let gate = fixture.gate(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token),
    ]);
    assert_eq!(fixture.send(&gate).status, 503);
}

/// Each principal has a role: its session name is the principal's, and one call to STS serves many
/// requests.
#[test]
fn each_principal_gets_its_role() {
    let outage = Arc::new(AtomicBool::new(false));
    let is_out = Arc::clone(&outage);
    let sts = StubServer::start(move |request, number| {
        assert!(
            request.body.contains("Action=AssumeRole&"),
            "{}",
            request.body
        );
        assert!(request.header("authorization").unwrap().contains(KEY_ID));
        match is_out.load(Ordering::Relaxed) {
            true => (403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>".to_owned(), NO_DELAY),
            false => (200, sts_credentials("AssumeRole", 10 + number, clock() + HOUR), NO_DELAY),
        }
    });
    let fixture = Fixture::new(
        "[endpoint.re-sign]\nauthenticate = \"sigv4\"\nlocal-credentials = \"local.jsonl\"\n\
         [[endpoint.re-sign.role]]\nprincipals = [\"arn:aws:iam::123456789012:user/*\"]\n\
         role = \"arn:aws:iam::999988887777:role/users\"\n\
         [[endpoint.re-sign.role]]\nprincipals = [\"arn:aws:sts::123456789012:assumed-role/producer/*\"]\n\
         role = \"arn:aws:iam::123456789012:role/producers\"",
    );
    let store = fixture.path().join("local.jsonl");
    let issue = |principal: &str| issue_local(&store, principal, clock(), HOUR);
    let nobody = "arn:aws:iam::123456789012:role/nobody";
    let bob = "arn:aws:iam::123456789012:user/bob";
    let [alice, role, nobody, bob] = [USER, ROLE, nobody, bob].map(issue);
    let url = sts.url("/");
    let gate = fixture.gate(&[
        ("AWS_ACCESS_KEY_ID", KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ("AWS_ENDPOINT_URL_STS", &url),
    ]);
    let body = r#"{"StreamName":"orders"}"#;
    let send = |client| {
        let request = SigningParams::new(client).request("ListShards", body, &[]);
        request.send(&fixture.authority, gate.address())
    };
    for _ in 0..3 {
        assert_eq!(send(&alice).status, 200, "{:?}", gate.messages());
        assert_eq!(fixture.signer(), key_id(10));
    }
    for _ in 0..3 {
        assert_eq!(send(&role).status, 200);
        assert_eq!(fixture.signer(), key_id(11));
    }
    let calls = sts.requests();
    assert_eq!(calls.len(), 2, "{calls:?}");
    let assert_has = |body: &str, text: &str| assert!(body.contains(text), "{text}: {body}");
    assert_has(
        &calls[0].body,
        "RoleArn=arn%3Aaws%3Aiam%3A%3A999988887777%3Arole%2Fusers",
    );
    assert_has(&calls[0].body, "RoleSessionName=alice");
    assert_has(&calls[0].body, "SourceIdentity=alice");
    assert_has(
        &calls[0].body,
        "Tags.member.1.Key=team&Tags.member.1.Value=orders",
    );
    assert_has(&calls[1].body, "RoleSessionName=i-1");
    assert!(!calls[1].body.contains("SourceIdentity"));
    // A stream name resolves in the account of the role that signs.
    let log = gate.log(4);
    assert_eq!(
        log[0]["resource"],
        "arn:aws:kinesis:us-east-1:999988887777:stream/orders"
    );
    assert_eq!(
        log[3]["resource"],
        "arn:aws:kinesis:us-east-1:123456789012:stream/orders"
    );
    assert_eq!(log[0]["principal"]["arn"], USER);
    // A principal without a role is denied.
    let before = fixture.recorder.requests().len();
    let response = send(&nobody);
    assert_eq!(
        (response.status, response.error_type()),
        (400, "AccessDeniedException".to_owned())
    );
    outage.store(true, Ordering::Relaxed);
    let response = send(&bob);
    assert_eq!(
        (response.status, response.error_type()),
        (503, "ServiceUnavailable".to_owned())
    );
    assert_eq!(send(&alice).status, 200, "a cached role");
    assert_eq!(fixture.recorder.requests().len(), before + 1);
}
