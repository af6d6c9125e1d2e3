//! The decision log's ways: to a file that is rotated, to readers and disks that fail, sampled, and
//! as its schema says.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kinesis_gate::sandbox::Authority;
use serde_json::Value;

use crate::health_and_drain::get;
use crate::support::gate::log_schema;
use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, GateBuilder, HOST, Recorder};

const DEADLINE: Duration = Duration::from_secs(20);

fn configuration(recorder: &Recorder, log: &str) -> String {
    format!(
        "workers = 1\n[upstream]\nconnect = \"{}\"\nserver-name = \"localhost\"\nca-file = \"ca.pem\"\n\
         [admin]\naddress = \"127.0.0.1:0\"\n[log]\n{log}\n\
         [[endpoint]]\nid = \"vpce-33cc44dd\"\nregion = \"us-east-1\"\npolicy = \"policy.json\"\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\nendpoint = \"vpce-33cc44dd\"\n\
         tls = {{ ca-certificate = \"ca.pem\", ca-key = \"ca-key.pem\" }}\n",
        recorder.address()
    )
}

/// Allows PutRecord on one stream and on no other.
const POLICY: &str = r#"{"Statement":{"Sid":"One","Effect":"Allow","Principal":"*",
    "Action":"kinesis:PutRecord","Resource":"arn:aws:kinesis:*:*:stream/Mine"}}"#;

/// A gate in a process of its own, so that its descriptors can fail. Dropped, it is killed.
struct Process {
    child: Child,
    folder: tempfile::TempDir,
    told: PathBuf,
    authority: Authority,
    _recorder: Recorder,
}

impl Process {
    fn start(log: &str, out: Stdio) -> Process {
        Process::through(&[], log, out)
    }

    /// By a command that becomes the gate.
    fn through(command: &[&str], log: &str, out: Stdio) -> Process {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::create().unwrap();
        let recorder = Recorder::start(&authority, Behaviour::Respond);
        authority.write(folder.path()).unwrap();
        std::fs::write(folder.path().join("policy.json"), POLICY).unwrap();
        std::fs::write(
            folder.path().join("gate.toml"),
            configuration(&recorder, log),
        )
        .unwrap();
        let told = folder.path().join("told");
        let gate = [
            env!("CARGO_BIN_EXE_kinesis-gate"),
            "run",
            "--config",
            "gate.toml",
        ];
        let mut words = command.iter().chain(&gate);
        let child = Command::new(words.next().unwrap())
            .args(words)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(std::fs::File::create(&told).unwrap())
            .spawn()
            .unwrap();
        Process {
            child,
            folder,
            told,
            authority,
            _recorder: recorder,
        }
    }

    /// Waits for a line that it tells its operator, and returns what follows its beginning.
    fn told(&self, beginning: &str) -> String {
        let mut found = String::new();
        wait_until(|| {
            let told = std::fs::read_to_string(&self.told).unwrap();
            let line = told.lines().find_map(|line| line.strip_prefix(beginning));
            found = line.unwrap_or_default().to_owned();
            line.is_some()
        });
        found
    }

    fn connect(&self) -> Connection {
        let address = self.told("listening on ");
        let address = address.split(' ').next().unwrap().parse().unwrap();
        Connection::open(&self.authority, address, HOST)
    }

    fn metric(&self, name: &str) -> u64 {
        metric(self.told("admin on ").parse().unwrap(), name)
    }

    fn hang_up(&self) {
        let command = format!("kill -HUP {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &command]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn put(stream: &str) -> Request {
    let body = format!(r#"{{"StreamName":"{stream}","PartitionKey":"1","Data":"eA=="}}"#);
    Request::new("PutRecord", body)
}

fn send(connection: &mut Connection, stream: &str) -> u16 {
    connection.write(&put(stream).bytes());
    connection.response().status
}

pub fn metric(admin: std::net::SocketAddr, name: &str) -> u64 {
    let (_, page) = get(admin, "/metrics");
    let found = page.lines().find_map(|line| line.strip_prefix(name));
    found.map_or(0, |rest| rest.trim().parse().unwrap())
}

pub fn wait_until(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < deadline, "it never happens");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_file_is_rotated_under_load_and_no_line_is_lost() {
    let gate = Process::start("to = \"log.json\"", Stdio::null());
    let file = gate.folder.path().join("log.json");
    let mut connection = gate.connect();
    let sent = 600;
    for n in 0..sent {
        let stream = if n % 3 == 0 { "Other" } else { "Mine" };
        assert_eq!(
            send(&mut connection, stream),
            if n % 3 == 0 { 400 } else { 200 }
        );
        if n % 100 == 50 {
            std::fs::rename(&file, gate.folder.path().join(format!("log.{n}.json"))).unwrap();
            gate.hang_up();
            wait_until(|| file.exists());
        }
    }
    let mut files = 0;
    wait_until(|| {
        let entries = std::fs::read_dir(gate.folder.path()).unwrap();
        let logs = entries.map(|entry| entry.unwrap().path());
        let logs: Vec<_> = logs
            .filter(|path| {
                path.file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .starts_with("log.")
            })
            .collect();
        files = logs.len();
        let lines = logs.iter().map(|log| {
            let text = std::fs::read_to_string(log).unwrap();
            let whole = text.lines().filter(|line| {
                let line: Value = serde_json::from_str(line).unwrap();
                line["decision"].is_string()
            });
            whole.count()
        });
        lines.sum::<usize>() == sent
    });
    assert_eq!(files, 7);
    assert_eq!(gate.metric("kinesis_gate_log_lines_dropped_total"), 0);
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o027, 0, "others can read or write it: {mode:o}");
}

#[test]
fn a_full_disk_loses_lines_and_no_request_and_is_over_when_space_is_back() {
    let gate = Process::start("to = \"log.json\"", Stdio::null());
    let file = gate.folder.path().join("log.json");
    let mut connection = gate.connect();
    assert_eq!(send(&mut connection, "Mine"), 200);
    wait_until(|| std::fs::read_to_string(&file).unwrap().lines().count() == 1);
    // The next file is a disk without space.
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/dev/full", &file).unwrap();
    gate.hang_up();
    let mut lost = 0;
    wait_until(|| {
        assert_eq!(send(&mut connection, "Other"), 400);
        lost = gate.metric("kinesis_gate_log_lines_failed_total");
        lost > 0
    });
    gate.told("the decision log cannot be written, and loses lines: ");
    std::fs::remove_file(&file).unwrap();
    gate.hang_up();
    wait_until(|| file.is_file());
    assert_eq!(send(&mut connection, "Mine"), 200);
    wait_until(|| std::fs::read_to_string(&file).unwrap().ends_with("}\n"));
    for line in std::fs::read_to_string(&file).unwrap().lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
}

/// A disk of 64 KiB in `disk`, which nobody else sees.
const ON_A_SMALL_DISK: [&str; 6] = [
    "unshare",
    "--map-root-user",
    "--mount",
    "sh",
    "-c",
    r#"mkdir disk && mount -t tmpfs -o size=64k none disk && exec "$0" "$@""#,
];

#[test]
fn a_disk_that_fills_up_loses_lines_and_no_request_and_the_file_goes_on_with_whole_lines() {
    let gate = Process::through(&ON_A_SMALL_DISK, "to = \"disk/log.json\"", Stdio::null());
    let mut connection = gate.connect();
    let folder = gate.folder.path().strip_prefix("/").unwrap();
    let root = PathBuf::from(format!("/proc/{}/root", gate.child.id()));
    let disk = root.join(folder).join("disk");
    let other = disk.join("other");
    std::fs::write(&other, [0; 32 << 10]).unwrap();

    let mut sent = 0;
    let mut send = |requests: u64| {
        for _ in 0..requests {
            assert_eq!(send(&mut connection, "Mine"), 200);
        }
        sent += requests;
        sent
    };
    // Whole lines of the file, and what else is in it.
    let lines = || {
        let text = std::fs::read_to_string(disk.join("log.json")).unwrap();
        let is_whole = |line: &&str| serde_json::from_str::<Value>(line).is_ok();
        let (whole, torn): (Vec<_>, Vec<_>) = text.lines().partition(is_whole);
        (whole.len() as u64, torn.len())
    };
    let lost = || gate.metric("kinesis_gate_log_lines_failed_total");
    wait_until(|| {
        send(10);
        lost() > 0
    });
    gate.told("the decision log cannot be written, and loses lines: No space left on device");
    // What comes while it is full is answered, and counted.
    let all = send(30);
    wait_until(|| lines().0 + lost() == all);
    let (whole, torn) = lines();
    let before = lost();
    assert!(before >= 30 && torn <= 1, "{before} lost, {torn} torn");

    std::fs::remove_file(&other).unwrap();
    let all = send(20);
    wait_until(|| lines().0 + lost() == all);
    assert_eq!(
        lines(),
        (whole + 20, torn),
        "half a line is joined to another"
    );
    assert_eq!(lost(), before);
    assert_eq!(gate.metric("kinesis_gate_log_lines_dropped_total"), 0);
}

#[test]
fn a_pipe_that_nobody_reads_stalls_no_request_and_no_end() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut gate = Process::start("", writer.into());
    let mut connection = gate.connect();
    let mut answered = 0;
    while gate.metric("kinesis_gate_log_lines_dropped_total") == 0 {
        for _ in 0..200 {
            connection.write(&put(&"Other".repeat(20)).bytes());
            assert_eq!(connection.response().status, 400);
            answered += 1;
        }
        assert!(answered < 100_000, "nothing is dropped");
    }
    let (status, recent) = get(gate.told("admin on ").parse().unwrap(), "/livez");
    assert_eq!((status, recent.as_str()), (200, "ok\n"));
    let command = format!("kill -TERM {}", gate.child.id());
    Command::new("sh").args(["-c", &command]).status().unwrap();
    wait_until(|| gate.child.try_wait().unwrap().is_some());
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert!(text.lines().count() > 10);
}

#[test]
fn of_allowed_requests_a_sample_is_written_and_of_others_all() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint("vpce-33cc44dd", POLICY)
        .log("sample = 10")
        .start();
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    for n in 0..100 {
        let stream = if n % 4 == 0 { "Other" } else { "Mine" };
        send(&mut connection, stream);
    }
    drop(connection);
    let lines = gate.log(25 + 7);
    let allowed: Vec<_> = lines
        .iter()
        .filter(|line| line["decision"] == "allow")
        .collect();
    assert_eq!(allowed.len(), 7);
    assert!(allowed.iter().all(|line| line["sampled"] == 10));
    let denied = lines
        .iter()
        .filter(|line| line["decision"] == "implicit-deny");
    assert!(denied.clone().all(|line| line["sampled"].is_null()));
    assert_eq!(denied.count(), 25);
}

#[test]
fn the_schema_takes_what_is_documented_and_nothing_else() {
    let good = r#"{"time":"2026-11-25T09:00:00.123Z","endpoint":"vpce-1","peer":"127.0.0.1","principal":{},
        "action":"kinesis:PutRecord","resource":"*","decision":"implicit-deny","mode":"audit","layer":"endpoint",
        "policy":"p.json","candidate":{"decision":"allow","policy":"q.json","statement":"One"},"status":200,
        "request_bytes":0,"response_bytes":0,"total_us":1}"#;
    let good: Value = serde_json::from_str(good).unwrap();
    assert!(log_schema().is_valid(&good));
    for (member, value) in [
        ("colour", "red"),
        ("decision", "perhaps"),
        ("mode", "enforce"),
    ] {
        let mut wrong = good.clone();
        wrong[member] = value.into();
        assert!(!log_schema().is_valid(&wrong), "{member}");
    }
}

#[test]
fn every_member_of_the_schema_is_in_the_documentation() {
    let schema: Value =
        serde_json::from_str(include_str!("../../docs/decision-log.schema.json")).unwrap();
    let text = include_str!("../../docs/decision-log.md");
    for kind in ["request", "dropped", "tunnel"] {
        for name in schema["$defs"][kind]["properties"]
            .as_object()
            .unwrap()
            .keys()
        {
            assert!(text.contains(&format!("`{name}`")), "`{name}` of a {kind}");
        }
    }
}
