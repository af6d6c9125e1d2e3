//! A Redis server that speaks TLS and asks for a password, on a port of this machine.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kinesis_gate::sandbox::Authority;
use tempfile::TempDir;

use super::redis::installed;
use super::server_certificates::write_leaf;

/// A server that runs until it is dropped.
pub struct GuardedRedis {
    folder: TempDir,
    server: Child,
    port: u16,
}

pub const PASSWORD: &str = "correct horse battery staple";

impl GuardedRedis {
    /// Starts one with a certificate of that CA, and waits until it answers; `None` where
    /// [`super::redis::Redis::start`] gives none.
    pub fn start(authority: &Authority) -> Option<GuardedRedis> {
        if !installed() {
            return None;
        }
        // It cannot be told to take any port, and another may take the one that was free.
        (0..5).find_map(|_| {
            let folder = tempfile::tempdir().unwrap();
            write_leaf(folder.path(), authority, "localhost");
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let server = launch(&folder, port);
            let mut redis = GuardedRedis {
                folder,
                server,
                port,
            };
            redis.answers().then_some(redis)
        })
    }

    /// Waits until it answers; false if it ended.
    fn answers(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.connection().is_err() {
            if self.server.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(Instant::now() < deadline, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// Its port, which speaks TLS as `localhost`.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many values it has.
    pub fn len(&self) -> usize {
        let mut connection = self.connection().unwrap();
        redis::cmd("DBSIZE").query(&mut connection).unwrap()
    }

    /// Past TLS, by a socket in its folder.
    fn connection(&self) -> redis::RedisResult<redis::Connection> {
        let socket = self.folder.path().join("redis.sock");
        let password = PASSWORD.replace(' ', "%20");
        let url = format!("redis+unix://{}?pass={password}", socket.display());
        redis::Client::open(url)?.get_connection()
    }
}

impl Drop for GuardedRedis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn launch(folder: &TempDir, port: u16) -> Child {
    Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "no"])
        .args(["--unixsocket", "redis.sock", "--dir", "."])
        .args(["--bind", "127.0.0.1", "--tls-port", &port.to_string()])
        .args([
            "--tls-cert-file",
            "leaf.pem",
            "--tls-key-file",
            "leaf-key.pem",
        ])
        .args(["--tls-auth-clients", "no", "--requirepass", PASSWORD])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server, which `apt-get install redis-server` brings")
}
