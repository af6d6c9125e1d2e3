//! A gate in the process of the tests.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, Once};
use std::time::{Duration, Instant};

use kinesis_gate::app::{self, RunningGate};
use kinesis_gate::config::Problems;
use kinesis_gate::observe::{Clock, LogFormat, Sink};
use kinesis_gate::sandbox::Authority;
use serde_json::Value;
use tempfile::TempDir;

use super::{ACCOUNT, ANALYST_KEY_ID, ENDPOINT, KEY_ID};

/// A running gate, drained on drop.
pub struct Gate {
    folder: TempDir,
    pub authority: Arc<Authority>,
    addresses: Vec<SocketAddr>,
    admin: SocketAddr,
    log: Log,
    running: Option<RunningGate>,
}

/// The configuration of a gate.
pub struct GateBuilder {
    authority: Arc<Authority>,
    upstream: String,
    policies: Vec<(&'static str, String)>,
    limits: String,
    tokens: String,
    log: String,
    admin: String,
    tables: String,
    clock: Clock,
    workers: usize,
    port: u16,
    config: Option<String>,
}

/// The decision log, as the gate writes it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl GateBuilder {
    /// A gate in front of an upstream with a certificate of `authority` for `localhost`.
    pub fn new(authority: &Arc<Authority>, upstream: SocketAddr) -> GateBuilder {
        GateBuilder {
            authority: Arc::clone(authority),
            upstream: format!(
                "connect = \"{upstream}\"\nserver-name = \"localhost\"\nca-file = \"ca.pem\"\n"
            ),
            policies: Vec::new(),
            limits: String::new(),
            tokens: String::new(),
            log: String::new(),
            admin: String::new(),
            tables: String::new(),
            clock: app::clock,
            workers: 1,
            port: 0,
            config: None,
        }
    }

    /// Sets the port of the first listener.
    pub fn first_port(mut self, port: u16) -> GateBuilder {
        self.port = port;
        self
    }

    /// Replaces the settings of `[upstream]`.
    pub fn upstream(mut self, settings: &str) -> GateBuilder {
        self.upstream = settings.to_owned();
        self
    }

    /// Sets `[limits]`.
    pub fn limits(mut self, settings: &str) -> GateBuilder {
        self.limits = settings.to_owned();
        self
    }

    /// Sets `[tokens]`.
    pub fn tokens(mut self, settings: &str) -> GateBuilder {
        self.tokens = settings.to_owned();
        self
    }

    /// Sets `[log]`.
    pub fn log(mut self, settings: &str) -> GateBuilder {
        self.log = settings.to_owned();
        self
    }

    /// Sets `[admin]`, except its address.
    pub fn admin(mut self, settings: &str) -> GateBuilder {
        self.admin = settings.to_owned();
        self
    }

    /// Adds tables, such as `[[rate]]`.
    pub fn tables(mut self, tables: &str) -> GateBuilder {
        self.tables = tables.to_owned();
        self
    }

    /// Replaces the clock.
    pub fn clock(mut self, clock: Clock) -> GateBuilder {
        self.clock = clock;
        self
    }

    /// Sets the number of event loops.
    pub fn workers(mut self, workers: usize) -> GateBuilder {
        self.workers = workers;
        self
    }

    /// Adds an endpoint with a policy document, and a listener for the endpoint.
    pub fn endpoint(mut self, id: &'static str, policy: &str) -> GateBuilder {
        self.policies.push((id, policy.to_owned()));
        self
    }

    /// Replaces the whole configuration file, which lies beside `ca.pem` and `ca-key.pem`.
    pub fn config(mut self, text: &str) -> GateBuilder {
        self.config = Some(text.to_owned());
        self
    }

    /// Starts the gate; without an endpoint, with one that allows everything.
    pub fn start(self) -> Gate {
        self.try_start()
            .unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// Starts the gate, or returns the errors of its configuration.
    pub fn try_start(mut self) -> Result<Gate, Problems> {
        abort_on_gate_panic();
        if self.policies.is_empty() {
            let all =
                r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}"#;
            self = self.endpoint(ENDPOINT, all);
        }
        let folder = tempfile::tempdir().unwrap();
        self.authority.write(folder.path()).unwrap();
        let file = folder.path().join("gate.toml");
        std::fs::write(&file, self.config_text(folder.path())).unwrap();
        let bound = app::load(&file, self.clock)?.bind()?;
        let (addresses, admin) = (bound.addresses().to_vec(), bound.admin_address().unwrap());
        let log = Log::default();
        let running = bound
            .start(Sink::writer(log.clone()), LogFormat::Json)
            .unwrap();
        Ok(Gate {
            folder,
            authority: self.authority,
            addresses,
            admin,
            log,
            running: Some(running),
        })
    }

    fn config_text(&self, folder: &Path) -> String {
        if let Some(text) = &self.config {
            return text.clone();
        }
        let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/policies");
        let mut text = format!(
            "workers = {}\n[upstream]\n{}\n[limits]\n{}\n[tokens]\n{}\n[log]\n{}\n[admin]\naddress = \"127.0.0.1:0\"\n{}\n\
             [[principal]]\naccess-key-id = \"{ANALYST_KEY_ID}\"\n\
             arn = \"arn:aws:iam::{ACCOUNT}:user/analyst\"\n\
             [[principal]]\naccess-key-id = \"{KEY_ID}\"\n\
             arn = \"arn:aws:iam::{ACCOUNT}:user/producer\"\n\
             [[identity-policy]]\nfile = \"{}\"\n\
             principals = [\"arn:aws:iam::{ACCOUNT}:user/analyst\"]\n{}\n",
            self.workers,
            self.upstream,
            self.limits,
            self.tokens,
            self.log,
            self.admin,
            policies.join("only-through-endpoint.json").display(),
            self.tables,
        );
        for (n, (id, policy)) in self.policies.iter().enumerate() {
            let port = if n == 0 { self.port } else { 0 };
            let file = format!("policy-{n}.json");
            std::fs::write(folder.join(&file), policy).unwrap();
            text += &format!(
                "[[endpoint]]\nid = \"{id}\"\nvpc = \"vpc-0123abcd\"\nregion = \"us-east-1\"\n\
                 policy = \"{file}\"\n[[listener]]\naddress = \"127.0.0.1:{port}\"\n\
                 endpoint = \"{id}\"\nnames = [\"gate.test\"]\n\
                 tls = {{ ca-certificate = \"ca.pem\", ca-key = \"ca-key.pem\" }}\n"
            );
        }
        text
    }
}

/// Makes a panic of a gate's own threads end the tests: the runtime would only close the connection,
/// which some tests expect of bad input.
fn abort_on_gate_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let default_hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            default_hook(panic);
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            if name.starts_with("loop-") || name == "admin" || name == "log" || name == "traces" {
                // Not through the harness, whose captured output is lost with the process.
                let _ = writeln!(std::io::stderr(), "`{name}` of a gate panicked: {panic}");
                std::process::abort();
            }
        }));
    });
}

impl Gate {
    /// The path of a file of the configuration: `gate.toml`, `policy-0.json`, `ca.pem`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Reloads the configuration, as SIGHUP does.
    pub fn reload(&self) -> Result<(), Problems> {
        self.running.as_ref().unwrap().reload()
    }

    /// The address of the first listener.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// The addresses of all listeners, in the order of their endpoints.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The address of the admin port.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The decision log, once it has at least `lines` lines.
    pub fn log(&self, lines: usize) -> Vec<Value> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let text = String::from_utf8(self.log.0.lock().unwrap().clone()).unwrap();
            let records: Vec<Value> = text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            if records.len() >= lines {
                return records;
            }
            assert!(
                Instant::now() < deadline,
                "{} of {lines} lines: {text}",
                records.len()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Drains the gate on another thread, as SIGTERM does.
    pub fn drain(&mut self) -> std::thread::JoinHandle<()> {
        let running = self.running.take().unwrap();
        std::thread::spawn(move || running.drain().unwrap())
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.drain();
        }
        if !std::thread::panicking() {
            self.log.assert_matches_schema();
        }
    }
}

/// The schema of a line of the decision log.
pub fn log_schema() -> &'static jsonschema::Validator {
    static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
        let text = include_str!("../../../docs/decision-log.schema.json");
        jsonschema::draft202012::new(&serde_json::from_str(text).unwrap()).unwrap()
    });
    &SCHEMA
}

impl Log {
    /// Asserts that the first thousand lines are as the schema says.
    fn assert_matches_schema(&self) {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        for line in text.lines().take(1000) {
            let value: Value = serde_json::from_str(line).unwrap();
            let errors: Vec<String> = log_schema()
                .iter_errors(&value)
                .map(|error| format!("{} at {}", error, error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{line}: {errors:#?}");
        }
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
