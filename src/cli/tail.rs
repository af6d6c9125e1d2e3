//! `kinesis-gate tail`: decisions as they are made, from a gate's admin port.

use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HOST};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use crate::observe::human_format::{self, Style};

use super::fail;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The admin port.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9901")]
    admin: Uri,
    /// A file with the token that it asks for.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Roots to trust for https, PEM.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The lines of the log as they are.
    #[arg(long)]
    json: bool,
    /// Only these: allow, denied, explicit-deny, implicit-deny, refused, cancelled, failed,
    /// dropped, tunnel.
    #[arg(long, value_name = "KIND")]
    decision: Option<String>,
    /// Only principals whose ARN, account or access key id contains this.
    #[arg(long, value_name = "TEXT")]
    principal: Option<String>,
    /// Only actions that contain this.
    #[arg(long, value_name = "TEXT")]
    action: Option<String>,
    /// Only resources that contain this.
    #[arg(long, value_name = "TEXT")]
    resource: Option<String>,
    /// Only endpoints that contain this.
    #[arg(long, value_name = "TEXT")]
    endpoint: Option<String>,
}

/// For connecting and for the head of the answer.
const REACH: Duration = Duration::from_secs(10);
/// The gate gives a sign of life every ten seconds.
const SILENCE: Duration = Duration::from_secs(30);
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of one event.
const LARGEST: usize = 4 << 20;

/// Why following ended.
enum End {
    /// The gate may be back later.
    Gone(String),
    /// It will not help to try again.
    Refused(String),
    /// Nobody reads what is printed.
    Unread,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(error),
    };
    match runtime.block_on(follow(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

async fn follow(arguments: &Arguments) -> Result<(), String> {
    let token = arguments.token_file.as_deref().map(token).transpose()?;
    let tls = match arguments.admin.scheme_str() {
        Some("https") => Some(trust(arguments.ca_file.as_deref())?),
        Some("http") => None,
        _ => {
            return Err(format!(
                "`{}` begins with neither http:// nor https://",
                arguments.admin
            ));
        }
    };
    let terminal = io::stdout().is_terminal();
    // https://no-color.org
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let mut printing = Printing {
        json: arguments.json,
        style: Style {
            colour: terminal && !plain,
            time: true,
        },
    };
    let mut away = false;
    loop {
        match once(
            arguments,
            token.as_deref(),
            tls.as_ref(),
            &mut printing,
            &mut away,
        )
        .await
        {
            End::Unread => return Ok(()),
            End::Refused(error) => return Err(format!("{}: {error}", arguments.admin)),
            End::Gone(error) => {
                if !away {
                    eprintln!("{}: {error}; trying again", arguments.admin);
                }
                away = true;
                sleep(PAUSE).await;
            }
        }
    }
}

/// Follows until something ends it; `away` if the gate was not there before.
async fn once(
    arguments: &Arguments,
    token: Option<&str>,
    tls: Option<&TlsConnector>,
    printing: &mut Printing,
    away: &mut bool,
) -> End {
    let mut body = match timeout(REACH, reach(arguments, token, tls)).await {
        Ok(Ok(body)) => body,
        Ok(Err(end)) => return end,
        Err(_) => return End::Gone("no answer".to_owned()),
    };
    if std::mem::take(away) {
        eprintln!("{}: back", arguments.admin);
    }
    let mut held = Vec::new();
    loop {
        let frame = match timeout(SILENCE, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return End::Gone(error.to_string()),
            Ok(None) => return End::Gone("it has ended".to_owned()),
            Err(_) => return End::Gone("no sign of life".to_owned()),
        };
        held.extend_from_slice(&frame.into_data().unwrap_or_default());
        while let Some(end) = memchr::memmem::find(&held, b"\n\n") {
            let rest = held.split_off(end + 2);
            if printing.event(&held).is_err() {
                return End::Unread;
            }
            held = rest;
        }
        if held.len() > LARGEST {
            return End::Gone("an event without end".to_owned());
        }
    }
}

async fn reach(
    arguments: &Arguments,
    token: Option<&str>,
    tls: Option<&TlsConnector>,
) -> Result<Incoming, End> {
    let gone = |error: &dyn std::fmt::Display| End::Gone(error.to_string());
    let refused = |error: &str| End::Refused(error.to_owned());
    let authority = arguments.admin.authority();
    let authority = authority.ok_or_else(|| refused("no host"))?;
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let port = authority.port_u16().unwrap_or(match tls {
        Some(_) => 443,
        None => 80,
    });
    let tcp = TcpStream::connect((host, port))
        .await
        .map_err(|e| gone(&e))?;
    let stream: Box<dyn Stream> = match tls {
        None => Box::new(tcp),
        Some(tls) => {
            let name = ServerName::try_from(host.to_owned()).map_err(|_| refused("no host"))?;
            Box::new(tls.connect(name, tcp).await.map_err(|e| gone(&e))?)
        }
    };
    let (mut send, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| gone(&e))?;
    tokio::spawn(connection);
    let mut request = Request::get(format!("/decisions?{}", query(arguments)))
        .header(HOST, authority.as_str())
        .header(ACCEPT, "text/event-stream");
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(|_| refused("the token is not one"))?;
    let answer = send.send_request(request).await.map_err(|e| gone(&e))?;
    let status = answer.status();
    if status == StatusCode::OK {
        return Ok(answer.into_body());
    }
    let told = Limited::new(answer.into_body(), 4096).collect().await;
    let told = told.map(|told| told.to_bytes()).unwrap_or_default();
    let told = format!("{status}: {}", String::from_utf8_lossy(&told).trim_end());
    Err(match status.is_server_error() {
        true => End::Gone(told),
        false => End::Refused(told),
    })
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

fn query(arguments: &Arguments) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let filters = [
        ("decision", &arguments.decision),
        ("principal", &arguments.principal),
        ("action", &arguments.action),
        ("resource", &arguments.resource),
        ("endpoint", &arguments.endpoint),
    ];
    for (name, value) in filters {
        query.extend_pairs(value.as_ref().map(|value| (name, value)));
    }
    query.finish()
}

struct Printing {
    json: bool,
    style: Style,
}

impl Printing {
    fn event(&mut self, event: &[u8]) -> io::Result<()> {
        let is_lost = event.starts_with(b"event: lost");
        for line in event.split(|byte| *byte == b'\n') {
            let Some(data) = line.strip_prefix(b"data: ") else {
                continue;
            };
            if is_lost {
                let lost = String::from_utf8_lossy(data);
                eprintln!("{lost} lines came too fast and are not shown");
                continue;
            }
            let mut text = Vec::with_capacity(data.len() + 1);
            match self.json {
                true => text.extend_from_slice(&[data, b"\n"].concat()),
                false => human_format::write(data, self.style, &mut text),
            }
            let mut out = io::stdout().lock();
            out.write_all(&text)?;
            out.flush()?;
        }
        Ok(())
    }
}

fn token(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{}: cannot be read: {error}", file.display()))?;
    Ok(text.trim().to_owned())
}

fn trust(authorities: Option<&Path>) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    match authorities {
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Some(file) => {
            let certificates = CertificateDer::pem_file_iter(file)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| {
                    format!("{}: holds no certificate in PEM: {error}", file.display())
                })?;
            roots.add_parsable_certificates(certificates);
        }
    }
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
