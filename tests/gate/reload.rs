//! Reload: changes that take effect while requests go on, and changes that need a restart.

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

/// A policy that allows `PutRecord` to one stream, with the stream's name in its Sid.
fn allow_put(stream: &str) -> String {
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

fn wait_for(gate: &Gate, failure: &str, condition: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let status = status(gate);
        if condition(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "{failure}: {status:#}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn wait_for_reload(gate: &Gate, generation: u64) -> Value {
    wait_for(gate, "the gate did not reload", |status| {
        status["reload"]["generation"].as_u64() >= Some(generation)
    })
}

/// Replaces a file by a rename, as careful editors and tools do.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, path).unwrap();
}

#[test]
fn a_changed_policy_applies_to_the_next_request_of_an_open_connection() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint(ENDPOINT, &allow_put("a"))
        .start();
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    assert_eq!(statuses(&mut connection, ["a", "b"]), [200, 400]);
    let before = status(&gate);
    replace(&gate.path("policy-0.json"), &allow_put("b"));
    let after = wait_for_reload(&gate, 1);
    assert_eq!(statuses(&mut connection, ["a", "b"]), [400, 200]);
    assert_ne!(before["policies"], after["policies"]);
    assert_eq!(after["reload"]["last_error"], Value::Null);
    let log = gate.log(4);
    let statements = [&log[0], &log[3]].map(|line| line["statement"].clone());
    assert_eq!(statements, ["Toa", "Tob"]);
    assert_eq!(recorder.requests().len(), 2);
}

#[test]
fn an_invalid_policy_is_not_loaded_and_the_error_names_its_place() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint(ENDPOINT, &allow_put("a"))
        .start();
    let policy = gate.path("policy-0.json");
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    let valid = allow_put("b");
    let invalid = [
        (&valid[..valid.len() / 2], "policy-0.json:1:"),
        (&valid.replace("Allow", "allow"), "$.Statement[0].Effect"),
        ("", "policy-0.json"),
    ];
    for (failures, (text, place)) in (1..).zip(invalid) {
        replace(&policy, text);
        let status = wait_for(&gate, "the gate did not refuse it", |status| {
            status["reload"]["failures"].as_u64() >= Some(failures)
        });
        let error = status["reload"]["last_error"].as_str().unwrap();
        assert!(error.contains(place), "`{place}` is not in `{error}`");
        assert_eq!(status["reload"]["generation"], 0);
        assert_eq!(statuses(&mut connection, ["a", "b"]), [200, 400]);
        assert_eq!(get(gate.admin(), "/readyz").0, 200);
    }
    let page = get(gate.admin(), "/metrics").1;
    assert!(page.contains("kinesis_gate_reload_successful 0"), "{page}");
    // A missing file is an error; a file that is valid again is loaded.
    std::fs::remove_file(&policy).unwrap();
    let error = gate.reload().unwrap_err().to_string();
    assert!(error.contains("endpoint[0].policy"), "{error}");
    assert_eq!(statuses(&mut connection, ["a", "b"]), [200, 400]);
    replace(&policy, &valid);
    wait_for_reload(&gate, 1);
    assert_eq!(statuses(&mut connection, ["a", "b"]), [400, 200]);
}

/// A ConfigMap is a folder of links to a link to a folder; a new version switches the middle link.
#[test]
fn a_switched_symbolic_link_is_a_change() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint(ENDPOINT, &allow_put("a"))
        .start();
    for (version, stream) in [("..v1", "a"), ("..v2", "b")] {
        std::fs::create_dir(gate.path(version)).unwrap();
        std::fs::write(gate.path(version).join("policy-0.json"), allow_put(stream)).unwrap();
    }
    symlink("..v1", gate.path("..data")).unwrap();
    std::fs::remove_file(gate.path("policy-0.json")).unwrap();
    symlink("..data/policy-0.json", gate.path("policy-0.json")).unwrap();
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    assert_eq!(statuses(&mut connection, ["a", "b"]), [200, 400]);
    symlink("..v2", gate.path("..data_tmp")).unwrap();
    std::fs::rename(gate.path("..data_tmp"), gate.path("..data")).unwrap();
    wait_for_reload(&gate, 1);
    assert_eq!(statuses(&mut connection, ["a", "b"]), [400, 200]);
}

#[test]
fn settings_that_need_a_restart_are_named_and_the_rest_applies() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint(ENDPOINT, &allow_put("a"))
        .start();
    let file = gate.path("gate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(gate.path("policy-0.json"), allow_put("b")).unwrap();
    let text = text
        .replace("workers = 1", "workers = 2")
        .replace("[limits]", "[limits]\nconnections = 7");
    let added = "[[endpoint]]\nid = \"vpce-44dd55ee\"\nregion = \"us-east-1\"\ndefault-full-access = true\n\
                 [[listener]]\naddress = \"127.0.0.2:1\"\nendpoint = \"vpce-44dd55ee\"\n\
                 tls = { ca-certificate = \"ca.pem\", ca-key = \"ca-key.pem\" }\n";
    replace(&file, &(text + added));
    let status = wait_for_reload(&gate, 1);
    let expected = ["`workers`", "`limits`", "the listener at `127.0.0.2:1`"];
    assert_eq!(status["reload"]["needs_restart"], json!(expected));
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    assert_eq!(statuses(&mut connection, ["a", "b"]), [400, 200]);
}

#[test]
fn a_removed_endpoint_refuses_and_closes_its_connections() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint(ENDPOINT, &allow_put("a"))
        .start();
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    assert_eq!(statuses(&mut connection, ["a"]), [200]);
    let file = gate.path("gate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    replace(&file, &text.replace(ENDPOINT, "vpce-44dd55ee"));
    wait_for_reload(&gate, 1);
    connection.write(&put("a"));
    let response = connection.response();
    assert_eq!(response.error_type(), "UnrecognizedClientException");
    assert_eq!(response.header("connection"), Some("close"));
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    assert_eq!(statuses(&mut connection, ["a"]), [200]);
    assert_eq!(gate.log(3)[2]["endpoint"], "vpce-44dd55ee");
    let page = get(gate.admin(), "/metrics").1;
    let series = r#"requests_total{endpoint="other",operation="PutRecord",decision="allow"} 1"#;
    assert!(page.contains(series), "{page}");
}

#[test]
fn certificates_and_log_settings_are_reloaded() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    let before = Connection::open(&authority, gate.address(), HOST).server_certificate();
    let other = Arc::new(Authority::create().unwrap());
    let file = gate.path("gate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    // The CA of the upstream stays the first; the listeners' certificates are of the new CA.
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
    wait_for_reload(&gate, 1);
    let mut connection = Connection::open(&other, gate.address(), HOST);
    assert_ne!(connection.server_certificate(), before);
    connection.write(&Request::new("ListStreams", "{}").bytes());
    assert_eq!(connection.response().status, 200);
    connection.write(&Request::new("PutRecord", "{").bytes());
    assert_eq!(connection.response().status, 400);
    let log = gate.log(1);
    assert_eq!((log.len(), &log[0]["decision"]), (1, &json!("refused")));
}

/// Two policies in turn: no request fails, and none is decided by a mixture of both.
#[test]
fn reloads_under_load_lose_no_request_and_mix_no_policies() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint(ENDPOINT, &allow_put("a"))
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
            replace(
                &gate.path("policy-0.json"),
                &allow_put(["b", "a"][turn % 2]),
            );
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
        [0, 1].map(|index| counts.iter().map(|client| client[index]).sum::<usize>());
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
