//! Errors of forwarding: why an allowed request got no response from upstream.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// The reason that there is no response. The client may retry any of these; the gate never retries
/// a request whose bytes may have left.
#[derive(Debug)]
pub enum UpstreamError {
    /// The upstream's name does not resolve.
    Resolve(String, io::Error),
    /// The upstream's address is one of the gate's own.
    Loop(SocketAddr),
    /// No address accepts the connection.
    Connect(io::Error),
    /// Connect timeout: resolving, connecting and the TLS handshake took too long.
    ConnectTimeout,
    /// The upstream's certificate is not trusted.
    Certificate(String),
    /// The TLS handshake failed for another reason.
    Tls(io::Error),
    /// The client uses HTTP/2, and the upstream does not offer it.
    NoHttp2,
    /// `aws-sigv4` does not sign the request. Nothing was sent.
    Sign(Box<dyn std::error::Error + Send + Sync>),
    /// The HTTP handshake failed, or the connection closed before any of the request was sent.
    NotSent(hyper::Error),
    /// The connection closed after bytes of the request may have left.
    ConnectionLost(Box<dyn std::error::Error + Send + Sync>),
    /// No response within the response timeout.
    ResponseTimeout,
}

impl UpstreamError {
    /// The name of the error in logs and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            UpstreamError::Resolve(..) => "resolve",
            UpstreamError::Loop(_) => "loop",
            UpstreamError::Connect(_) => "connect",
            UpstreamError::ConnectTimeout => "connect-timeout",
            UpstreamError::Certificate(_) => "certificate",
            UpstreamError::Tls(_) => "tls",
            UpstreamError::NoHttp2 => "no-http2",
            UpstreamError::Sign(_) => "sign",
            UpstreamError::NotSent(_) => "unsent",
            UpstreamError::ConnectionLost(_) => "broken",
            UpstreamError::ResponseTimeout => "response-timeout",
        }
    }

    /// Every name that [`UpstreamError::kind`] returns.
    pub const KINDS: [&'static str; 11] = [
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
        "sign",
    ];
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpstreamError::Resolve(name, error) => write!(f, "cannot resolve `{name}`: {error}"),
            UpstreamError::Loop(address) => write!(
                f,
                "the way to the upstream, `{address}`, leads back to this gate: set \
                 `upstream.dns`, `upstream.addresses` or `upstream.connect` to what does not, or \
                 take the gate's own connections out of the redirect"
            ),
            UpstreamError::Connect(error) => write!(f, "cannot connect: {error}"),
            UpstreamError::ConnectTimeout => {
                f.write_str("connecting took longer than `connect-timeout`")
            }
            UpstreamError::Certificate(why) => {
                write!(f, "the upstream's certificate is not trusted: {why}")
            }
            UpstreamError::Tls(error) => write!(f, "the TLS handshake failed: {error}"),
            UpstreamError::NoHttp2 => {
                f.write_str("the client spoke HTTP/2 and the upstream does not")
            }
            UpstreamError::Sign(error) => {
                write!(f, "the request cannot be signed: {}", ErrorChain(&**error))
            }
            UpstreamError::NotSent(error) => {
                write!(f, "the connection broke before sending: {error}")
            }
            UpstreamError::ConnectionLost(error) => {
                write!(
                    f,
                    "the connection broke before an answer: {}",
                    ErrorChain(&**error)
                )
            }
            UpstreamError::ResponseTimeout => f.write_str("no answer within `response-timeout`"),
        }
    }
}

impl std::error::Error for UpstreamError {}

/// An error with its chain of sources.
struct ErrorChain<'a>(&'a dyn std::error::Error);

impl fmt::Display for ErrorChain<'_> {
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
