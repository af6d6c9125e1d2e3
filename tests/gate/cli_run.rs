//! The program itself, as people start it: `run` with a configuration file, and `sandbox`.

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

/// A process of the program. Dropped, it is killed.
pub struct CliProcess {
    child: Child,
    out: Lines,
    errors: Lines,
}

/// What a process has written so far, and a bell for each line.
type Lines = Arc<(Mutex<Vec<String>>, Condvar)>;

const DEADLINE: Duration = Duration::from_secs(20);

impl CliProcess {
    pub fn start(arguments: &[&str]) -> CliProcess {
        CliProcess::started(Command::new(env!("CARGO_BIN_EXE_kinesis-gate")).args(arguments))
    }

    fn started(command: &mut Command) -> CliProcess {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = collect(child.stdout.take().unwrap());
        let errors = collect(child.stderr.take().unwrap());
        CliProcess { child, out, errors }
    }

    /// `run` with a configuration, once it has said where it listens.
    pub fn run(configuration: &Path) -> CliProcess {
        let program = CliProcess::start(&["run", "--config", configuration.to_str().unwrap()]);
        wait_for(&program.errors, |lines| {
            lines.iter().any(|line| line.starts_with("admin on "))
        });
        program
    }

    /// Where it listens for an endpoint.
    pub fn address(&self, endpoint: &str) -> SocketAddr {
        let (lines, _) = &*self.errors;
        let lines = lines.lock().unwrap();
        let wanted = format!(" for {endpoint}");
        let line = lines.iter().find(|line| line.ends_with(&wanted)).unwrap();
        line.split(' ').nth(2).unwrap().parse().unwrap()
    }

    fn admin(&self) -> SocketAddr {
        let (lines, _) = &*self.errors;
        let lines = lines.lock().unwrap();
        let mut found = lines
            .iter()
            .filter_map(|line| line.strip_prefix("admin on "));
        found.next().unwrap().parse().unwrap()
    }

    /// Lines of its standard output, once there are so many.
    fn lines(&self, count: usize) -> Vec<String> {
        wait_for(&self.out, |lines| lines.len() >= count)
    }

    fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &command]).status().unwrap();
        assert!(sent.success());
    }

    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
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
    let written = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            written.0.lock().unwrap().push(line);
            written.1.notify_all();
        }
    });
    lines
}

fn wait_for(lines: &Lines, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
    let guard = lines.0.lock().unwrap();
    let waited = lines
        .1
        .wait_timeout_while(guard, DEADLINE, |lines| !enough(lines));
    let (guard, timed_out) = waited.unwrap();
    assert!(!timed_out.timed_out(), "only {guard:#?}");
    guard.clone()
}

/// The three published policies as they are shipped, in a configuration file as an operator writes
/// one. The first listener shows a certificate from files, the others mint theirs.
fn published(folder: &Path, authority: &Authority, upstream: SocketAddr) -> PathBuf {
    write_leaf(folder, authority, HOST);
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/policies");
    let policies = policies.display();
    let minted = r#"tls = { ca-certificate = "ca.pem", ca-key = "ca-key.pem" }"#;
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
{minted}
[[listener]]
address = "127.0.0.1:0"
endpoint = "vpce-11aa22bb"
{minted}
"#
    );
    let file = folder.join("gate.toml");
    std::fs::write(&file, text).unwrap();
    file
}

/// Endpoint, key, operation, stream, and the decision with its statement.
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
fn the_published_policies_through_run() {
    let authority = Authority::create().unwrap();
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let folder = tempfile::tempdir().unwrap();
    let program = CliProcess::run(&published(folder.path(), &authority, recorder.address()));
    let mut forwarded = 0;
    for (endpoint, key, operation, stream, decision, _) in CASES {
        let body = format!(r#"{{"StreamName":"{stream}"}}"#);
        let request = Request::with_key(operation, body, key);
        let answer = request.send(&authority, program.address(endpoint));
        let allowed = *decision == "allow";
        assert_eq!(answer.status, if allowed { 200 } else { 400 }, "{answer:?}");
        assert!(allowed || answer.error_type() == "AccessDeniedException");
        forwarded += usize::from(allowed);
        assert_eq!(recorder.requests().len(), forwarded, "{operation} {stream}");
    }
    let mut log: Vec<Value> = program
        .lines(CASES.len())
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // Event loops write their lines apart.
    log.sort_by_key(|line| line["time"].to_string());
    let mut said: Vec<String> = log
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
    said.sort();
    expected.sort();
    assert_eq!(said, expected);
    for line in &log {
        for member in ["decide_us", "total_us", "request_bytes", "response_bytes"] {
            assert!(line[member].is_u64(), "no {member} in {line}");
        }
    }
}

#[test]
fn signals_drain_and_end_it_well() {
    let authority = Authority::create().unwrap();
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let mut program =
            CliProcess::run(&published(folder.path(), &authority, recorder.address()));
        let (address, admin) = (program.address("vpce-11aa22bb"), program.admin());
        assert_eq!(get(admin, "/readyz").0, 200);
        // A request whose body is still to come when the signal does.
        let request = Request::new("PutRecord", r#"{"StreamName":"orders"}"#);
        let mut busy = Connection::open(&authority, address, HOST);
        busy.write(&request.header("Expect", "100-continue").head());
        assert_eq!(busy.response().status, 100, "it is under way");
        program.signal(signal);
        let deadline = Instant::now() + DEADLINE;
        while get(admin, "/readyz").0 != 503 {
            assert!(Instant::now() < deadline, "never stopped being ready");
        }
        assert_eq!(get(admin, "/livez").0, 200, "it lives until it ends");
        let refused = || TcpStream::connect(address).is_err();
        while !refused() {
            assert!(Instant::now() < deadline, "never stopped listening");
        }
        busy.write(br#"{"StreamName":"orders"}"#);
        assert_eq!(busy.response().status, 200, "what was accepted is finished");
        drop(busy);
        assert_eq!(program.ended().code(), Some(0), "{signal}");
        let lines = program.lines(1);
        assert!(lines[0].contains("kinesis:PutRecord"), "{lines:?}");
    }
}

/// What the sandbox prints to paste, made by hand; then what it says of it.
#[test]
fn the_sandbox_answers_as_it_prints() {
    let mut program = CliProcess::start(&["sandbox"]);
    let tour = wait_for(&program.out, |lines| {
        lines.iter().any(|line| line == "Decisions:")
    });
    let export = tour
        .iter()
        .find(|line| line.starts_with("export "))
        .unwrap();
    let set = |name: &str| {
        let (_, after) = export.split_once(&format!("{name}=")).unwrap();
        after.split(' ').next().unwrap()
    };
    let ca = PathBuf::from(set("AWS_CA_BUNDLE"));
    let trusted = std::fs::read_to_string(&ca).unwrap();
    let commands: Vec<(&String, &String)> = tour
        .iter()
        .zip(tour.iter().skip(1))
        .filter(|(line, _)| line.contains("aws kinesis "))
        .collect();
    assert_eq!(commands.len(), 6);
    for (n, (command, promise)) in commands.iter().enumerate() {
        let words: Vec<&str> = command.split(' ').collect();
        let after = |word: &str| {
            let at = words.iter().position(|known| *known == word)?;
            words.get(at + 1).copied()
        };
        let key = words[0].strip_prefix("AWS_ACCESS_KEY_ID=");
        let operation = match after("kinesis").unwrap() {
            "list-streams" => "ListStreams",
            "put-record" => "PutRecord",
            "describe-stream-summary" => "DescribeStreamSummary",
            other => panic!("`{other}` is new: say which operation it is"),
        };
        let body = match (after("--stream-name"), after("--data")) {
            (None, None) => "{}".to_owned(),
            (Some(stream), None) => format!(r#"{{"StreamName":"{stream}"}}"#),
            (stream, data) => format!(
                r#"{{"StreamName":"{}","Data":"{}","PartitionKey":"1"}}"#,
                stream.unwrap(),
                data.unwrap()
            ),
        };
        let url = after("--endpoint-url").unwrap();
        let port: u16 = url.rsplit_once(':').unwrap().1.parse().unwrap();
        let request = Request::with_key(operation, body, key.unwrap_or(set("AWS_ACCESS_KEY_ID")))
            .replace("Host", &format!("localhost:{port}"));
        let mut connection =
            Connection::open_with_ca(&trusted, ([127, 0, 0, 1], port).into(), "localhost");
        connection.write(&request.bytes());
        let answer = connection.response();
        let text = String::from_utf8(answer.body.clone()).unwrap();
        if let Some((_, denial)) = promise.split_once("AccessDeniedException: … ") {
            assert_eq!(answer.status, 400, "{command}: {text}");
            assert_eq!(answer.error_type(), "AccessDeniedException", "{command}");
            assert!(answer.message().ends_with(denial), "{command}: {text}");
        } else {
            assert_eq!(answer.status, 200, "{command}: {text}");
            let members: &[&str] = match operation {
                "ListStreams" => &["MyStream", "OtherStream"],
                "PutRecord" => &["ShardId", "SequenceNumber"],
                _ => &["StreamDescriptionSummary"],
            };
            assert!(members.iter().all(|member| text.contains(member)), "{text}");
        }
        let lines = program.lines(tour.len() + n + 1);
        let said = lines.last().unwrap();
        assert!(said.contains(&format!("kinesis:{operation} on ")), "{said}");
        let verdict = said.split(' ').next().unwrap();
        assert_eq!(verdict == "allow", answer.status == 200, "{said}");
    }
    program.signal("INT");
    assert_eq!(program.ended().code(), Some(0), "Ctrl-C ends it well");
    assert!(!ca.exists(), "its folder is gone");
}

#[test]
fn it_raises_its_open_files_and_tells_where_they_do_not_do() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let folder = tempfile::tempdir().unwrap();
    let configuration = published(folder.path(), &authority, recorder.address());
    let text = std::fs::read_to_string(&configuration).unwrap();
    // The default of `connections` needs 20128, a hundred need 328.
    for (hard, limits, does) in [
        (512, "", false),
        (513, "[limits]\nconnections = 100\n", true),
    ] {
        std::fs::write(&configuration, format!("{text}{limits}")).unwrap();
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile=256:{hard}"));
        command.arg(env!("CARGO_BIN_EXE_kinesis-gate"));
        let command = command.args(["run", "--config", configuration.to_str().unwrap()]);
        let program = CliProcess::started(command);
        let told = wait_for(&program.errors, |lines| {
            lines.iter().any(|line| line.starts_with("admin on "))
        });
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", program.child.id()));
        let limits = limits.unwrap();
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max open files"));
        let found: Vec<&str> = line.unwrap().split_whitespace().skip(3).take(2).collect();
        assert_eq!(found, [hard.to_string(), hard.to_string()]);
        let note = format!("note: {hard} files may be open at once");
        assert_eq!(
            !does,
            told.iter().any(|line| line.starts_with(&note)),
            "{told:?}"
        );
    }
}

#[test]
fn health_asks_the_admin_port() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let folder = tempfile::tempdir().unwrap();
    let configuration = published(folder.path(), &authority, recorder.address());
    let program = CliProcess::run(&configuration);
    let admin = program.admin().to_string();
    for more in [&["--admin", &admin][..], &["--live", "--admin", &admin]] {
        let mut asked = CliProcess::start(&[&["health"], more].concat());
        assert!(asked.ended().success());
    }
    drop(program);
    let mut asked = CliProcess::start(&["health", "--admin", &admin]);
    assert_eq!(asked.ended().code(), Some(1));
    let told = wait_for(&asked.errors, |lines| !lines.is_empty());
    assert!(told[0].contains("/readyz: Connection refused"), "{told:?}");
}

#[test]
fn the_service_manager_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::create().unwrap();
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let file = published(folder.path(), &authority, recorder.address());
    let manager = folder.path().join("notify");
    let socket = UnixDatagram::bind(&manager).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let told = || {
        let mut bytes = [0; 256];
        let len = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..len].to_vec()).unwrap()
    };
    let mut program = CliProcess::started(
        Command::new(env!("CARGO_BIN_EXE_kinesis-gate"))
            .args(["run", "--config", file.to_str().unwrap()])
            .env("NOTIFY_SOCKET", &manager),
    );
    assert_eq!(told(), "READY=1\n");
    let mut before = 0;
    for configuration in [std::fs::read(&file).unwrap(), b"what it cannot be".to_vec()] {
        std::fs::write(&file, configuration).unwrap();
        program.signal("HUP");
        let reloading = told();
        let at = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        let at: u64 = at.unwrap().trim_end().parse().unwrap();
        assert!(at > before);
        before = at;
        assert_eq!(told(), "READY=1\n", "whether it was taken over or not");
    }
    program.signal("TERM");
    assert_eq!(told(), "STOPPING=1\n");
    assert!(program.ended().success());
}
