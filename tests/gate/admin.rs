//! The admin port: responses, actions, and clients that may not use the port.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kinesis_gate::sandbox::Authority;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use crate::support::client_certificates::{ClientCa, ClientCertificate, uri_san};
use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, Gate, GateBuilder, HOST, Recorder};

const POLICY: &str = r#"{"Statement":[
    {"Sid":"One","Effect":"Allow","Principal":"*","Action":"kinesis:PutRecord","Resource":"arn:aws:kinesis:*:*:stream/Mine"},
    {"Sid":"Never","Effect":"Deny","Principal":"*","Action":"kinesis:DeleteStream","Resource":"*"}]}"#;
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

struct Fixture {
    gate: Gate,
    authority: Arc<Authority>,
    _recorder: Recorder,
    files: tempfile::TempDir,
}

/// A gate whose admin port has these settings, in which `DIR` is a folder with the file `token`.
fn fixture(settings: &str) -> Fixture {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let files = tempfile::tempdir().unwrap();
    let token = files.path().join("token");
    std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint("vpce-33cc44dd", POLICY)
        .admin(&settings.replace("DIR", files.path().to_str().unwrap()))
        .start();
    Fixture {
        gate,
        authority,
        _recorder: recorder,
        files,
    }
}

impl Fixture {
    fn put(&self, stream: &str) -> u16 {
        put(&self.authority, self.gate.address(), stream)
    }

    fn exchange(&self, request: &str) -> (u16, String) {
        exchange(self.gate.admin(), request)
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n"))
    }
}

fn put(authority: &Authority, gate: SocketAddr, stream: &str) -> u16 {
    let body = format!(r#"{{"StreamName":"{stream}","PartitionKey":"1","Data":"eA=="}}"#);
    Request::new("PutRecord", body).send(authority, gate).status
}

/// Sends a head, with `Connection: close` and the empty line, and reads to the end.
fn exchange(admin: SocketAddr, head: &str) -> (u16, String) {
    let mut tcp = TcpStream::connect(admin).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let _ = tcp.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes());
    let mut response = Vec::new();
    let _ = tcp.read_to_end(&mut response);
    let response = String::from_utf8_lossy(&response).into_owned();
    let status = response
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok());
    (status.unwrap_or(0), response)
}

fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").unwrap().1
}

fn json_lines(response: &str) -> Vec<Value> {
    let lines = body(response).lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn recent_decisions_are_filtered_by_the_query() {
    let fixture = fixture("");
    for stream in ["Mine", "Other", "Mine", "Third"] {
        fixture.put(stream);
    }
    assert_eq!(fixture.gate.log(4).len(), 4);
    let decisions = |query: &str| json_lines(&fixture.get(&format!("/decisions{query}")).1);
    assert_eq!(decisions("").len(), 4);
    assert_eq!(
        decisions("?limit=3")[2]["resource"],
        decisions("")[3]["resource"]
    );
    assert_eq!(decisions("?decision=allow").len(), 2);
    assert_eq!(decisions("?decision=denied").len(), 2);
    assert_eq!(decisions("?decision=implicit-deny&resource=third").len(), 1);
    assert_eq!(decisions("?decision=refused").len(), 0);
    assert_eq!(
        decisions("?principal=user%2Fproducer&action=putrecord").len(),
        4
    );
    assert_eq!(decisions("?principal=nobody").len(), 0);
    assert_eq!(decisions("?endpoint=vpce-33cc44dd&limit=1").len(), 1);
    for invalid in ["?decision=perhaps", "?limit=-1", "?colour=red"] {
        assert_eq!(
            fixture.get(&format!("/decisions{invalid}")).0,
            400,
            "{invalid}"
        );
    }
}

#[test]
fn recent_denials_survive_many_allowed_requests() {
    let fixture = fixture("");
    fixture.put("Other");
    let mut connection = Connection::open(&fixture.authority, fixture.gate.address(), HOST);
    let put = r#"{"StreamName":"Mine","PartitionKey":"1","Data":"eA=="}"#;
    let request = Request::new("PutRecord", put).bytes();
    // More lines than the ring of all decisions holds.
    for _ in 0..4000 {
        connection.write(&request);
        assert_eq!(connection.response().status, 200);
    }
    drop(connection);
    fixture.gate.log(4001);
    let (_, all) = fixture.get("/decisions?limit=100000");
    assert!(json_lines(&all).len() < 4001, "{}", json_lines(&all).len());
    assert!(!body(&all).contains("stream/Other"));
    let (_, denied) = fixture.get("/decisions?decision=denied");
    assert_eq!(
        json_lines(&denied)[0]["resource"],
        "arn:aws:kinesis:us-east-1:123456789012:stream/Other"
    );
}

#[test]
fn followers_get_decisions_as_they_are_made() {
    let fixture = fixture("");
    let mut tcp = TcpStream::connect(fixture.gate.admin()).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = "GET /decisions?decision=denied HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    tcp.write_all(head.as_bytes()).unwrap();
    let mut reader = BufReader::new(tcp);
    let mut next_line = |prefix: &str| loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "{prefix}");
        if line.starts_with(prefix) {
            return line;
        }
    };
    next_line("content-type: text/event-stream");
    next_line(": alive");
    fixture.put("Mine");
    fixture.put("Other");
    let line = next_line("data: ");
    let line: Value = serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(line["decision"], "implicit-deny");
}

#[test]
fn followers_beyond_the_limit_are_refused() {
    let fixture = fixture("");
    let follow = || {
        let mut tcp = TcpStream::connect(fixture.gate.admin()).unwrap();
        tcp.write_all(b"GET /decisions?follow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .unwrap();
        let mut status = [0; 12];
        tcp.read_exact(&mut status).unwrap();
        (tcp, String::from_utf8(status.to_vec()).unwrap())
    };
    let followers: Vec<_> = (0..8).map(|_| follow()).collect();
    assert!(followers.iter().all(|(_, status)| status.ends_with("200")));
    assert!(follow().1.ends_with("503"));
    assert_eq!(fixture.get("/livez").0, 200);
}

#[test]
fn the_status_shows_the_policies_in_force_and_the_deciding_statements() {
    let fixture = fixture("");
    fixture.put("Mine");
    fixture.gate.log(1);
    let (status, response) = fixture.get("/status");
    assert_eq!(status, 200);
    let status: Value = serde_json::from_str(body(&response)).unwrap();
    assert_eq!(status["ready"], true);
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        status["listeners"][0]["address"],
        fixture.gate.address().to_string()
    );
    assert!(
        status["listeners"][0]["certificate_expires"]
            .as_i64()
            .unwrap()
            > 1_700_000_000
    );
    let policies = status["policies"].as_array().unwrap();
    let mut policies = policies.iter();
    let policy = policies
        .find(|policy| policy["layer"] == "endpoint")
        .unwrap();
    assert_eq!(policy["text"], POLICY);
    assert_eq!(policy["attached_to"][0], "vpce-33cc44dd");
    let name = policy["policy"].as_str().unwrap();
    assert_eq!(status["decided"][name]["One"], 1);
    assert!(status["decided"][name]["Never"].is_null());
}

#[test]
fn cross_site_requests_are_refused() {
    let fixture = fixture("");
    let origin = format!("http://{}", fixture.gate.admin());
    let host = fixture.gate.admin().to_string();
    #[rustfmt::skip]
    let cases = [
        (403, "POST /drain HTTP/1.1\r\nHost: localhost\r\n".to_owned()),
        (403, "POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n".to_owned()),
        (403, "POST /drain HTTP/1.1\r\nHost: localhost\r\nX-Kinesis-Gate: 1\r\nOrigin: https://evil.example\r\n".to_owned()),
        (403, "POST /drain HTTP/1.1\r\nHost: localhost\r\nX-Kinesis-Gate: 1\r\nOrigin: null\r\n".to_owned()),
        (403, "GET /status HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n".to_owned()),
        (403, "OPTIONS /drain HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n".to_owned()),
        (421, "GET /status HTTP/1.1\r\nHost: evil.example\r\n".to_owned()),
        (421, "GET /status HTTP/1.1\r\nHost: localhost.evil.example:9901\r\n".to_owned()),
        (421, "GET /status HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n".to_owned()),
        (421, "GET /status HTTP/1.1\r\n".to_owned()),
        (421, "GET http://evil.example/status HTTP/1.1\r\nHost: localhost\r\n".to_owned()),
        (404, "GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n".to_owned()),
        (404, "GET /%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\n".to_owned()),
        (404, "GET //status HTTP/1.1\r\nHost: localhost\r\n".to_owned()),
        (405, "DELETE /status HTTP/1.1\r\nHost: localhost\r\nX-Kinesis-Gate: 1\r\n".to_owned()),
        (405, "GET /drain HTTP/1.1\r\nHost: localhost\r\n".to_owned()),
        (200, format!("POST /reload HTTP/1.1\r\nHost: {host}\r\nX-Kinesis-Gate: 1\r\nOrigin: {origin}\r\nContent-Length: 0\r\n")),
        (200, format!("GET /status HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Site: same-origin\r\n")),
    ];
    for (expected, head) in cases {
        let (status, response) = fixture.exchange(&head);
        assert_eq!(status, expected, "{head}{response}");
        let lowercase = response.to_ascii_lowercase();
        assert!(!lowercase.contains("access-control-"), "{response}");
        assert!(
            lowercase.contains("x-content-type-options: nosniff"),
            "{response}"
        );
    }
    assert_eq!(fixture.get("/readyz").0, 200);
}

#[test]
fn only_the_bearer_token_authorizes_a_request() {
    let fixture = fixture("token-file = \"DIR/token\"");
    let with = |authorization: &str| {
        let head = format!("GET /status HTTP/1.1\r\nHost: localhost\r\n{authorization}");
        fixture.exchange(&head).0
    };
    assert_eq!(with(&format!("Authorization: Bearer {TOKEN}\r\n")), 200);
    assert_eq!(with(&format!("Authorization: bearer {TOKEN}\r\n")), 200);
    let short = &TOKEN[..31];
    for invalid in [
        String::new(),
        "Authorization: Bearer \r\n".to_owned(),
        "Authorization: Bearer\r\n".to_owned(),
        format!("Authorization: {TOKEN}\r\n"),
        format!("Authorization: Basic {TOKEN}\r\n"),
        format!("Authorization: Bearer {short}\r\n"),
        format!("Authorization: Bearer {TOKEN}0\r\n"),
        format!("Authorization: Bearer {short}0\r\n"),
        format!("Authorization: Bearer {TOKEN}\r\nAuthorization: Bearer {TOKEN}\r\n"),
        "X-Kinesis-Gate: 1\r\n".to_owned(),
    ] {
        assert_eq!(with(&invalid), 401, "{invalid}");
    }
    for path in ["/metrics", "/decisions", "/decisions?follow", "/other"] {
        assert_eq!(fixture.get(path).0, 401, "{path}");
    }
    for path in ["/livez", "/readyz", "/"] {
        assert_eq!(fixture.get(path).0, 200, "{path}");
    }
    for path in ["/reload", "/drain"] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nX-Kinesis-Gate: 1\r\n");
        assert_eq!(fixture.exchange(&head).0, 401, "{path}");
    }
    let head =
        format!("POST /reload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n");
    assert_eq!(fixture.exchange(&head).0, 200);
}

#[test]
fn malformed_and_slow_requests_do_not_block_others() {
    let fixture = fixture("");
    let huge = format!(
        "GET /status HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n",
        "x".repeat(64 << 10)
    );
    assert!([400, 431, 0].contains(&fixture.exchange(&huge).0));
    let many = "X: y\r\n".repeat(500);
    let many = format!("GET /status HTTP/1.1\r\nHost: localhost\r\n{many}");
    assert!([400, 431, 0].contains(&fixture.exchange(&many).0));
    for junk in [
        "GET /status\r\n",
        "\0\0\0\0\r\n",
        "GET /status HTTP/0.9\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let (status, _) = fixture.exchange(junk);
        assert!([0, 400, 505].contains(&status), "{junk:?}: {status}");
    }
    // A head that does not end holds a connection for ten seconds, until its timeout.
    let mut slow: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut tcp = TcpStream::connect(fixture.gate.admin()).unwrap();
            tcp.write_all(b"GET /livez HTTP/1.1\r\nHost: loc").unwrap();
            tcp
        })
        .collect();
    assert_eq!(fixture.get("/livez").0, 200);
    let start = Instant::now();
    for tcp in &mut slow {
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut rest = Vec::new();
        let _ = tcp.read_to_end(&mut rest);
    }
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_secs(19), "{elapsed:?}");
}

#[test]
fn client_certificates_authorize_requests_over_tls() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let files = tempfile::tempdir().unwrap();
    let clients = ClientCa::new();
    clients.write(files.path());
    let leaf = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(files.path().join("admin.pem"), leaf.cert.pem()).unwrap();
    std::fs::write(
        files.path().join("admin-key.pem"),
        leaf.signing_key.serialize_pem(),
    )
    .unwrap();
    let folder = files.path().display();
    let tls = format!(
        "[admin.tls]\ncertificate = \"{folder}/admin.pem\"\nkey = \"{folder}/admin-key.pem\"\nclient-ca = \"{folder}/clients.pem\"\n"
    );
    let gate = GateBuilder::new(&authority, recorder.address())
        .admin(&tls)
        .start();
    let client = clients.issue(1, &[uri_san("spiffe://acme/operator")]);
    let stranger = ClientCa::new().issue(1, &[uri_san("spiffe://acme/operator")]);
    let status = |path: &str, client: Option<&ClientCertificate>| {
        let mut roots = RootCertStore::empty();
        roots.add(leaf.cert.der().clone()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots);
        let config = match client {
            Some(client) => client.with_client_auth(config),
            None => config.with_no_client_auth(),
        };
        let Ok(mut connection) = Connection::open_with_config(config, gate.admin(), "localhost")
        else {
            return 0;
        };
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        connection.write(head.as_bytes());
        connection
            .try_response()
            .map_or(0, |response| response.status)
    };
    assert_eq!(status("/livez", None), 200);
    assert_eq!(status("/status", None), 401);
    assert_eq!(status("/status", Some(&client)), 200);
    assert_eq!(status("/livez", Some(&stranger)), 0);
    assert_eq!(
        exchange(gate.admin(), "GET /livez HTTP/1.1\r\nHost: localhost\r\n").0,
        0
    );
}

#[test]
fn tail_prints_decisions_and_retries_while_the_gate_is_away() {
    let fixture = fixture("token-file = \"DIR/token\"");
    let token = fixture.files.path().join("token");
    let mut child = Command::new(env!("CARGO_BIN_EXE_kinesis-gate"))
        .args(["tail", "--decision", "denied", "--admin"])
        .arg(format!("http://{}", fixture.gate.admin()))
        .arg("--token-file")
        .arg(token)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    // `tail` shows no decision from before it follows: deny requests until it shows one.
    let is_shown = AtomicBool::new(false);
    let (authority, gate) = (&fixture.authority, fixture.gate.address());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let end = Instant::now() + Duration::from_secs(20);
            while !is_shown.load(Ordering::Relaxed) && Instant::now() < end {
                put(authority, gate, "Mine");
                put(authority, gate, "Other");
            }
        });
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        is_shown.store(true, Ordering::Relaxed);
        let denied = line.get(13..).unwrap();
        assert!(
            denied.starts_with("implicit-deny 400 kinesis:PutRecord on arn:aws:kinesis:us-east-1:123456789012:stream/Other by arn:aws:iam::123456789012:user/producer"),
            "{line}"
        );
        assert!(!line.contains('\u{1b}'), "colour on a pipe: {line}");
    });
    drop(fixture);
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.ends_with("; trying again\n"), "{line}");
    assert!(child.try_wait().unwrap().is_none(), "`tail` ended");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn tail_reports_a_missing_token() {
    let fixture = fixture("token-file = \"DIR/token\"");
    let admin = format!("http://{}", fixture.gate.admin());
    let output = Command::new(env!("CARGO_BIN_EXE_kinesis-gate"))
        .args(["tail", "--admin", &admin])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("401 Unauthorized: send the token of `admin.token-file`"),
        "{error}"
    );
}
