//! A gate in its own process, with its own environment.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A running gate, killed on drop.
pub struct GateProcess {
    child: Child,
    pub addresses: Vec<SocketAddr>,
    records: Arc<Mutex<Vec<Value>>>,
    messages: Arc<Mutex<Vec<String>>>,
}

impl GateProcess {
    /// Starts `run` with a configuration file and waits until the gate listens.
    pub fn start(configuration: &Path, environment: &[(&str, &str)]) -> GateProcess {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kinesis-gate"))
            .args(["run", "--config"])
            .arg(configuration)
            .env_clear()
            // No request to the metadata service of an instance, unless a test sets its address.
            .envs([
                ("HOME", "/nonexistent"),
                ("AWS_EC2_METADATA_DISABLED", "true"),
            ])
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (records, messages) = (Arc::default(), Arc::default());
        let out = child.stdout.take().unwrap();
        collect(out, &records, |line| serde_json::from_str(line).unwrap());
        collect(child.stderr.take().unwrap(), &messages, str::to_owned);
        let mut process = GateProcess {
            child,
            addresses: Vec::new(),
            records,
            messages,
        };
        process.wait_for_messages(|messages| {
            messages
                .iter()
                .any(|line| line.starts_with("listening on "))
        });
        let messages = process.messages();
        let addresses = messages.iter().filter_map(|line| {
            let rest = line.strip_prefix("listening on ")?;
            Some(rest.split(' ').next()?.parse().unwrap())
        });
        process.addresses = addresses.collect();
        process
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The address of the first listener.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// The lines of standard error so far.
    pub fn messages(&self) -> Vec<String> {
        self.messages.lock().unwrap().clone()
    }

    /// Waits until `is_enough` holds of the lines of standard error.
    pub fn wait_for_messages(&mut self, is_enough: impl Fn(&[String]) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_enough(&self.messages()) {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "{ended:?}: {:#?}",
                self.messages()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The decision log, once it has at least `lines` lines.
    pub fn log(&self, lines: usize) -> Vec<Value> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let records = self.records.lock().unwrap().clone();
            if records.len() >= lines {
                return records;
            }
            assert!(Instant::now() < deadline, "{lines} lines: {records:#?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for GateProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect<T: Send + 'static>(
    stream: impl std::io::Read + Send + 'static,
    into: &Arc<Mutex<Vec<T>>>,
    parse: impl Fn(&str) -> T + Send + 'static,
) {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            into.lock().unwrap().push(parse(&line));
        }
    });
}
