//! The gate's own credentials: every source of the chain, renewal, outages, and roles.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use kinesis_gate::app;
use kinesis_gate::sandbox::Authority;
use tempfile::TempDir;

use crate::support::credential_servers::{
    StubServer, key_id, metadata_credentials, sts_credentials,
};
use crate::support::local_credentials::{ROLE, SigningParams, USER, issue_local};
use crate::support::process::GateProcess;
use crate::support::raw::{Request, Response};
use crate::support::{Behaviour, KEY_ID, Recorder, SECRET_KEY, signature};

const NOW: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_secs(3600);

/// A folder with a gate's configuration, and an upstream that keeps what arrives.
pub struct Site {
    folder: TempDir,
    authority: Arc<Authority>,
    pub recorder: Recorder,
}

fn clock() -> SystemTime {
    app::clock()
}

impl Site {
    /// One that signs for everyone on loopback.
    pub fn loopback() -> Site {
        Site::new(&format!(
            "principal = \"{USER}\"\n[endpoint.re-sign]\nauthenticate = \"loopback\""
        ))
    }

    fn new(endpoint: &str) -> Site {
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
        Site {
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

    pub fn ask(&self, gate: &GateProcess) -> Response {
        Request::new("ListStreams", "{}").send(&self.authority, gate.address())
    }

    /// The key id that signed what arrived last, after the signature was verified.
    pub fn signer(&self) -> String {
        let arrived = self.recorder.requests().pop().unwrap();
        assert!(signature::is_valid(&arrived.headers, &arrived.body));
        let named = arrived.headers.iter();
        let (_, value) = named
            .clone()
            .find(|(name, _)| name.eq_ignore_ascii_case("authorization"))
            .unwrap();
        let (_, rest) = value.split_once("Credential=").unwrap();
        rest.split('/').next().unwrap().to_owned()
    }
}

/// An instance's metadata service, version 2: without a session token it says nothing.
fn imds(ends: impl Fn() -> SystemTime + Send + Sync + 'static) -> StubServer {
    StubServer::start(move |asked, _| {
        let has_token = asked.header("x-aws-ec2-metadata-token") == Some("session");
        let roles = "GET /latest/meta-data/iam/security-credentials";
        match asked.line.as_str() {
            "PUT /latest/api/token" => (200, "session".to_owned(), NOW),
            _ if !has_token => (401, String::new(), NOW),
            line if line.starts_with(roles) && line.ends_with("/producer") => {
                (200, metadata_credentials(7, ends()), NOW)
            }
            line if line.starts_with(roles) => (200, "producer".to_owned(), NOW),
            _ => (404, String::new(), NOW),
        }
    })
}

fn container(
    answer: impl Fn(usize) -> (u16, String, Duration) + Send + Sync + 'static,
) -> StubServer {
    StubServer::start(move |asked, number| {
        assert_eq!(asked.line, "GET /credentials");
        assert_eq!(asked.header("authorization"), Some("Bearer pod"));
        answer(number)
    })
}

#[test]
fn every_source_of_the_chain() {
    let site = Site::loopback();
    let file = |name: &str, text: &str| {
        let file = site.path().join(name);
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
    let container = container(|_| (200, metadata_credentials(5, clock() + HOUR), NOW));
    let sts = StubServer::start(|asked, _| {
        assert!(asked.body.contains("Action=AssumeRoleWithWebIdentity"));
        assert!(asked.body.contains("WebIdentityToken=identity"));
        let body = sts_credentials("AssumeRoleWithWebIdentity", 6, clock() + HOUR);
        (200, body, NOW)
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
        let gate = site.gate(&environment);
        let answer = site.ask(&gate);
        assert_eq!(answer.status, 200, "{name}: {:?}", gate.messages());
        assert_eq!(site.signer(), key, "{name}");
    }
}

fn of_container(server: &StubServer) -> (String, &'static str) {
    (server.url("/credentials"), "Bearer pod")
}

/// Asks without a pause for a while; how many keys signed. Every request must succeed.
fn ask_for(site: &Site, gate: &GateProcess, time: Duration) -> usize {
    let end = Instant::now() + time;
    let mut keys = std::collections::BTreeSet::new();
    while Instant::now() < end {
        let answer = site.ask(gate);
        assert_eq!(answer.status, 200, "{:?}", gate.messages());
        keys.insert(site.signer());
        std::thread::sleep(Duration::from_millis(20));
    }
    keys.len()
}

/// Credentials that live for seconds, from a source that is out when they are to be renewed, and then
/// answers late.
#[test]
fn no_request_fails_while_there_are_valid_credentials() {
    let life = Duration::from_secs(10);
    let server = container(move |number| match number {
        // The source is out while the first credentials live on.
        1 => (500, "{}".to_owned(), NOW),
        // It answers late.
        2 => (
            200,
            metadata_credentials(2, clock() + life),
            Duration::from_millis(900),
        ),
        _ => (200, metadata_credentials(number, clock() + life), NOW),
    });
    let site = Site::loopback();
    let (url, token) = of_container(&server);
    let gate = site.gate(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token),
    ]);
    let keys = ask_for(&site, &gate, 2 * life);
    assert!(keys >= 3, "{keys} keys: {:?}", gate.messages());
}

#[test]
fn the_clock_of_the_source_may_differ() {
    // Three minutes ahead or behind, credentials of ten minutes are valid all the same.
    for minutes in [7, 13] {
        let ends = move || clock() + Duration::from_secs(60 * minutes);
        let instance = imds(ends).url("");
        let site = Site::loopback();
        let gate = site.gate(&[
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &instance),
            ("AWS_EC2_METADATA_DISABLED", "false"),
        ]);
        assert_eq!(site.ask(&gate).status, 200, "{:?}", gate.messages());
    }
}

/// Without valid credentials nothing is sent; what is allowed can be tried again later.
#[test]
fn without_valid_credentials_the_gate_fails_closed() {
    let out = Arc::new(AtomicBool::new(false));
    let is_out = Arc::clone(&out);
    let life = Duration::from_secs(3);
    let server = container(move |number| match is_out.load(Ordering::Relaxed) {
        true => (400, "{}".to_owned(), NOW),
        false => (200, metadata_credentials(number, clock() + life), NOW),
    });
    let site = Site::loopback();
    let (url, token) = of_container(&server);
    let mut gate = site.gate(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token),
    ]);
    assert_eq!(site.ask(&gate).status, 200);
    out.store(true, Ordering::Relaxed);
    let until = |status: u16| {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = site.ask(&gate);
            if answer.status == status {
                return answer;
            }
            assert!(Instant::now() < deadline, "{answer:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let answer = until(503);
    let arrived = site.recorder.requests().len();
    assert_eq!(answer.error_type(), "ServiceUnavailable");
    assert_eq!(site.ask(&gate).status, 503);
    assert_eq!(site.recorder.requests().len(), arrived, "nothing was sent");
    out.store(false, Ordering::Relaxed);
    until(200);
    gate.wait_for_messages(|told| told.iter().any(|line| line.contains("no new credentials")));
    let reason = "no valid credentials to sign with";
    assert!(gate.log(3).iter().any(|record| record["reason"] == reason));

    // A source that says its credentials are over already is not believed to have any.
    let expired = container(|number| (200, metadata_credentials(number, clock() - HOUR), NOW));
    let (url, token) = of_container(&expired);
    let gate = site.gate(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token),
    ]);
    assert_eq!(site.ask(&gate).status, 503);
}

/// A role for each principal: its session says whose it is, and one call to STS serves many requests.
#[test]
fn roles_by_principal() {
    let down = Arc::new(AtomicBool::new(false));
    let is_down = Arc::clone(&down);
    let sts = StubServer::start(move |asked, number| {
        assert!(asked.body.contains("Action=AssumeRole&"), "{}", asked.body);
        assert!(asked.header("authorization").unwrap().contains(KEY_ID));
        match is_down.load(Ordering::Relaxed) {
            true => (403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>".to_owned(), NOW),
            false => (200, sts_credentials("AssumeRole", 10 + number, clock() + HOUR), NOW),
        }
    });
    let site = Site::new(
        "[endpoint.re-sign]\nauthenticate = \"sigv4\"\nlocal-credentials = \"local.jsonl\"\n\
         [[endpoint.re-sign.role]]\nprincipals = [\"arn:aws:iam::123456789012:user/*\"]\n\
         role = \"arn:aws:iam::999988887777:role/users\"\n\
         [[endpoint.re-sign.role]]\nprincipals = [\"arn:aws:sts::123456789012:assumed-role/producer/*\"]\n\
         role = \"arn:aws:iam::123456789012:role/producers\"",
    );
    let store = site.path().join("local.jsonl");
    let issue = |principal: &str| issue_local(&store, principal, clock(), HOUR);
    let nobody = "arn:aws:iam::123456789012:role/nobody";
    let bob = "arn:aws:iam::123456789012:user/bob";
    let [alice, role, nobody, bob] = [USER, ROLE, nobody, bob].map(issue);
    let url = sts.url("/");
    let gate = site.gate(&[
        ("AWS_ACCESS_KEY_ID", KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ("AWS_ENDPOINT_URL_STS", &url),
    ]);
    let body = r#"{"StreamName":"orders"}"#;
    let ask = |client| {
        let request = SigningParams::new(client).request("ListShards", body, &[]);
        request.send(&site.authority, gate.address())
    };
    for _ in 0..3 {
        assert_eq!(ask(&alice).status, 200, "{:?}", gate.messages());
        assert_eq!(site.signer(), key_id(10));
    }
    for _ in 0..3 {
        assert_eq!(ask(&role).status, 200);
        assert_eq!(site.signer(), key_id(11));
    }
    let asked = sts.requests();
    assert_eq!(asked.len(), 2, "{asked:?}");
    let said = |body: &str, words: &str| assert!(body.contains(words), "{words}: {body}");
    said(
        &asked[0].body,
        "RoleArn=arn%3Aaws%3Aiam%3A%3A999988887777%3Arole%2Fusers",
    );
    said(&asked[0].body, "RoleSessionName=alice");
    said(&asked[0].body, "SourceIdentity=alice");
    said(
        &asked[0].body,
        "Tags.member.1.Key=team&Tags.member.1.Value=orders",
    );
    said(&asked[1].body, "RoleSessionName=i-1");
    assert!(!asked[1].body.contains("SourceIdentity"));
    // A bare name is a stream in the account of the role that signs.
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
    // Nobody chooses a role, and who has none gets none.
    let before = site.recorder.requests().len();
    let answer = ask(&nobody);
    assert_eq!(
        (answer.status, answer.error_type()),
        (400, "AccessDeniedException".to_owned())
    );
    down.store(true, Ordering::Relaxed);
    let answer = ask(&bob);
    assert_eq!(
        (answer.status, answer.error_type()),
        (503, "ServiceUnavailable".to_owned())
    );
    assert_eq!(ask(&alice).status, 200, "what is there serves on");
    assert_eq!(site.recorder.requests().len(), before + 1);
}
