//! The ClientHello and its SNI, read before it is decided who answers: this listener or a tunnel.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::server::{Accepted, Acceptor};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

use crate::http::ReadAhead;

/// A connection whose ClientHello has been read.
pub(super) struct ClientHello {
    accepted: Accepted,
    tcp: TcpStream,
    /// Every byte that was read, for a tunnel's host.
    bytes: Vec<u8>,
}

/// Records what is read. INVARIANT: rustls reads no more than one handshake message, 64 KiB.
struct RecordingStream {
    tcp: TcpStream,
    bytes: Vec<u8>,
}

impl ClientHello {
    /// Reads the ClientHello.
    ///
    /// # Errors
    /// The connection broke, or sent no ClientHello and got an alert.
    pub(super) async fn read(tcp: TcpStream) -> io::Result<ClientHello> {
        let stream = RecordingStream {
            tcp,
            bytes: Vec::new(),
        };
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let StartHandshake { accepted, io, .. } = start;
        Ok(ClientHello {
            accepted,
            tcp: io.tcp,
            bytes: io.bytes,
        })
    }

    /// The server name (SNI, RFC 6066 section 3), in lower case.
    pub(super) fn server_name(&self) -> Option<String> {
        let hello = self.accepted.client_hello();
        hello.server_name().map(str::to_ascii_lowercase)
    }

    /// The handshake that answers it.
    pub(super) fn into_handshake(self) -> StartHandshake<ReadAhead<TcpStream>> {
        StartHandshake::from_parts(self.accepted, ReadAhead::new(self.tcp))
    }

    /// The connection and every byte that was read from it.
    pub(super) fn into_parts(self) -> (TcpStream, Vec<u8>) {
        (self.tcp, self.bytes)
    }
}

impl AsyncRead for RecordingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.tcp).poll_read(cx, buffer);
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        self.bytes.extend_from_slice(fresh);
        read
    }
}

impl AsyncWrite for RecordingStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
