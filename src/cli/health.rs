//! `kinesis-gate health`: a probe of the admin port.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use super::output::fail;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The admin port's address, as in `[admin]`.
    #[arg(long, default_value = "127.0.0.1:9901", value_name = "ADDRESS")]
    admin: SocketAddr,
    /// Ask whether the gate lives, rather than whether it is ready: a gate that drains lives.
    #[arg(long)]
    live: bool,
}

/// The timeout of connecting, and of each read and write.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The limit of a response, in bytes. The response of a healthy gate is shorter.
const MAX_RESPONSE_BYTES: u64 = 4 << 10;

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let path = if arguments.live { "/livez" } else { "/readyz" };
    match get(arguments.admin, path) {
        Ok(response) if response.starts_with(b"HTTP/1.1 200 ") => ExitCode::SUCCESS,
        Ok(response) => {
            let status = response.split(|byte| *byte == b'\r').next();
            let status = String::from_utf8_lossy(status.unwrap_or_default());
            fail(format_args!("{}{path}: {status}", arguments.admin))
        }
        Err(error) => fail(format_args!("{}{path}: {error}", arguments.admin)),
    }
}

fn get(admin: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let mut tcp = TcpStream::connect_timeout(&admin, TIMEOUT)?;
    tcp.set_read_timeout(Some(TIMEOUT))?;
    tcp.set_write_timeout(Some(TIMEOUT))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes())?;
    let mut response = Vec::new();
    tcp.take(MAX_RESPONSE_BYTES).read_to_end(&mut response)?;
    Ok(response)
}
