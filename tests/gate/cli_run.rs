//! The command line: `run` with a configuration file, `sandbox` and `health`, in their own processes.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use kinesis_gate::sandbox::Authority;
use serde_json::Value;

use crate::health_and_drain::get;
use crate::support::raw::{Connection, Request};
use crate::support::server_certificates::write_leaf;
use crate::support::{ACCOUNT, ANALYST_KEY_ID, Behaviour, HOST, KEY_ID, Recorder};

/// A process of `kinesis-gate`, killed on drop.
pub struct CliProcess {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

/// The lines of output so far, and a notification for each line.
type Lines = Arc<(Mutex<Vec<String>>, Condvar)>;

const TIMEOUT: Duration = Duration::from_secs(20);

impl CliProcess {
    pub fn start(arguments: &[&str]) -> CliProcess {
        CliProcess::spawn(Command::new(env!("CARGO_BIN_EXE_kinesis-gate")).args(arguments))
    }

    fn spawn(command: &mut Command) -> CliProcess {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        CliProcess {
            stdout: collect(child.stdout.take().unwrap()),
            stderr: collect(child.stderr.take().unwrap()),
            child,
        }
    }

    /// Starts `run` with a configuration file and waits until the gate listens.
    pub fn run(configuration: &Path) -> CliProcess {
        let process = CliProcess::start(&["run", "--config", configuration.to_str().unwrap()]);
        wait_for(&process.stderr, |lines| {
            lines.iter().any(|line| line.starts_with("admin on "))
        });
        process
    }

    /// The address of an endpoint's listener.
    pub fn address(&self, endpoint: &str) -> SocketAddr {
        let (lines, _) = &*self.stderr;
        let lines = lines.lock().unwrap();
        let suffix = format!(" for {endpoint}");
        let line = lines.iter().find(|line| line.ends_with(&suffix)).unwrap();
        line.split(' ').nth(2).unwrap().parse().unwrap()
    }

    fn admin(&self) -> SocketAddr {
        let (lines, _) = &*self.stderr;
        let lines = lines.lock().unwrap();
        let mut found = lines
            .iter()
            .filter_map(|line| line.strip_prefix("admin on "));
        found.next().unwrap().parse().unwrap()
    }

    /// The lines of standard output, once there are at least `count`.
    fn lines(&self, count: usize) -> Vec<String> {
        wait_for(&self.stdout, |lines| lines.len() >= count)
    }

    fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &command]).status().unwrap();
        assert!(sent.success());
    }

    fn wait_for_exit(&mut self) -> ExitStatus {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the process does not exit");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for CliProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(from: impl Read + Send + 'static) -> Lines {
    let lines = Lines::default();
    let sink = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            sink.0.lock().unwrap().push(line);
            sink.1.notify_all();
        }
    });
    lines
}

fn wait_for(lines: &Lines, is_enough: impl Fn(&[String]) -> bool) -> Vec<String> {
    let (lines, changed) = &**lines;
    let result =
        changed.wait_timeout_while(lines.lock().unwrap(), TIMEOUT, |lines| !is_enough(lines));
    let (guard, timed_out) = result.unwrap();
    assert!(!timed_out.timed_out(), "only {guard:#?}");
    guard.clone()
}

/// Writes a configuration with the three published policies as they are shipped. The first listener has
/// a certificate from files, the others issue theirs.
fn write_config(folder: &Path, authority: &Authority, upstream: SocketAddr) -> PathBuf {
    write_leaf(folder, authority, HOST);
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/policies");
    let policies = policies.display();
    let issued = r#"tls = { ca-certificate = "ca.pem", ca-key = "ca-key.pem" }"#;
    let text = format!(
        r#"
upstream = {{ connect = "{upstream}", server-name = "localhost", ca-file = "ca.pem" }}
admin = {{ address = "127.0.0.1:0" }}
[[principal]]
access-key-id = "{KEY_ID}"
arn = "arn:aws:iam::{ACCOUNT}:user/producer"
[[principal]]
access-key-id = "{ANALYST_KEY_ID}"
arn = "arn:aws:iam::{ACCOUNT}:user/analyst"
[[identity-policy]]
file = "{policies}/only-through-endpoint.json"
principals = ["arn:aws:iam::{ACCOUNT}:user/analyst"]
[[endpoint]]
id = "vpce-22bb33cc"
region = "us-east-1"
policy = "{policies}/read-only.json"
[[endpoint]]
id = "vpce-33cc44dd"
region = "us-east-1"
policy = "{policies}/one-stream.json"
[[endpoint]]
id = "vpce-11aa22bb"
region = "us-east-1"
default-full-access = true
[[listener]]
address = "127.0.0.1:0"
endpoint = "vpce-22bb33cc"
tls = {{ certificate = "leaf.pem", key = "leaf-key.pem" }}
[[listener]]
address = "127.0.0.1:0"
endpoint = "vpce-33cc44dd"
{issued}
[[listener]]
address = "127.0.0.1:0"
endpoint = "vpce-11aa22bb"
{issued}
"#
    );
    let file = folder.join("gate.toml");
    std::fs::write(&file, text).unwrap();
    file
}

/// Endpoint, access key id, operation, stream, decision and deciding statement.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
);

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("vpce-22bb33cc", KEY_ID, "ListShards", "MyStream", "allow", Some("ReadOnly")),
    ("vpce-22bb33cc", KEY_ID, "DescribeStream", "Other", "allow", Some("ReadOnly")),
    ("vpce-22bb33cc", KEY_ID, "PutRecord", "MyStream", "implicit-deny", None),
    ("vpce-33cc44dd", KEY_ID, "PutRecord", "MyStream", "allow", Some("AccessToSpecificDataStream")),
    ("vpce-33cc44dd", KEY_ID, "DeleteStream", "MyStream", "allow", Some("AccessToSpecificDataStream")),
    ("vpce-33cc44dd", KEY_ID, "PutRecord", "Other", "implicit-deny", None),
    ("vpce-11aa22bb", ANALYST_KEY_ID, "PutRecord", "MyStream", "allow", Some("#1")),
    ("vpce-33cc44dd", ANALYST_KEY_ID, "PutRecord", "MyStream", "explicit-deny", Some("AccessFromSpecificEndpoint")),
    ("vpce-22bb33cc", ANALYST_KEY_ID, "DescribeStream", "MyStream", "explicit-deny", Some("AccessFromSpecificEndpoint")),
    ("vpce-22bb33cc", ANALYST_KEY_ID, "DescribeStream", "Other", "allow", Some("ReadOnly")),
];

#[test]
fn run_enforces_the_published_policies() {
    let authority = Authority::create().unwrap();
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let folder = tempfile::tempdir().unwrap();
    let process = CliProcess::run(&write_config(folder.path(), &authority, recorder.address()));
    let mut forwarded = 0;
    for (endpoint, key, operation, stream, decision, _) in CASES {
        let body = format!(r#"{{"StreamName":"{stream}"}}"#);
        let request = Request::with_key(operation, body, key);
        let response = request.send(&authority, process.address(endpoint));
        let allowed = *decision == "allow";
        assert_eq!(
            response.status,
            if allowed { 200 } else { 400 },
            "{response:?}"
        );
        assert!(allowed || response.error_type() == "AccessDeniedException");
        forwarded += usize::from(allowed);
        assert_eq!(recorder.requests().len(), forwarded, "{operation} {stream}");
    }
    let mut log: Vec<Value> = process
        .lines(CASES.len())
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // Each event loop writes its own lines.
    log.sort_by_key(|line| line["time"].to_string());
    let mut found: Vec<String> = log
        .iter()
        .map(|line| {
            format!(
                "{} {} {}",
                line["endpoint"], line["decision"], line["statement"]
            )
        })
        .collect();
    let mut expected: Vec<String> = CASES
        .iter()
        .map(|(endpoint, _, _, _, decision, statement)| {
            let statement = statement.map_or("null".to_owned(), |sid| format!("\"{sid}\""));
            format!("\"{endpoint}\" \"{decision}\" {statement}")
        })
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    for line in &log {
        for member in ["decide_us", "total_us", "request_bytes", "response_bytes"] {
            assert!(line[member].is_u64(), "no {member} in {line}");
        }
    }
}

#[test]
fn sigterm_and_sigint_drain_the_gate_and_exit_with_zero() {
    let authority = Authority::create().unwrap();
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let mut process =
            CliProcess::run(&write_config(folder.path(), &authority, recorder.address()));
        let (address, admin) = (process.address("vpce-11aa22bb"), process.admin());
        assert_eq!(get(admin, "/readyz").0, 200);
        // The signal comes before the body of this request.
        let request = Request::new("PutRecord", r#"{"StreamName":"orders"}"#);
        let mut busy = Connection::open(&authority, address, HOST);
        busy.write(&request.header("Expect", "100-continue").head());
        assert_eq!(busy.response().status, 100, "the request is in flight");
        process.signal(signal);
        let deadline = Instant::now() + TIMEOUT;
        while get(admin, "/readyz").0 != 503 {
            assert!(Instant::now() < deadline, "the gate stays ready");
        }
        assert_eq!(get(admin, "/livez").0, 200, "live until it exits");
        while TcpStream::connect(address).is_ok() {
            assert!(Instant::now() < deadline, "the gate still listens");
        }
        busy.write(br#"{"StreamName":"orders"}"#);
        assert_eq!(busy.response().status, 200, "it is finished");
        drop(busy);
        assert_eq!(process.wait_for_exit().code(), Some(0), "{signal}");
        let lines = process.lines(1);
        assert!(lines[0].contains("kinesis:PutRecord"), "{lines:?}");
    }
}

/// Sends the requests of the commands that the sandbox prints, and reads its responses and decisions.
#[test]
fn the_sandbox_responds_as_it_prints() {
    let mut process = CliProcess::start(&["sandbox"]);
    let tour = wait_for(&process.stdout, |lines| {
        lines.iter().any(|line| line == "Decisions:")
    });
    let export = tour
        .iter()
        .find(|line| line.starts_with("export "))
        .unwrap();
    let variable = |name: &str| {
        let (_, after) = export.split_once(&format!("{name}=")).unwrap();
        after.split(' ').next().unwrap()
    };
    let ca = PathBuf::from(variable("AWS_CA_BUNDLE"));
    let trusted = std::fs::read_to_string(&ca).unwrap();
    let commands: Vec<(&String, &String)> = tour
        .iter()
        .zip(tour.iter().skip(1))
        .filter(|(line, _)| line.contains("aws kinesis "))
        .collect();
    assert_eq!(commands.len(), 6);
    for (n, (command, promise)) in commands.iter().enumerate() {
        let words: Vec<&str> = command.split(' ').collect();
        let argument = |name: &str| {
            let at = words.iter().position(|word| *word == name)?;
            words.get(at + 1).copied()
        };
        let key = words[0].strip_prefix("AWS_ACCESS_KEY_ID=");
        let key = key.unwrap_or(variable("AWS_ACCESS_KEY_ID"));
        let operation = match argument("kinesis").unwrap() {
            "list-streams" => "ListStreams",
            "put-record" => "PutRecord",
            "describe-stream-summary" => "DescribeStreamSummary",
            other => panic!("no operation for `{other}`"),
        };
        let body = match (argument("--stream-name"), argument("--data")) {
            (None, None) => "{}".to_owned(),
            (Some(stream), None) => format!(r#"{{"StreamName":"{stream}"}}"#),
            (stream, data) => format!(
                r#"{{"StreamName":"{}","Data":"{}","PartitionKey":"1"}}"#,
                stream.unwrap(),
                data.unwrap()
            ),
        };
        let url = argument("--endpoint-url").unwrap();
        let port: u16 = url.rsplit_once(':').unwrap().1.parse().unwrap();
        let request =
            Request::with_key(operation, body, key).replace("Host", &format!("localhost:{port}"));
        let mut connection =
            Connection::open_with_ca(&trusted, ([127, 0, 0, 1], port).into(), "localhost");
        connection.write(&request.bytes());
        let response = connection.response();
        let text = String::from_utf8(response.body.clone()).unwrap();
        if let Some((_, denial)) = promise.split_once("AccessDeniedException: … ") {
            assert_eq!(response.status, 400, "{command}: {text}");
            assert_eq!(response.error_type(), "AccessDeniedException", "{command}");
            assert!(response.message().ends_with(denial), "{command}: {text}");
        } else {
            assert_eq!(response.status, 200, "{command}: {text}");
            let members: &[&str] = match operation {
                "ListStreams" => &["MyStream", "OtherStream"],
                "PutRecord" => &["ShardId", "SequenceNumber"],
                _ => &["StreamDescriptionSummary"],
            };
            assert!(members.iter().all(|member| text.contains(member)), "{text}");
        }
        let lines = process.lines(tour.len() + n + 1);
        let line = lines.last().unwrap();
        assert!(line.contains(&format!("kinesis:{operation} on ")), "{line}");
        let decision = line.split(' ').next().unwrap();
        assert_eq!(decision == "allow", response.status == 200, "{line}");
    }
    process.signal("INT");
    assert_eq!(process.wait_for_exit().code(), Some(0), "Ctrl-C");
    assert!(!ca.exists(), "the folder is removed");
}

#[test]
fn run_raises_the_open_file_limit_and_notes_one_that_is_too_low() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let folder = tempfile::tempdir().unwrap();
    let configuration = write_config(folder.path(), &authority, recorder.address());
    let text = std::fs::read_to_string(&configuration).unwrap();
    // The default of `connections` needs 20128, a hundred need 328.
    for (hard, limits, is_enough) in [
        (512, "", false),
        (513, "[limits]\nconnections = 100\n", true),
    ] {
        std::fs::write(&configuration, format!("{text}{limits}")).unwrap();
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile=256:{hard}"));
        command.arg(env!("CARGO_BIN_EXE_kinesis-gate"));
        let command = command.args(["run", "--config", configuration.to_str().unwrap()]);
        let process = CliProcess::spawn(command);
        let stderr = wait_for(&process.stderr, |lines| {
            lines.iter().any(|line| line.starts_with("admin on "))
        });
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.child.id()));
        let limits = limits.unwrap();
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max open files"));
        let found: Vec<&str> = line.unwrap().split_whitespace().skip(3).take(2).collect();
        assert_eq!(found, [hard.to_string(), hard.to_string()]);
        let note = format!("note: {hard} files may be open at once");
        assert_eq!(
            !is_enough,
            stderr.iter().any(|line| line.starts_with(&note)),
            "{stderr:?}"
        );
    }
}

#[test]
fn health_exits_by_the_readiness_of_the_gate() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let folder = tempfile::tempdir().unwrap();
    let configuration = write_config(folder.path(), &authority, recorder.address());
    let process = CliProcess::run(&configuration);
    let admin = process.admin().to_string();
    for check in [&[][..], &["--live"]] {
        let arguments = [&["health"][..], check, &["--admin", &admin]].concat();
        assert!(CliProcess::start(&arguments).wait_for_exit().success());
    }
    drop(process);
    let mut health = CliProcess::start(&["health", "--admin", &admin]);
    assert_eq!(health.wait_for_exit().code(), Some(1));
    let stderr = wait_for(&health.stderr, |lines| !lines.is_empty());
    assert!(
        stderr[0].contains("/readyz: Connection refused"),
        "{stderr:?}"
    );
}

#[test]
fn systemd_is_notified_of_start_reload_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::create().unwrap();
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let file = write_config(folder.path(), &authority, recorder.address());
    let notify_socket = folder.path().join("notify");
    let socket = UnixDatagram::bind(&notify_socket).unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    let notification = || {
        let mut bytes = [0; 256];
        let len = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..len].to_vec()).unwrap()
    };
    let mut process = CliProcess::spawn(
        Command::new(env!("CARGO_BIN_EXE_kinesis-gate"))
            .args(["run", "--config", file.to_str().unwrap()])
            .env("NOTIFY_SOCKET", &notify_socket),
    );
    assert_eq!(notification(), "READY=1\n");
    let mut before = 0;
    let invalid = b"not a configuration".to_vec();
    for configuration in [std::fs::read(&file).unwrap(), invalid] {
        std::fs::write(&file, configuration).unwrap();
        process.signal("HUP");
        let reloading = notification();
        let at = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        let at: u64 = at.unwrap().trim_end().parse().unwrap();
        assert!(at > before);
        before = at;
        assert_eq!(notification(), "READY=1\n", "after a failure too");
    }
    process.signal("TERM");
    assert_eq!(notification(), "STOPPING=1\n");
    assert!(process.wait_for_exit().success());
}
