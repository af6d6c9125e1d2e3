//! A gate in this process.

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

use super::{ACCOUNT, ANALYST, ENDPOINT, KEY_ID};

/// A running gate. Dropped, it drains.
pub struct Gate {
    _folder: TempDir,
    pub authority: Arc<Authority>,
    addresses: Vec<SocketAddr>,
    admin: SocketAddr,
    log: Log,
    running: Option<RunningGate>,
}

/// What a gate is started with.
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
    text: Option<String>,
}

/// What the gate wrote.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl GateBuilder {
    /// In front of an upstream whose certificate `authority` signed for `localhost`.
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
            text: None,
        }
    }

    /// The port of the first listener.
    pub fn first_port(mut self, port: u16) -> GateBuilder {
        self.port = port;
        self
    }

    /// Other settings of the upstream.
    pub fn upstream(mut self, settings: &str) -> GateBuilder {
        self.upstream = settings.to_owned();
        self
    }

    /// Settings of `[limits]`.
    pub fn limits(mut self, settings: &str) -> GateBuilder {
        self.limits = settings.to_owned();
        self
    }

    /// Settings of `[tokens]`.
    pub fn tokens(mut self, settings: &str) -> GateBuilder {
        self.tokens = settings.to_owned();
        self
    }

    /// Settings of `[log]`.
    pub fn log(mut self, settings: &str) -> GateBuilder {
        self.log = settings.to_owned();
        self
    }

    /// Settings of `[admin]` beside its address.
    pub fn admin(mut self, settings: &str) -> GateBuilder {
        self.admin = settings.to_owned();
        self
    }

    /// Further tables, such as `[[rate]]`.
    pub fn tables(mut self, tables: &str) -> GateBuilder {
        self.tables = tables.to_owned();
        self
    }

    /// Another clock than the process's.
    pub fn clock(mut self, clock: Clock) -> GateBuilder {
        self.clock = clock;
        self
    }

    /// So many event loops.
    pub fn workers(mut self, workers: usize) -> GateBuilder {
        self.workers = workers;
        self
    }

    /// An endpoint with a policy document, and a listener for it.
    pub fn endpoint(mut self, id: &'static str, policy: &str) -> GateBuilder {
        self.policies.push((id, policy.to_owned()));
        self
    }

    /// A whole configuration instead of everything else; `ca.pem` and `ca-key.pem` lie beside it.
    pub fn configured(mut self, text: &str) -> GateBuilder {
        self.text = Some(text.to_owned());
        self
    }

    /// Starts it, with an endpoint that allows everything if none was named.
    pub fn start(self) -> Gate {
        self.try_start()
            .unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// Starts it, or says why not.
    pub fn try_start(mut self) -> Result<Gate, Problems> {
        end_at_panics();
        if self.policies.is_empty() {
            let all =
                r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}"#;
            self = self.endpoint(ENDPOINT, all);
        }
        let folder = tempfile::tempdir().unwrap();
        self.authority.write(folder.path()).unwrap();
        let file = folder.path().join("gate.toml");
        std::fs::write(&file, self.text(folder.path())).unwrap();
        let bound = app::load(&file, self.clock)?.bind()?;
        let (addresses, admin) = (bound.addresses().to_vec(), bound.admin_address().unwrap());
        let log = Log::default();
        let running = bound
            .start(Sink::writer(log.clone()), LogFormat::Json)
            .unwrap();
        Ok(Gate {
            _folder: folder,
            authority: self.authority,
            addresses,
            admin,
            log,
            running: Some(running),
        })
    }

    fn text(&self, folder: &Path) -> String {
        if let Some(text) = &self.text {
            return text.clone();
        }
        let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/policies");
        let mut text = format!(
            "workers = {}\n[upstream]\n{}\n[limits]\n{}\n[tokens]\n{}\n[log]\n{}\n[admin]\naddress = \"127.0.0.1:0\"\n{}\n\
             [[principal]]\naccess-key-id = \"{ANALYST}\"\n\
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

/// A panic of a gate's own threads ends the tests: the runtime would turn it into a connection that
/// closes, which some tests expect of bad input.
fn end_at_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            usual(panic);
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            if name.starts_with("loop-") || name == "admin" || name == "log" || name == "traces" {
                // Past the capture of the harness, which would be lost with the process.
                let _ = writeln!(std::io::stderr(), "`{name}` of a gate panicked: {panic}");
                std::process::abort();
            }
        }));
    });
}

impl Gate {
    /// A file of its configuration: `gate.toml`, `policy-0.json`, `ca.pem`.
    pub fn path(&self, name: &str) -> PathBuf {
        self._folder.path().join(name)
    }

    /// Reloads it, as SIGHUP does.
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

    /// The lines of the decision log so far, once there are so many.
    pub fn log(&self, lines: usize) -> Vec<Value> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let text = String::from_utf8(self.log.0.lock().unwrap().clone()).unwrap();
            let found: Vec<Value> = text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            if found.len() >= lines {
                return found;
            }
            assert!(
                Instant::now() < deadline,
                "{} of {lines} lines: {text}",
                found.len()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Drains it on another thread, as SIGTERM does.
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
            self.log.is_as_documented();
        }
    }
}

/// The schema of a line of the decision log.
pub fn schema() -> &'static jsonschema::Validator {
    static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
        let text = include_str!("../../../docs/decision-log.schema.json");
        jsonschema::draft202012::new(&serde_json::from_str(text).unwrap()).unwrap()
    });
    &SCHEMA
}

impl Log {
    /// Every line that a test made a gate write is as the schema says; of very many, the first.
    fn is_as_documented(&self) {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        for line in text.lines().take(1000) {
            let value: Value = serde_json::from_str(line).unwrap();
            let wrong: Vec<String> = schema()
                .iter_errors(&value)
                .map(|error| format!("{} at {}", error, error.instance_path()))
                .collect();
            assert!(wrong.is_empty(), "{line}: {wrong:#?}");
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
