//! A connection and the request or response body that it is reading.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::Frame;
use tokio::io::{AsyncBufRead, AsyncWrite};

use crate::http::body::BodySource;

use super::buffered_io::BufferedIo;
use super::decoder::Decoder;

/// A connection, and the framing of the message that it reads.
pub(super) struct MessageIo<S> {
    pub(super) io: BufferedIo<S>,
    /// The body of the current message.
    pub(super) decoder: Decoder,
    /// The bytes to write before the peer sends its body; empty if the peer does not wait for any.
    pub(super) interim_response: &'static [u8],
}

/// Tells a client that expects it to send its body (RFC 9110 section 15.2.1).
pub(super) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl<S: AsyncBufRead + AsyncWrite + Unpin> MessageIo<S> {
    pub(super) fn new(stream: S) -> MessageIo<S> {
        MessageIo {
            io: BufferedIo::new(stream),
            decoder: Decoder::Ended,
            interim_response: &[],
        }
    }

    /// Ready when the peer has closed the connection and no part of a body is missing.
    pub(super) fn poll_peer_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.decoder.has_ended() {
            true => self.io.poll_peer_closed(cx),
            false => Poll::Pending,
        }
    }

    /// Whether the connection is open, no message is in progress and no unexpected byte has come.
    pub(super) fn is_idle(&mut self) -> bool {
        let closed = self.poll_peer_closed(&mut Context::from_waker(Waker::noop()));
        closed.is_pending() && self.decoder.has_ended() && self.io.is_empty()
    }

    /// Drops the arrived bytes of an unread body. Returns whether the body has ended.
    pub(super) fn skip_body(&mut self) -> bool {
        // A client that waits for `100 Continue` gets the response instead.
        while self.interim_response.is_empty() && !self.decoder.has_ended() {
            match self.poll_frame(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(Some(frame))) if frame.is_data() => {}
                Poll::Ready(Ok(None)) => return true,
                Poll::Ready(_) | Poll::Pending => return false,
            }
        }
        self.decoder.has_ended()
    }
}

impl<S: AsyncBufRead + AsyncWrite + Unpin> BodySource for MessageIo<S> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Frame<Bytes>>>> {
        while !self.interim_response.is_empty() {
            let slice = IoSlice::new(self.interim_response);
            let count = ready!(self.io.poll_write(&[slice], cx))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.interim_response = self.interim_response.get(count..).unwrap_or_default();
        }
        self.decoder.poll_frame(&mut self.io, cx)
    }

    fn has_ended(&self) -> bool {
        self.decoder.has_ended()
    }
}
