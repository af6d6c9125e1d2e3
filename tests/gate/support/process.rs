//! A gate as a process of its own, with an environment of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A running gate. Dropped, it is ended.
pub struct Process {
    child: Child,
    pub addresses: Vec<SocketAddr>,
    records: Arc<Mutex<Vec<Value>>>,
    told: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts the program on a configuration and waits until it listens.
    pub fn start(configuration: &Path, environment: &[(&str, &str)]) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kinesis-gate"))
            .args(["run", "--config"])
            .arg(configuration)
            .env_clear()
            // No instance is asked unless a test says where it is.
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
        let (records, told) = (Arc::default(), Arc::default());
        let out = child.stdout.take().unwrap();
        collect(out, &records, |line| serde_json::from_str(line).unwrap());
        collect(child.stderr.take().unwrap(), &told, str::to_owned);
        let mut process = Process {
            child,
            addresses: Vec::new(),
            records,
            told,
        };
        process.wait(|told| told.iter().any(|line| line.starts_with("listening on ")));
        let told = process.told();
        let addresses = told.iter().filter_map(|line| {
            let rest = line.strip_prefix("listening on ")?;
            Some(rest.split(' ').next()?.parse().unwrap())
        });
        process.addresses = addresses.collect();
        process
    }

    /// The address of the first listener.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// What it told its operator so far.
    pub fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    /// Waits until what it told is as it should be.
    pub fn wait(&mut self, told: impl Fn(&[String]) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !told(&self.told()) {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "{ended:?}: {:#?}",
                self.told()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The decision log, once it has so many lines.
    pub fn log(&self, lines: usize) -> Vec<Value> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let found = self.records.lock().unwrap().clone();
            if found.len() >= lines {
                return found;
            }
            assert!(Instant::now() < deadline, "{lines} lines: {found:#?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect<T: Send + 'static>(
    stream: impl std::io::Read + Send + 'static,
    into: &Arc<Mutex<Vec<T>>>,
    read: impl Fn(&str) -> T + Send + 'static,
) {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            into.lock().unwrap().push(read(&line));
        }
    });
}
