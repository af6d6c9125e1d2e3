//! The admin port: what it tells, what it does, and who may not use it.

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

struct Stage {
    gate: Gate,
    authority: Arc<Authority>,
    _recorder: Recorder,
    _files: tempfile::TempDir,
}

/// A gate whose admin port has these settings; `DIR` in them is a folder with `token`.
fn stage(settings: &str) -> Stage {
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
    Stage {
        gate,
        authority,
        _recorder: recorder,
        _files: files,
    }
}

impl Stage {
    fn put(&self, stream: &str) -> u16 {
        put(&self.authority, self.gate.address(), stream)
    }

    /// One exchange, byte for byte.
    fn say(&self, request: &str) -> (u16, String) {
        say(self.gate.admin(), request)
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.say(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n"))
    }
}

fn put(authority: &Authority, gate: SocketAddr, stream: &str) -> u16 {
    let body = format!(r#"{{"StreamName":"{stream}","PartitionKey":"1","Data":"eA=="}}"#);
    Request::new("PutRecord", body).send(authority, gate).status
}

/// Sends a head, to which `Connection: close` and the empty line are added, and reads to the end.
fn say(admin: SocketAddr, head: &str) -> (u16, String) {
    let mut tcp = TcpStream::connect(admin).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let _ = tcp.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes());
    let mut answer = Vec::new();
    let _ = tcp.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    (status.unwrap_or(0), answer)
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

fn lines(answer: &str) -> Vec<Value> {
    let lines = body(answer).lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn decisions_are_kept_and_chosen_from() {
    let stage = stage("");
    for stream in ["Mine", "Other", "Mine", "Third"] {
        stage.put(stream);
    }
    assert_eq!(stage.gate.log(4).len(), 4);
    let chosen = |query: &str| lines(&stage.get(&format!("/decisions{query}")).1);
    assert_eq!(chosen("").len(), 4);
    assert_eq!(chosen("?limit=3")[2]["resource"], chosen("")[3]["resource"]);
    assert_eq!(chosen("?decision=allow").len(), 2);
    assert_eq!(chosen("?decision=denied").len(), 2);
    assert_eq!(chosen("?decision=implicit-deny&resource=third").len(), 1);
    assert_eq!(chosen("?decision=refused").len(), 0);
    assert_eq!(
        chosen("?principal=user%2Fproducer&action=putrecord").len(),
        4
    );
    assert_eq!(chosen("?principal=nobody").len(), 0);
    assert_eq!(chosen("?endpoint=vpce-33cc44dd&limit=1").len(), 1);
    for wrong in ["?decision=perhaps", "?limit=-1", "?colour=red"] {
        assert_eq!(stage.get(&format!("/decisions{wrong}")).0, 400, "{wrong}");
    }
}

#[test]
fn denials_outlive_the_traffic_that_passes() {
    let stage = stage("");
    stage.put("Other");
    let mut connection = Connection::open(&stage.authority, stage.gate.address(), HOST);
    let put = r#"{"StreamName":"Mine","PartitionKey":"1","Data":"eA=="}"#;
    let request = Request::new("PutRecord", put).bytes();
    // More lines than the ring of all has room for.
    for _ in 0..4000 {
        connection.write(&request);
        assert_eq!(connection.response().status, 200);
    }
    drop(connection);
    stage.gate.log(4001);
    let (_, all) = stage.get("/decisions?limit=100000");
    assert!(lines(&all).len() < 4001, "{}", lines(&all).len());
    assert!(!body(&all).contains("stream/Other"));
    let (_, denied) = stage.get("/decisions?decision=denied");
    assert_eq!(
        lines(&denied)[0]["resource"],
        "arn:aws:kinesis:us-east-1:123456789012:stream/Other"
    );
}

#[test]
fn decisions_are_followed_as_they_come() {
    let stage = stage("");
    let mut tcp = TcpStream::connect(stage.gate.admin()).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let ask = "GET /decisions?decision=denied HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    tcp.write_all(ask.as_bytes()).unwrap();
    let mut reader = BufReader::new(tcp);
    let mut next = |beginning: &str| loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "{beginning}");
        if line.starts_with(beginning) {
            return line;
        }
    };
    next("content-type: text/event-stream");
    next(": alive");
    stage.put("Mine");
    stage.put("Other");
    let line = next("data: ");
    let line: Value = serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(line["decision"], "implicit-deny");
}

#[test]
fn no_more_follow_than_may() {
    let stage = stage("");
    let follow = || {
        let mut tcp = TcpStream::connect(stage.gate.admin()).unwrap();
        tcp.write_all(b"GET /decisions?follow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .unwrap();
        let mut status = [0; 12];
        tcp.read_exact(&mut status).unwrap();
        (tcp, String::from_utf8(status.to_vec()).unwrap())
    };
    let kept: Vec<_> = (0..8).map(|_| follow()).collect();
    assert!(kept.iter().all(|(_, status)| status.ends_with("200")));
    assert!(follow().1.ends_with("503"));
    assert_eq!(stage.get("/livez").0, 200);
}

#[test]
fn the_status_tells_what_is_in_force_and_which_statements_decided() {
    let stage = stage("");
    stage.put("Mine");
    stage.gate.log(1);
    let (status, answer) = stage.get("/status");
    assert_eq!(status, 200);
    let status: Value = serde_json::from_str(body(&answer)).unwrap();
    assert_eq!(status["ready"], true);
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        status["listeners"][0]["address"],
        stage.gate.address().to_string()
    );
    assert!(
        status["listeners"][0]["certificate_expires"]
            .as_i64()
            .unwrap()
            > 1_700_000_000
    );
    let policies = status["policies"].as_array().unwrap();
    let policy = policies
        .iter()
        .find(|it| it["layer"] == "endpoint")
        .unwrap();
    assert_eq!(policy["text"], POLICY);
    assert_eq!(policy["attached_to"][0], "vpce-33cc44dd");
    let name = policy["policy"].as_str().unwrap();
    assert_eq!(status["decided"][name]["One"], 1);
    assert!(status["decided"][name]["Never"].is_null());
}

#[test]
fn what_another_page_or_a_form_could_send_does_nothing() {
    let stage = stage("");
    let own = format!("http://{}", stage.gate.admin());
    let host = stage.gate.admin().to_string();
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
        (200, format!("POST /reload HTTP/1.1\r\nHost: {host}\r\nX-Kinesis-Gate: 1\r\nOrigin: {own}\r\nContent-Length: 0\r\n")),
        (200, format!("GET /status HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Site: same-origin\r\n")),
    ];
    for (expected, head) in cases {
        let (status, answer) = stage.say(&head);
        assert_eq!(status, expected, "{head}{answer}");
        let lower = answer.to_ascii_lowercase();
        assert!(!lower.contains("access-control-"), "{answer}");
        assert!(
            lower.contains("x-content-type-options: nosniff"),
            "{answer}"
        );
    }
    assert_eq!(stage.get("/readyz").0, 200);
}

#[test]
fn a_token_opens_the_port_and_nothing_else_does() {
    let stage = stage("token-file = \"DIR/token\"");
    let with = |authorization: &str| {
        let head = format!("GET /status HTTP/1.1\r\nHost: localhost\r\n{authorization}");
        stage.say(&head).0
    };
    assert_eq!(with(&format!("Authorization: Bearer {TOKEN}\r\n")), 200);
    assert_eq!(with(&format!("Authorization: bearer {TOKEN}\r\n")), 200);
    let short = &TOKEN[..31];
    for wrong in [
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
        assert_eq!(with(&wrong), 401, "{wrong}");
    }
    for path in ["/metrics", "/decisions", "/decisions?follow", "/other"] {
        assert_eq!(stage.get(path).0, 401, "{path}");
    }
    for path in ["/livez", "/readyz", "/"] {
        assert_eq!(stage.get(path).0, 200, "{path}");
    }
    for path in ["/reload", "/drain"] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nX-Kinesis-Gate: 1\r\n");
        assert_eq!(stage.say(&head).0, 401, "{path}");
    }
    let head =
        format!("POST /reload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n");
    assert_eq!(stage.say(&head).0, 200);
}

#[test]
fn junk_and_slow_clients_take_nothing_from_others() {
    let stage = stage("");
    let huge = format!(
        "GET /status HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n",
        "x".repeat(64 << 10)
    );
    assert!([400, 431, 0].contains(&stage.say(&huge).0));
    let many = "X: y\r\n".repeat(500);
    let many = format!("GET /status HTTP/1.1\r\nHost: localhost\r\n{many}");
    assert!([400, 431, 0].contains(&stage.say(&many).0));
    for junk in [
        "GET /status\r\n",
        "\0\0\0\0\r\n",
        "GET /status HTTP/0.9\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let (status, _) = stage.say(junk);
        assert!([0, 400, 505].contains(&status), "{junk:?}: {status}");
    }
    // Heads that never end hold a place for ten seconds, and are then cut off.
    let mut slow: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut tcp = TcpStream::connect(stage.gate.admin()).unwrap();
            tcp.write_all(b"GET /livez HTTP/1.1\r\nHost: loc").unwrap();
            tcp
        })
        .collect();
    assert_eq!(stage.get("/livez").0, 200);
    let begun = Instant::now();
    for tcp in &mut slow {
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut rest = Vec::new();
        let _ = tcp.read_to_end(&mut rest);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(19),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn client_certificates_open_the_port_over_tls() {
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
    let ask = |path: &str, client: Option<&ClientCertificate>| {
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
        connection.try_response().map_or(0, |answer| answer.status)
    };
    assert_eq!(ask("/livez", None), 200);
    assert_eq!(ask("/status", None), 401);
    assert_eq!(ask("/status", Some(&client)), 200);
    assert_eq!(ask("/livez", Some(&stranger)), 0);
    assert_eq!(
        say(gate.admin(), "GET /livez HTTP/1.1\r\nHost: localhost\r\n").0,
        0
    );
}

#[test]
fn tail_prints_decisions_as_they_come_and_goes_on_when_the_gate_is_back() {
    let stage = stage("token-file = \"DIR/token\"");
    let token = stage._files.path().join("token");
    let mut child = Command::new(env!("CARGO_BIN_EXE_kinesis-gate"))
        .args(["tail", "--decision", "denied", "--admin"])
        .arg(format!("http://{}", stage.gate.admin()))
        .arg("--token-file")
        .arg(token)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut told = BufReader::new(child.stderr.take().unwrap());
    // What is denied before it follows is not shown: deny until it is.
    let done = AtomicBool::new(false);
    let (authority, gate) = (&stage.authority, stage.gate.address());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let end = Instant::now() + Duration::from_secs(20);
            while !done.load(Ordering::Relaxed) && Instant::now() < end {
                put(authority, gate, "Mine");
                put(authority, gate, "Other");
            }
        });
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        done.store(true, Ordering::Relaxed);
        let denied = line.get(13..).unwrap();
        assert!(
            denied.starts_with("implicit-deny 400 kinesis:PutRecord on arn:aws:kinesis:us-east-1:123456789012:stream/Other by arn:aws:iam::123456789012:user/producer"),
            "{line}"
        );
        assert!(!line.contains('\u{1b}'), "colour on a pipe: {line}");
    });
    drop(stage);
    let mut line = String::new();
    told.read_line(&mut line).unwrap();
    assert!(line.ends_with("; trying again\n"), "{line}");
    assert!(child.try_wait().unwrap().is_none(), "it gave up");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn tail_says_what_it_lacks() {
    let stage = stage("token-file = \"DIR/token\"");
    let admin = format!("http://{}", stage.gate.admin());
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
