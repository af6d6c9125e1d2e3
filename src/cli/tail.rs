//! `kinesis-gate tail`: follows the decisions of a gate, by the event stream of its admin port.

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

use super::output::{fail, finish};

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

/// The timeout of the connection and of the head of the response.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The timeout of the next bytes: the gate sends a comment every ten seconds.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause before a retry.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// The limit of an event, in bytes.
const MAX_EVENT_BYTES: usize = 4 << 20;

/// The reason that the event stream ended.
enum End {
    /// A retry may succeed.
    Unavailable(String),
    /// A retry is pointless.
    Refused(String),
    /// Standard output is closed.
    OutputClosed,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(error),
    };
    finish(runtime.block_on(follow(arguments)))
}

async fn follow(arguments: &Arguments) -> Result<(), String> {
    let token = arguments.token_file.as_deref();
    let token = token.map(read_token).transpose()?;
    let tls = match arguments.admin.scheme_str() {
        Some("https") => Some(tls_connector(arguments.ca_file.as_deref())?),
        Some("http") => None,
        _ => {
            return Err(format!(
                "`{}` begins with neither http:// nor https://",
                arguments.admin
            ));
        }
    };
    // https://no-color.org
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let printer = Printer {
        is_json: arguments.json,
        style: Style {
            has_colour: io::stdout().is_terminal() && !no_colour,
            has_time: true,
        },
    };
    let mut is_away = false;
    loop {
        let stream = open_event_stream(arguments, token.as_deref(), tls.as_ref());
        let end = match timeout(CONNECT_TIMEOUT, stream).await {
            Ok(Ok(body)) => {
                if std::mem::take(&mut is_away) {
                    eprintln!("{}: back", arguments.admin);
                }
                print_events(body, &printer).await
            }
            Ok(Err(end)) => end,
            Err(_) => End::Unavailable("no answer".to_owned()),
        };
        match end {
            End::OutputClosed => return Ok(()),
            End::Refused(error) => return Err(format!("{}: {error}", arguments.admin)),
            End::Unavailable(error) => {
                if !is_away {
                    eprintln!("{}: {error}; trying again", arguments.admin);
                }
                is_away = true;
                sleep(RETRY_PAUSE).await;
            }
        }
    }
}

/// Prints events until the stream ends.
async fn print_events(mut body: Incoming, printer: &Printer) -> End {
    let unavailable = |error: &str| End::Unavailable(error.to_owned());
    let mut buffer = Vec::new();
    loop {
        let frame = match timeout(IDLE_TIMEOUT, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return unavailable(&error.to_string()),
            Ok(None) => return unavailable("it has ended"),
            Err(_) => return unavailable("no sign of life"),
        };
        buffer.extend_from_slice(&frame.into_data().unwrap_or_default());
        while let Some(end) = memchr::memmem::find(&buffer, b"\n\n") {
            let rest = buffer.split_off(end + 2);
            if printer.print(&buffer).is_err() {
                return End::OutputClosed;
            }
            buffer = rest;
        }
        if buffer.len() > MAX_EVENT_BYTES {
            return unavailable("an event without end");
        }
    }
}

async fn open_event_stream(
    arguments: &Arguments,
    token: Option<&str>,
    tls: Option<&TlsConnector>,
) -> Result<Incoming, End> {
    let unavailable = |error: &dyn std::fmt::Display| End::Unavailable(error.to_string());
    let refused = |error: &str| End::Refused(error.to_owned());
    let authority = arguments.admin.authority();
    let authority = authority.ok_or_else(|| refused("no host"))?;
    let host = authority.host().trim_matches(['[', ']']);
    let port = authority.port_u16().unwrap_or(match tls {
        Some(_) => 443,
        None => 80,
    });
    let tcp = TcpStream::connect((host, port))
        .await
        .map_err(|e| unavailable(&e))?;
    let stream: Box<dyn Stream> = match tls {
        None => Box::new(tcp),
        Some(tls) => {
            let name = ServerName::try_from(host.to_owned()).map_err(|_| refused("no host"))?;
            Box::new(tls.connect(name, tcp).await.map_err(|e| unavailable(&e))?)
        }
    };
    let (mut send, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| unavailable(&e))?;
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
    let response = send.send_request(request).await;
    let response = response.map_err(|e| unavailable(&e))?;
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(response.into_body());
    }
    let body = Limited::new(response.into_body(), 4096).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let error = format!("{status}: {}", String::from_utf8_lossy(&body).trim_end());
    Err(match status.is_server_error() {
        true => End::Unavailable(error),
        false => End::Refused(error),
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

struct Printer {
    is_json: bool,
    style: Style,
}

impl Printer {
    fn print(&self, event: &[u8]) -> io::Result<()> {
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
            match self.is_json {
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

fn read_token(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{}: cannot be read: {error}", file.display()))?;
    Ok(text.trim().to_owned())
}

fn tls_connector(ca_file: Option<&Path>) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
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
