//! One connection's bytes, read in pieces as TLS records bring them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr_iter;
use tokio::io::{AsyncBufRead, AsyncWrite};

use crate::http::body::{BodySource, Chunk};

use super::decoder::Decoder;

/// A connection, and what was read of it ahead of its use.
pub(super) struct Wire<S> {
    stream: S,
    /// INVARIANT: no longer than the cap of a head and one TLS record.
    ahead: BytesMut,
    /// How far a head was looked for in it.
    lines: Lines,
    /// The body of the message under way.
    pub(super) decoder: Decoder,
    /// What has still to be said before the peer sends its body; empty where it waits for nothing.
    pub(super) interim: &'static [u8],
    /// Whether bytes of a next message have come that were not taken from the stream.
    more: bool,
}

/// Why no head was read.
#[derive(Debug)]
pub(super) enum NoHead {
    /// The peer has closed, or the connection broke.
    Ended,
    /// Longer than the cap.
    TooLong,
    /// A line that ends in a line feed alone: what a line is, others could read differently.
    BareLineFeed,
}

/// Tells a client that waits for it to send its body (RFC 9110 section 15.2.1).
pub(super) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl<S: AsyncBufRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Wire<S> {
        Wire {
            stream,
            ahead: BytesMut::new(),
            lines: Lines::default(),
            decoder: Decoder::Ended,
            interim: &[],
            more: false,
        }
    }

    /// Reads a head to its empty line, of `most` bytes at most.
    pub(super) fn poll_head(
        &mut self,
        most: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, NoHead>> {
        loop {
            // An empty line or two may stand before a request (RFC 9112 section 2.2).
            while self.ahead.starts_with(b"\r\n") {
                self.ahead.advance(2);
                self.lines = Lines::default();
            }
            match self.lines.end_of_head(&self.ahead)? {
                Some(end) if end <= most => {
                    self.lines = Lines::default();
                    return Poll::Ready(Ok(self.ahead.split_to(end).freeze()));
                }
                None if self.ahead.len() <= most => {}
                _ => return Poll::Ready(Err(NoHead::TooLong)),
            }
            if ready!(self.poll_more(cx)).unwrap_or(0) == 0 {
                return Poll::Ready(Err(NoHead::Ended));
            }
        }
    }

    /// Whether nothing of a next message has come.
    pub(super) fn is_empty(&self) -> bool {
        self.ahead.is_empty() && !self.more
    }

    /// Gives back the memory of messages that are gone.
    pub(super) fn rest(&mut self) {
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
        }
    }

    /// Reads what comes next, behind what is there already.
    pub(super) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let piece = ready!(Pin::new(&mut self.stream).poll_fill_buf(cx))?;
        let len = piece.len();
        self.ahead.extend_from_slice(piece);
        self.more = false;
        Pin::new(&mut self.stream).consume(len);
        Poll::Ready(Ok(len))
    }

    /// Takes what comes next, `most` bytes of it at most; nothing at the end.
    pub(super) fn poll_take(&mut self, most: u64, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if !self.ahead.is_empty() {
            let len = self.ahead.len().min(most);
            return Poll::Ready(Ok(self.ahead.split_to(len).freeze()));
        }
        let piece = ready!(Pin::new(&mut self.stream).poll_fill_buf(cx))?;
        let taken = Bytes::copy_from_slice(piece.get(..most).unwrap_or(piece));
        self.more = false;
        Pin::new(&mut self.stream).consume(taken.len());
        Poll::Ready(Ok(taken))
    }

    /// Takes a line without its end; `None` when it is longer than `most`.
    pub(super) fn poll_line(
        &mut self,
        most: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            let seen = self.ahead.get(..most + 2).unwrap_or(&self.ahead);
            if let Some(end) = seen.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.ahead.split_to(end).freeze();
                self.ahead.advance(2);
                return Poll::Ready(Ok(Some(line)));
            }
            if self.ahead.len() >= most + 2 {
                return Poll::Ready(Ok(None));
            }
            if ready!(self.poll_more(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Ready when the peer has gone away while nothing is expected of it.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.decoder.has_ended() || !self.is_empty() {
            return Poll::Pending;
        }
        match ready!(Pin::new(&mut self.stream).poll_fill_buf(cx)) {
            Ok([]) | Err(_) => Poll::Ready(()),
            Ok(_) => {
                self.more = true;
                Poll::Pending
            }
        }
    }

    /// Whether it is open, with nothing under way and nothing come unasked.
    pub(super) fn is_idle(&mut self) -> bool {
        let gone = self.poll_gone(&mut Context::from_waker(Waker::noop()));
        gone.is_pending() && self.decoder.has_ended() && self.is_empty()
    }

    /// Reads what is there already of a body that nobody reads, and says whether that was all.
    pub(super) fn skip_body(&mut self) -> bool {
        // Whoever waits for a word before its body gets the answer instead.
        while self.interim.is_empty() && !self.decoder.has_ended() {
            match self.poll_chunk(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(Some(Chunk::Data(_)))) => {}
                Poll::Ready(Ok(None)) => return true,
                Poll::Ready(_) | Poll::Pending => return false,
            }
        }
        self.decoder.has_ended()
    }

    pub(super) fn poll_write(
        &mut self,
        slices: &[IoSlice<'_>],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Ready when the peer has closed; what it still sends is dropped.
    pub(super) fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match ready!(Pin::new(&mut self.stream).poll_fill_buf(cx)) {
                Ok([]) | Err(_) => return Poll::Ready(()),
                Ok(piece) => {
                    let len = piece.len();
                    Pin::new(&mut self.stream).consume(len);
                }
            }
        }
    }

    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncBufRead + AsyncWrite + Unpin> BodySource for Wire<S> {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Chunk>>> {
        while !self.interim.is_empty() {
            let count = ready!(self.poll_write(&[IoSlice::new(self.interim)], cx))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.interim = self.interim.get(count..).unwrap_or_default();
        }
        let mut decoder = self.decoder;
        let piece = decoder.poll_chunk(self, cx);
        self.decoder = decoder;
        piece
    }

    fn has_ended(&self) -> bool {
        self.decoder.has_ended()
    }
}

/// The lines of a head that is still coming: each byte is looked at once, however they come.
#[derive(Debug, Clone, Copy, Default)]
struct Lines {
    seen: usize,
    /// Where the last line ended.
    end: Option<usize>,
}

impl Lines {
    /// Where the head at the beginning of `bytes` ends, behind its empty line.
    fn end_of_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, NoHead> {
        let start = self.seen;
        for at in memchr_iter(b'\n', bytes.get(start..).unwrap_or_default()) {
            let at = start + at;
            match at.checked_sub(1) {
                Some(before) if bytes.get(before) == Some(&b'\r') => {
                    if self.end == before.checked_sub(1) {
                        return Ok(Some(at + 1));
                    }
                }
                _ => return Err(NoHead::BareLineFeed),
            }
            self.end = Some(at);
        }
        self.seen = bytes.len();
        Ok(None)
    }
}
