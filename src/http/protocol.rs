//! The HTTP version of a connection: by ALPN, or by the HTTP/2 preface.

use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};
use tokio::time::timeout;

/// The protocol that ALPN (RFC 7301) agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `http/1.1`.
    Http1,
    /// `h2`.
    Http2,
    /// Nothing: the first bytes decide. Java's async client and the KCL speak HTTP/2 by prior
    /// knowledge inside TLS.
    NoAlpn,
}

/// The HTTP/2 connection preface (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl Protocol {
    /// Maps the protocol that ALPN agreed on.
    pub fn from_alpn(agreed: Option<&[u8]>) -> Protocol {
        match agreed {
            Some(b"h2") => Protocol::Http2,
            Some(_) => Protocol::Http1,
            None => Protocol::NoAlpn,
        }
    }

    /// Whether to serve HTTP/2. `None`: ALPN agreed on nothing, and no byte came within `head_timeout`.
    pub(super) async fn is_http2(
        self,
        stream: &mut (impl AsyncBufRead + Unpin),
        head_timeout: Duration,
    ) -> Option<bool> {
        if self != Protocol::NoAlpn {
            return Some(self == Protocol::Http2);
        }
        let first = timeout(head_timeout, stream.fill_buf()).await.ok()?.ok()?;
        let mut pairs = first.iter().zip(PREFACE);
        (!first.is_empty()).then(|| pairs.all(|(byte, expected)| byte == expected))
    }
}
