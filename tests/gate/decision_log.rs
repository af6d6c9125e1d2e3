//! The decision log: file rotation, full disks, pipes without a reader, sampling, and the schema.

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

const TIMEOUT: Duration = Duration::from_secs(20);

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

/// Allows PutRecord on one stream.
const POLICY: &str = r#"{"Statement":{"Sid":"One","Effect":"Allow","Principal":"*",
    "Action":"kinesis:PutRecord","Resource":"arn:aws:kinesis:*:*:stream/Mine"}}"#;

/// A gate in its own process, whose log can fail; killed on drop.
struct LogProcess {
    child: Child,
    folder: tempfile::TempDir,
    stderr: PathBuf,
    authority: Authority,
    _recorder: Recorder,
}

impl LogProcess {
    fn start(log: &str, stdout: Stdio) -> LogProcess {
        LogProcess::start_by(&[], log, stdout)
    }

    /// Starts the gate by a command that executes its arguments.
    fn start_by(command: &[&str], log: &str, stdout: Stdio) -> LogProcess {
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
        let stderr = folder.path().join("stderr");
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
            .stdout(stdout)
            .stderr(std::fs::File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        LogProcess {
            child,
            folder,
            stderr,
            authority,
            _recorder: recorder,
        }
    }

    /// Waits for a line of standard error with this prefix, and returns what follows the prefix.
    fn message(&self, prefix: &str) -> String {
        let mut message = String::new();
        wait_until(|| {
            let stderr = std::fs::read_to_string(&self.stderr).unwrap();
            let line = stderr.lines().find_map(|line| line.strip_prefix(prefix));
            message = line.unwrap_or_default().to_owned();
            line.is_some()
        });
        message
    }

    fn connect(&self) -> Connection {
        let address = self.message("listening on ");
        let address = address.split(' ').next().unwrap().parse().unwrap();
        Connection::open(&self.authority, address, HOST)
    }

    fn metric(&self, name: &str) -> u64 {
        metric(self.message("admin on ").parse().unwrap(), name)
    }

    fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &command]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for LogProcess {
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

/// The value of a metric on the metrics page.
pub fn metric(admin: std::net::SocketAddr, name: &str) -> u64 {
    let (_, page) = get(admin, "/metrics");
    let value = page.lines().find_map(|line| line.strip_prefix(name));
    value.map_or(0, |text| text.trim().parse().unwrap())
}

pub fn wait_until(mut is_done: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !is_done() {
        assert!(Instant::now() < deadline, "timed out");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn no_line_is_lost_when_the_file_is_rotated_under_load() {
    let gate = LogProcess::start("to = \"log.json\"", Stdio::null());
    let file = gate.folder.path().join("log.json");
    let mut connection = gate.connect();
    let sent = 600;
    for n in 0..sent {
        let (stream, status) = if n % 3 == 0 {
            ("Other", 400)
        } else {
            ("Mine", 200)
        };
        assert_eq!(send(&mut connection, stream), status);
        if n % 100 == 50 {
            std::fs::rename(&file, gate.folder.path().join(format!("log.{n}.json"))).unwrap();
            gate.signal("HUP");
            wait_until(|| file.exists());
        }
    }
    let mut files = 0;
    wait_until(|| {
        let entries = std::fs::read_dir(gate.folder.path()).unwrap();
        let logs = entries.map(|entry| entry.unwrap().path());
        let is_log = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with("log.")
        };
        let logs: Vec<_> = logs.filter(is_log).collect();
        files = logs.len();
        let lines = logs.iter().map(|log| {
            let text = std::fs::read_to_string(log).unwrap();
            let decisions = text.lines().filter(|line| {
                let line: Value = serde_json::from_str(line).unwrap();
                line["decision"].is_string()
            });
            decisions.count()
        });
        lines.sum::<usize>() == sent
    });
    assert_eq!(files, 7);
    assert_eq!(gate.metric("kinesis_gate_log_lines_dropped_total"), 0);
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o027, 0, "mode {mode:o}");
}

#[test]
fn a_full_disk_loses_lines_but_no_request_until_it_has_space() {
    let gate = LogProcess::start("to = \"log.json\"", Stdio::null());
    let file = gate.folder.path().join("log.json");
    let mut connection = gate.connect();
    assert_eq!(send(&mut connection, "Mine"), 200);
    wait_until(|| std::fs::read_to_string(&file).unwrap().lines().count() == 1);
    // The next file has no space.
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/dev/full", &file).unwrap();
    gate.signal("HUP");
    let mut lost = 0;
    wait_until(|| {
        assert_eq!(send(&mut connection, "Other"), 400);
        lost = gate.metric("kinesis_gate_log_lines_failed_total");
        lost > 0
    });
    gate.message("the decision log cannot be written, and loses lines: ");
    std::fs::remove_file(&file).unwrap();
    gate.signal("HUP");
    wait_until(|| file.is_file());
    assert_eq!(send(&mut connection, "Mine"), 200);
    wait_until(|| std::fs::read_to_string(&file).unwrap().ends_with("}\n"));
    for line in std::fs::read_to_string(&file).unwrap().lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
}

/// Mounts a file system of 64 KiB at `disk`, in a mount namespace of its own.
const ON_A_SMALL_DISK: [&str; 6] = [
    "unshare",
    "--map-root-user",
    "--mount",
    "sh",
    "-c",
    r#"mkdir disk && mount -t tmpfs -o size=64k none disk && exec "$0" "$@""#,
];

#[test]
fn after_a_full_disk_the_file_continues_with_whole_lines() {
    let gate = LogProcess::start_by(&ON_A_SMALL_DISK, "to = \"disk/log.json\"", Stdio::null());
    let mut connection = gate.connect();
    let folder = gate.folder.path().strip_prefix("/").unwrap();
    let root = PathBuf::from(format!("/proc/{}/root", gate.child.id()));
    let disk = root.join(folder).join("disk");
    let filler = disk.join("filler");
    std::fs::write(&filler, [0; 32 << 10]).unwrap();

    let mut sent = 0;
    let mut send = |requests: u64| {
        for _ in 0..requests {
            assert_eq!(send(&mut connection, "Mine"), 200);
        }
        sent += requests;
        sent
    };
    // The number of whole lines of the file, and of torn lines.
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
    gate.message("the decision log cannot be written, and loses lines: No space left on device");
    // While the disk is full, requests get a response and lost lines are counted.
    let all = send(30);
    wait_until(|| lines().0 + lost() == all);
    let (whole, torn) = lines();
    let before = lost();
    assert!(before >= 30 && torn <= 1, "{before} lost, {torn} torn");

    std::fs::remove_file(&filler).unwrap();
    let all = send(20);
    wait_until(|| lines().0 + lost() == all);
    assert_eq!(
        lines(),
        (whole + 20, torn),
        "a torn line is joined to another"
    );
    assert_eq!(lost(), before);
    assert_eq!(gate.metric("kinesis_gate_log_lines_dropped_total"), 0);
}

#[test]
fn a_pipe_without_a_reader_blocks_no_request_and_no_drain() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut gate = LogProcess::start("", writer.into());
    let mut connection = gate.connect();
    let mut requests = 0;
    while gate.metric("kinesis_gate_log_lines_dropped_total") == 0 {
        for _ in 0..200 {
            connection.write(&put(&"Other".repeat(20)).bytes());
            assert_eq!(connection.response().status, 400);
            requests += 1;
        }
        assert!(requests < 100_000, "nothing is dropped");
    }
    let (status, page) = get(gate.message("admin on ").parse().unwrap(), "/livez");
    assert_eq!((status, page.as_str()), (200, "ok\n"));
    gate.signal("TERM");
    wait_until(|| gate.child.try_wait().unwrap().is_some());
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert!(text.lines().count() > 10);
}

#[test]
fn allowed_requests_are_sampled_and_denied_requests_are_all_logged() {
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
fn the_schema_accepts_documented_members_only() {
    let valid = r#"{"time":"2026-11-25T09:00:00.123Z","endpoint":"vpce-1","peer":"127.0.0.1","principal":{},
        "action":"kinesis:PutRecord","resource":"*","decision":"implicit-deny","mode":"audit","layer":"endpoint",
        "policy":"p.json","candidate":{"decision":"allow","policy":"q.json","statement":"One"},"status":200,
        "request_bytes":0,"response_bytes":0,"total_us":1}"#;
    let valid: Value = serde_json::from_str(valid).unwrap();
    assert!(log_schema().is_valid(&valid));
    for (member, value) in [
        ("colour", "red"),
        ("decision", "perhaps"),
        ("mode", "enforce"),
    ] {
        let mut invalid = valid.clone();
        invalid[member] = value.into();
        assert!(!log_schema().is_valid(&invalid), "{member}");
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
