//! Why an allowed request got no answer from upstream.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// A failure on the way to Kinesis. The client may retry any of them; the gate never does once
/// bytes may have left.
#[derive(Debug)]
pub enum Failure {
    /// The upstream's name was not resolved.
    Resolve(String, io::Error),
    /// The upstream's address leads back to the gate itself.
    Loop(SocketAddr),
    /// No address accepted the connection.
    Connect(io::Error),
    /// Resolving, connecting and the TLS handshake took too long.
    ConnectTimeout,
    /// The upstream's certificate is not one to trust.
    Certificate(String),
    /// The TLS handshake failed for another reason.
    Tls(io::Error),
    /// The client spoke HTTP/2 and the upstream does not.
    NoHttp2,
    /// The HTTP handshake failed, or the connection broke before any of the request was sent.
    Unsent(hyper::Error),
    /// The connection broke after bytes of the request may have left.
    Broken(Box<dyn std::error::Error + Send + Sync>),
    /// No answer within the deadline.
    ResponseTimeout,
}

impl Failure {
    /// A stable word for logs and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Failure::Resolve(..) => "resolve",
            Failure::Loop(_) => "loop",
            Failure::Connect(_) => "connect",
            Failure::ConnectTimeout => "connect-timeout",
            Failure::Certificate(_) => "certificate",
            Failure::Tls(_) => "tls",
            Failure::NoHttp2 => "no-http2",
            Failure::Unsent(_) => "unsent",
            Failure::Broken(_) => "broken",
            Failure::ResponseTimeout => "response-timeout",
        }
    }

    /// Every word that [`Failure::kind`] returns.
    pub const KINDS: [&'static str; 10] = [
        "resolve",
        "loop",
        "connect",
        "connect-timeout",
        "certificate",
        "tls",
        "no-http2",
        "unsent",
        "broken",
        "response-timeout",
    ];
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Resolve(name, error) => write!(f, "cannot resolve `{name}`: {error}"),
            Failure::Loop(address) => write!(
                f,
                "the way to the upstream, `{address}`, leads back to this gate: set \
                 `upstream.dns`, `upstream.addresses` or `upstream.connect` to what does not, or \
                 take the gate's own connections out of the redirect"
            ),
            Failure::Connect(error) => write!(f, "cannot connect: {error}"),
            Failure::ConnectTimeout => f.write_str("connecting took longer than `connect-timeout`"),
            Failure::Certificate(why) => {
                write!(f, "the upstream's certificate is not trusted: {why}")
            }
            Failure::Tls(error) => write!(f, "the TLS handshake failed: {error}"),
            Failure::NoHttp2 => f.write_str("the client spoke HTTP/2 and the upstream does not"),
            Failure::Unsent(error) => write!(f, "the connection broke before sending: {error}"),
            Failure::Broken(error) => {
                write!(
                    f,
                    "the connection broke before an answer: {}",
                    Chain(&**error)
                )
            }
            Failure::ResponseTimeout => f.write_str("no answer within `response-timeout`"),
        }
    }
}

impl std::error::Error for Failure {}

/// An error with its sources.
struct Chain<'a>(&'a dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
