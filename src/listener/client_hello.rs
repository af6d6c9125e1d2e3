//! The ClientHello and its SNI, read before the gate or a tunnel's host responds to the client.

use std::io;

use rustls::server::{Accepted, Acceptor};
use tokio::net::TcpStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};
use tokio_util::io::InspectReader;

use crate::http::ReadAhead;

/// A connection whose ClientHello has been read.
pub(super) struct ClientHello {
    accepted: Accepted,
    tcp: TcpStream,
    /// Every byte that was read, to be sent to a tunnel's host.
    bytes: Vec<u8>,
}

impl ClientHello {
    /// Reads the ClientHello. INVARIANT: rustls reads no more than one handshake message, 64 KiB.
    ///
    /// # Errors
    /// The connection broke, or the client sent no ClientHello and received an alert.
    pub(super) async fn read(tcp: TcpStream) -> io::Result<ClientHello> {
        let mut bytes = Vec::new();
        let tcp = InspectReader::new(tcp, |read: &[u8]| bytes.extend_from_slice(read));
        let start = LazyConfigAcceptor::new(Acceptor::default(), tcp).await?;
        let StartHandshake { accepted, io, .. } = start;
        Ok(ClientHello {
            accepted,
            tcp: io.into_inner(),
            bytes,
        })
    }

    /// The server name (SNI, RFC 6066 section 3), in lower case.
    pub(super) fn server_name(&self) -> Option<String> {
        let hello = self.accepted.client_hello();
        hello.server_name().map(str::to_ascii_lowercase)
    }

    /// Continues with the TLS handshake.
    pub(super) fn into_handshake(self) -> StartHandshake<ReadAhead<TcpStream>> {
        StartHandshake::from_parts(self.accepted, ReadAhead::new(self.tcp))
    }

    /// The connection and every byte that was read from it.
    pub(super) fn into_parts(self) -> (TcpStream, Vec<u8>) {
        (self.tcp, self.bytes)
    }
}
