//! Buffered I/O of one connection: reads heads, lines and bytes from TLS records of any size.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr_iter;
use tokio::io::{AsyncBufRead, AsyncWrite};

/// A connection, and the bytes that were read from it and not consumed yet.
pub(super) struct BufferedIo<S> {
    stream: S,
    /// INVARIANT: no longer than the limit of a head and one TLS record.
    buffer: BytesMut,
    /// How far the buffer was searched for the end of a head.
    scan: HeadScan,
    /// Whether the stream has bytes of a next message that are not in the buffer.
    has_more: bool,
}

/// The reason that no head was read.
#[derive(Debug)]
pub(super) enum HeadError {
    /// The peer has closed, or the connection broke.
    Closed,
    /// The head is longer than the limit.
    TooLong,
    /// A line ends in a line feed alone: another reader could see another line.
    BareLineFeed,
}

impl<S: AsyncBufRead + AsyncWrite + Unpin> BufferedIo<S> {
    pub(super) fn new(stream: S) -> BufferedIo<S> {
        BufferedIo {
            stream,
            buffer: BytesMut::new(),
            scan: HeadScan::default(),
            has_more: false,
        }
    }

    /// Reads a head to its empty line, of `max` bytes at most.
    pub(super) fn poll_head(
        &mut self,
        max: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, HeadError>> {
        loop {
            // An empty line or two may stand before a request (RFC 9112 section 2.2).
            while self.buffer.starts_with(b"\r\n") {
                self.buffer.advance(2);
                self.scan = HeadScan::default();
            }
            match self.scan.end_of_head(&self.buffer)? {
                Some(end) if end <= max => {
                    self.scan = HeadScan::default();
                    return Poll::Ready(Ok(self.buffer.split_to(end).freeze()));
                }
                None if self.buffer.len() <= max => {}
                _ => return Poll::Ready(Err(HeadError::TooLong)),
            }
            if ready!(self.poll_fill(cx)).unwrap_or(0) == 0 {
                return Poll::Ready(Err(HeadError::Closed));
            }
        }
    }

    /// Whether no byte of a next message has arrived.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty() && !self.has_more
    }

    /// Frees the buffer if it is empty.
    pub(super) fn release_buffer(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    /// Appends the next bytes of the stream to the buffer. Returns their number, 0 at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let bytes = ready!(Pin::new(&mut self.stream).poll_fill_buf(cx))?;
        let len = bytes.len();
        self.buffer.extend_from_slice(bytes);
        self.has_more = false;
        Pin::new(&mut self.stream).consume(len);
        Poll::Ready(Ok(len))
    }

    /// Takes the next bytes, `max` at most; none at the end.
    pub(super) fn poll_take(&mut self, max: u64, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        if !self.buffer.is_empty() {
            let len = self.buffer.len().min(max);
            return Poll::Ready(Ok(self.buffer.split_to(len).freeze()));
        }
        let bytes = ready!(Pin::new(&mut self.stream).poll_fill_buf(cx))?;
        let bytes = Bytes::copy_from_slice(bytes.get(..max).unwrap_or(bytes));
        self.has_more = false;
        Pin::new(&mut self.stream).consume(bytes.len());
        Poll::Ready(Ok(bytes))
    }

    /// Takes a line without its line end; `None` if the line is longer than `max`.
    pub(super) fn poll_line(
        &mut self,
        max: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            let window = self.buffer.get(..max + 2).unwrap_or(&self.buffer);
            if let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.buffer.split_to(end).freeze();
                self.buffer.advance(2);
                return Poll::Ready(Ok(Some(line)));
            }
            if self.buffer.len() >= max + 2 {
                return Poll::Ready(Ok(None));
            }
            if ready!(self.poll_fill(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Ready when the peer has closed the connection. To be polled between messages only.
    pub(super) fn poll_peer_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_empty() {
            return Poll::Pending;
        }
        match ready!(Pin::new(&mut self.stream).poll_fill_buf(cx)) {
            Ok([]) | Err(_) => Poll::Ready(()),
            Ok(_) => {
                self.has_more = true;
                Poll::Pending
            }
        }
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

    /// Ready when the peer has closed. Discards all bytes until then.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match ready!(Pin::new(&mut self.stream).poll_fill_buf(cx)) {
                Ok([]) | Err(_) => return Poll::Ready(()),
                Ok(bytes) => {
                    let len = bytes.len();
                    Pin::new(&mut self.stream).consume(len);
                }
            }
        }
    }

    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A search for the end of a head that is still arriving. It looks at each byte once.
#[derive(Debug, Clone, Copy, Default)]
struct HeadScan {
    scanned: usize,
    /// Where the last line ended.
    line_end: Option<usize>,
}

impl HeadScan {
    /// The position behind the empty line of the head at the beginning of `bytes`.
    fn end_of_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, HeadError> {
        let start = self.scanned;
        for at in memchr_iter(b'\n', bytes.get(start..).unwrap_or_default()) {
            let at = start + at;
            match at.checked_sub(1) {
                Some(before) if bytes.get(before) == Some(&b'\r') => {
                    if self.line_end == before.checked_sub(1) {
                        return Ok(Some(at + 1));
                    }
                }
                _ => return Err(HeadError::BareLineFeed),
            }
            self.line_end = Some(at);
        }
        self.scanned = bytes.len();
        Ok(None)
    }
}
