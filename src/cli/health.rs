//! `kinesis-gate health`.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use super::fail;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The admin port's address, as in `[admin]`.
    #[arg(long, default_value = "127.0.0.1:9901", value_name = "ADDRESS")]
    admin: SocketAddr,
    /// Ask whether the gate lives, rather than whether it is ready: a gate that drains lives.
    #[arg(long)]
    live: bool,
}

/// For connecting, and for each read and write.
const PATIENCE: Duration = Duration::from_secs(2);
/// No answer is longer that says `ok`.
const ANSWER: u64 = 4 << 10;

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let path = if arguments.live { "/livez" } else { "/readyz" };
    match ask(arguments.admin, path) {
        Ok(answer) if answer.starts_with(b"HTTP/1.1 200 ") => ExitCode::SUCCESS,
        Ok(answer) => {
            let status = answer.split(|byte| *byte == b'\r').next();
            let status = String::from_utf8_lossy(status.unwrap_or_default());
            fail(format_args!("{}{path}: {status}", arguments.admin))
        }
        Err(error) => fail(format_args!("{}{path}: {error}", arguments.admin)),
    }
}

fn ask(admin: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let mut tcp = TcpStream::connect_timeout(&admin, PATIENCE)?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    tcp.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    tcp.take(ANSWER).read_to_end(&mut answer)?;
    Ok(answer)
}
