//! Changes that are taken over while requests go on, and those that are not.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kinesis_gate::sandbox::Authority;
use serde_json::{Value, json};

use crate::health_and_drain::get;
use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, ENDPOINT, Gate, GateBuilder, HOST, Recorder};

/// Allows records to one stream, and calls itself after it.
fn only(stream: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": format!("To{stream}"), "Effect": "Allow", "Principal": "*", "Action": "kinesis:PutRecord",
        "Resource": format!("arn:aws:kinesis:us-east-1:123456789012:stream/{stream}"),
    }]})
    .to_string()
}

fn put(stream: &str) -> Vec<u8> {
    let body = format!(r#"{{"Data":"QQ==","PartitionKey":"1","StreamName":"{stream}"}}"#);
    Request::new("PutRecord", body).bytes()
}

fn statuses<const N: usize>(connection: &mut Connection, streams: [&str; N]) -> [u16; N] {
    streams.map(|stream| {
        connection.write(&put(stream));
        connection.response().status
    })
}

fn status(gate: &Gate) -> Value {
    serde_json::from_str(&get(gate.admin(), "/status").1).unwrap()
}

fn wait_for(gate: &Gate, what: &str, until: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let status = status(gate);
        if until(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "{what}: {status:#}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn reloaded(gate: &Gate, times: u64) -> Value {
    wait_for(gate, "it was not reloaded", |status| {
        status["reload"]["generation"].as_u64() >= Some(times)
    })
}

/// Puts a file in the place of another, as careful editors and tools do.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, path).unwrap();
}

#[test]
fn a_changed_policy_holds_for_the_next_request_of_an_open_connection() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint(ENDPOINT, &only("a"))
        .start();
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    assert_eq!(statuses(&mut connection, ["a", "b"]), [200, 400]);
    let before = status(&gate);
    replace(&gate.path("policy-0.json"), &only("b"));
    let after = reloaded(&gate, 1);
    assert_eq!(statuses(&mut connection, ["a", "b"]), [400, 200]);
    assert_ne!(before["policies"], after["policies"]);
    assert_eq!(after["reload"]["last_error"], Value::Null);
    let log = gate.log(4);
    let decided = [&log[0], &log[3]].map(|line| line["statement"].clone());
    assert_eq!(decided, ["Toa", "Tob"]);
    assert_eq!(recorder.requests().len(), 2);
}

#[test]
fn what_is_not_valid_is_not_taken_over_and_told_with_its_place() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint(ENDPOINT, &only("a"))
        .start();
    let policy = gate.path("policy-0.json");
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    let torn = only("b");
    let wrong = [
        (&torn[..torn.len() / 2], "policy-0.json:1:"),
        (&torn.replace("Allow", "allow"), "$.Statement[0].Effect"),
        ("", "policy-0.json"),
    ];
    for (failures, (text, told)) in (1..).zip(wrong) {
        replace(&policy, text);
        let status = wait_for(&gate, "it was not refused", |status| {
            status["reload"]["failures"].as_u64() >= Some(failures)
        });
        let error = status["reload"]["last_error"].as_str().unwrap();
        assert!(error.contains(told), "`{told}` is not in `{error}`");
        assert_eq!(status["reload"]["generation"], 0);
        assert_eq!(statuses(&mut connection, ["a", "b"]), [200, 400]);
        assert_eq!(get(gate.admin(), "/readyz").0, 200);
    }
    let page = get(gate.admin(), "/metrics").1;
    assert!(page.contains("kinesis_gate_reload_successful 0"), "{page}");
    // A file that is gone is none, and one that is good again holds.
    std::fs::remove_file(&policy).unwrap();
    let error = gate.reload().unwrap_err().to_string();
    assert!(error.contains("endpoint[0].policy"), "{error}");
    assert_eq!(statuses(&mut connection, ["a", "b"]), [200, 400]);
    replace(&policy, &torn);
    reloaded(&gate, 1);
    assert_eq!(statuses(&mut connection, ["a", "b"]), [400, 200]);
}

/// A ConfigMap is a folder of links to a link to a folder; a new version turns the middle one.
#[test]
fn a_turned_link_is_a_change() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint(ENDPOINT, &only("a"))
        .start();
    for (version, stream) in [("..v1", "a"), ("..v2", "b")] {
        std::fs::create_dir(gate.path(version)).unwrap();
        std::fs::write(gate.path(version).join("policy-0.json"), only(stream)).unwrap();
    }
    symlink("..v1", gate.path("..data")).unwrap();
    std::fs::remove_file(gate.path("policy-0.json")).unwrap();
    symlink("..data/policy-0.json", gate.path("policy-0.json")).unwrap();
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    assert_eq!(statuses(&mut connection, ["a", "b"]), [200, 400]);
    symlink("..v2", gate.path("..data_tmp")).unwrap();
    std::fs::rename(gate.path("..data_tmp"), gate.path("..data")).unwrap();
    reloaded(&gate, 1);
    assert_eq!(statuses(&mut connection, ["a", "b"]), [400, 200]);
}

#[test]
fn what_cannot_change_is_named_and_the_rest_holds() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint(ENDPOINT, &only("a"))
        .start();
    let file = gate.path("gate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(gate.path("policy-0.json"), only("b")).unwrap();
    let text = text
        .replace("workers = 1", "workers = 2")
        .replace("[limits]", "[limits]\nconnections = 7");
    let added = "[[endpoint]]\nid = \"vpce-44dd55ee\"\nregion = \"us-east-1\"\ndefault-full-access = true\n\
                 [[listener]]\naddress = \"127.0.0.2:1\"\nendpoint = \"vpce-44dd55ee\"\n\
                 tls = { ca-certificate = \"ca.pem\", ca-key = \"ca-key.pem\" }\n";
    replace(&file, &(text + added));
    let status = reloaded(&gate, 1);
    let expected = ["`workers`", "`limits`", "the listener at `127.0.0.2:1`"];
    assert_eq!(status["reload"]["needs_restart"], json!(expected));
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    assert_eq!(statuses(&mut connection, ["a", "b"]), [400, 200]);
}

#[test]
fn an_endpoint_that_is_gone_refuses_its_connections_and_closes_them() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint(ENDPOINT, &only("a"))
        .start();
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    assert_eq!(statuses(&mut connection, ["a"]), [200]);
    let file = gate.path("gate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    replace(&file, &text.replace(ENDPOINT, "vpce-44dd55ee"));
    reloaded(&gate, 1);
    connection.write(&put("a"));
    let answer = connection.response();
    assert_eq!(answer.error_type(), "UnrecognizedClientException");
    assert_eq!(answer.header("connection"), Some("close"));
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    assert_eq!(statuses(&mut connection, ["a"]), [200]);
    assert_eq!(gate.log(3)[2]["endpoint"], "vpce-44dd55ee");
    let page = get(gate.admin(), "/metrics").1;
    let counted = r#"requests_total{endpoint="other",operation="PutRecord",decision="allow"} 1"#;
    assert!(page.contains(counted), "{page}");
}

#[test]
fn certificates_and_log_settings_are_taken_over() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    let before = Connection::open(&authority, gate.address(), HOST).server_certificate();
    let other = Arc::new(Authority::create().unwrap());
    let file = gate.path("gate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    // The upstream's CA is the one of the start; what listeners show is the new one's.
    std::fs::create_dir(gate.path("new")).unwrap();
    other.write(&gate.path("new")).unwrap();
    let text = text
        .replace(
            "ca-certificate = \"ca.pem\"",
            "ca-certificate = \"new/ca.pem\"",
        )
        .replace("ca-key = \"ca-key.pem\"", "ca-key = \"new/ca-key.pem\"")
        .replace("[log]", "[log]\nallowed = \"none\"");
    replace(&file, &text);
    reloaded(&gate, 1);
    let mut connection = Connection::open(&other, gate.address(), HOST);
    assert_ne!(connection.server_certificate(), before);
    connection.write(&Request::new("ListStreams", "{}").bytes());
    assert_eq!(connection.response().status, 200);
    connection.write(&Request::new("PutRecord", "{").bytes());
    assert_eq!(connection.response().status, 400);
    let log = gate.log(1);
    assert_eq!((log.len(), &log[0]["decision"]), (1, &json!("refused")));
}

/// Two policies in turn, as fast as they can be: no request fails, and none is decided by a mixture.
#[test]
fn reloads_under_load_lose_no_request_and_mix_nothing() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint(ENDPOINT, &only("a"))
        .workers(2)
        .start();
    let done = AtomicBool::new(false);
    let address = gate.address();
    let counts: Vec<[usize; 2]> = std::thread::scope(|scope| {
        let client = || {
            let mut connection = Connection::open(&authority, address, HOST);
            let mut counts = [0; 2];
            while !done.load(Ordering::Relaxed) {
                for status in statuses(&mut connection, ["a", "b"]) {
                    counts[usize::from(match status {
                        200 => true,
                        400 => false,
                        other => panic!("{other}"),
                    })] += 1;
                }
            }
            counts
        };
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(client)).collect();
        for turn in 0..60 {
            replace(&gate.path("policy-0.json"), &only(["b", "a"][turn % 2]));
            gate.reload().unwrap();
            std::thread::sleep(Duration::from_millis(50));
        }
        done.store(true, Ordering::Relaxed);
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    });
    let [denied, allowed] =
        [0, 1].map(|place| counts.iter().map(|each| each[place]).sum::<usize>());
    assert!(denied > 50 && allowed > 50, "{counts:?}");
    let log = gate.log(denied + allowed);
    assert_eq!(recorder.requests().len(), allowed);
    for line in log {
        let stream = line["resource"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap();
        match line["decision"].as_str().unwrap() {
            "allow" => assert_eq!(line["statement"], format!("To{stream}"), "{line}"),
            decision => assert_eq!(decision, "implicit-deny", "{line}"),
        }
    }
    assert_eq!(status(&gate)["reload"]["failures"], 0);
}
