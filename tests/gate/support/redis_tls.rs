//! A Redis server with TLS and a password, on a loopback port.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kinesis_gate::sandbox::Authority;
use tempfile::TempDir;

use super::redis::is_installed;
use super::server_certificates::write_leaf;

/// A Redis server, killed on drop.
pub struct TlsRedis {
    folder: TempDir,
    server: Child,
    port: u16,
}

pub const PASSWORD: &str = "correct horse battery staple";

impl TlsRedis {
    /// Starts a server with a certificate of this CA and waits until it is ready; `None` without
    /// `redis-server`.
    pub fn start(authority: &Authority) -> Option<TlsRedis> {
        if !is_installed() {
            return None;
        }
        // `redis-server` cannot choose a free port, and another process may take this one first.
        (0..5).find_map(|_| {
            let folder = tempfile::tempdir().unwrap();
            write_leaf(folder.path(), authority, "localhost");
            let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = socket.local_addr().unwrap().port();
            drop(socket);
            let server = launch(&folder, port);
            let mut redis = TlsRedis {
                folder,
                server,
                port,
            };
            redis.is_ready().then_some(redis)
        })
    }

    /// Waits until the server is ready; false if it ended.
    fn is_ready(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.connection().is_err() {
            if self.server.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(Instant::now() < deadline, "redis-server is not ready");
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// The TLS port, whose certificate is for `localhost`.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        let mut connection = self.connection().unwrap();
        redis::cmd("DBSIZE").query(&mut connection).unwrap()
    }

    /// A connection without TLS, through the Unix socket.
    fn connection(&self) -> redis::RedisResult<redis::Connection> {
        let socket = self.folder.path().join("redis.sock");
        let password = PASSWORD.replace(' ', "%20");
        let url = format!("redis+unix://{}?pass={password}", socket.display());
        redis::Client::open(url)?.get_connection()
    }
}

impl Drop for TlsRedis {
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
