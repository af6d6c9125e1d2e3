//! The ClientHello, read without deciding yet who answers it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::server::{Accepted, Acceptor};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

use crate::http::ReadAhead;

/// A connection whose ClientHello has been read.
pub(super) struct Hello {
    accepted: Accepted,
    tcp: TcpStream,
    /// Everything that was read, for a host that shall answer in our place.
    bytes: Vec<u8>,
}

/// Keeps what is read. INVARIANT: rustls reads no more than one handshake message, 64 KiB.
struct Kept {
    tcp: TcpStream,
    bytes: Vec<u8>,
}

impl Hello {
    /// Reads it.
    ///
    /// # Errors
    /// When the connection breaks or what comes is no ClientHello; the client has been told.
    pub(super) async fn read(tcp: TcpStream) -> io::Result<Hello> {
        let kept = Kept {
            tcp,
            bytes: Vec::new(),
        };
        let start = LazyConfigAcceptor::new(Acceptor::default(), kept).await?;
        let StartHandshake { accepted, io, .. } = start;
        Ok(Hello {
            accepted,
            tcp: io.tcp,
            bytes: io.bytes,
        })
    }

    /// The name asked for, in lower case.
    pub(super) fn name(&self) -> Option<String> {
        let hello = self.accepted.client_hello();
        hello.server_name().map(str::to_ascii_lowercase)
    }

    /// To answer it.
    pub(super) fn handshake(self) -> StartHandshake<ReadAhead<TcpStream>> {
        StartHandshake::from_parts(self.accepted, ReadAhead::new(self.tcp))
    }

    /// The connection and every byte that was read from it, for somebody else to answer.
    pub(super) fn unanswered(self) -> (TcpStream, Vec<u8>) {
        (self.tcp, self.bytes)
    }
}

impl AsyncRead for Kept {
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

impl AsyncWrite for Kept {
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
