//! A Redis server for one test, on a Unix socket in a temporary folder.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A Redis server, killed on drop.
pub struct Redis {
    folder: TempDir,
    server: Child,
}

impl Redis {
    /// Starts a server and waits until it is ready. `None` without `redis-server`, so that `cargo test`
    /// needs nothing but Rust; where `CI` is set, `redis-server` must be installed.
    pub fn start() -> Option<Redis> {
        if !is_installed() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let server = launch(&folder);
        let redis = Redis { folder, server };
        redis.wait();
        Some(redis)
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while redis::Client::open(self.url())
            .and_then(|client| client.get_connection())
            .is_err()
        {
            assert!(Instant::now() < deadline, "redis-server is not ready");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Settings of `[tokens]` for this store, with the key that all replicas share.
    pub fn settings(&self) -> String {
        let key = self.folder.path().join("tokens.key");
        std::fs::write(&key, "0123456789abcdef0123456789abcdef\n").unwrap();
        format!(
            "store = \"redis\"\nurl = \"{}\"\nkey-file = \"{}\"\ntimeout = \"200ms\"",
            self.url(),
            key.display()
        )
    }

    /// Every key, its value, and its TTL in seconds.
    pub fn contents(&self) -> Vec<(String, Vec<u8>, i64)> {
        let mut connection = self.connection();
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
        let read = |key: String| {
            let value = redis::cmd("GET").arg(&key).query(&mut connection).unwrap();
            let ttl = redis::cmd("TTL").arg(&key).query(&mut connection).unwrap();
            (key, value, ttl)
        };
        keys.into_iter().map(read).collect()
    }

    /// Removes every key.
    pub fn clear(&self) {
        let flush = redis::cmd("FLUSHALL");
        let () = flush.query(&mut self.connection()).unwrap();
    }

    /// Overwrites a value.
    pub fn set(&self, key: &str, value: &[u8]) {
        let mut set = redis::cmd("SET");
        let () = set
            .arg(key)
            .arg(value)
            .query(&mut self.connection())
            .unwrap();
    }

    fn connection(&self) -> redis::Connection {
        redis::Client::open(self.url())
            .unwrap()
            .get_connection()
            .unwrap()
    }

    /// Ends the server: connections are refused.
    pub fn stop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        let _ = std::fs::remove_file(self.socket());
    }

    /// Starts the server again, empty.
    pub fn restart(&mut self) {
        self.server = launch(&self.folder);
        self.wait();
    }

    /// Stops or continues the process: while it is stopped, connections open and nothing responds.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { "-STOP" } else { "-CONT" };
        let pid = self.server.id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Whether `redis-server` is installed; where `CI` is set, it must be.
pub fn is_installed() -> bool {
    let is_found =
        std::env::var_os("CI").is_some() || Command::new("redis-server").arg("-v").output().is_ok();
    if !is_found {
        eprintln!("skipped: no redis-server (`apt-get install redis-server` brings it)");
    }
    is_found
}

fn launch(folder: &TempDir) -> Child {
    Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "no"])
        .args(["--unixsocket", "redis.sock", "--dir", "."])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server, which `apt-get install redis-server` brings")
}
