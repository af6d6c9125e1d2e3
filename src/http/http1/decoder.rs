//! Body framing: where a request or response body ends (RFC 9112 section 6).

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use tokio::io::{AsyncBufRead, AsyncWrite};

use super::buffered_io::BufferedIo;

/// The part of a body that is still to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decoder {
    /// This many bytes.
    Length(u64),
    /// Chunked: the line with the next chunk's size.
    ChunkSize,
    /// Chunked: this many bytes of one chunk.
    ChunkData(u64),
    /// Chunked: the line end behind one chunk.
    ChunkEnd,
    /// Chunked: the empty line behind the last chunk.
    LastChunk,
    /// Everything until the connection closes.
    UntilClose,
    /// Nothing.
    Ended,
    /// The body broke off or was framed wrongly: the meaning of all further bytes is unknown.
    Broken,
}

/// The longest line with a chunk's size: fifteen hexadecimal digits cannot overflow.
const MAX_SIZE_LINE: usize = 15;

impl Decoder {
    pub(super) fn has_ended(self) -> bool {
        matches!(self, Decoder::Ended | Decoder::Length(0))
    }

    /// The bytes that are left, where they are known.
    pub(super) fn remaining(self) -> Option<u64> {
        match self {
            Decoder::Length(left) => Some(left),
            Decoder::Ended => Some(0),
            _ => None,
        }
    }

    /// The next frame; `None` behind the last. INVARIANT: after an error it returns errors only, so
    /// that no byte behind a framing error is read as a next message.
    pub(super) fn poll_frame<S: AsyncBufRead + AsyncWrite + Unpin>(
        &mut self,
        io: &mut BufferedIo<S>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Frame<Bytes>>>> {
        let frame = ready!(self.poll_framed(io, cx));
        if frame.is_err() {
            *self = Decoder::Broken;
        }
        Poll::Ready(frame)
    }

    fn poll_framed<S: AsyncBufRead + AsyncWrite + Unpin>(
        &mut self,
        io: &mut BufferedIo<S>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Frame<Bytes>>>> {
        loop {
            match *self {
                Decoder::Ended | Decoder::Length(0) => return Poll::Ready(Ok(None)),
                Decoder::Length(left) | Decoder::ChunkData(left) => {
                    let data = ready!(io.poll_take(left, cx))?;
                    if data.is_empty() {
                        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                    }
                    let left = left.saturating_sub(data.len() as u64);
                    *self = match (*self, left) {
                        (Decoder::ChunkData(_), 0) => Decoder::ChunkEnd,
                        (Decoder::ChunkData(_), left) => Decoder::ChunkData(left),
                        (_, left) => Decoder::Length(left),
                    };
                    return Poll::Ready(Ok(Some(Frame::data(data))));
                }
                Decoder::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                Decoder::UntilClose => {
                    let data = ready!(io.poll_take(u64::MAX, cx))?;
                    if !data.is_empty() {
                        return Poll::Ready(Ok(Some(Frame::data(data))));
                    }
                    *self = Decoder::Ended;
                }
                Decoder::ChunkSize => {
                    let line = ready!(io.poll_line(MAX_SIZE_LINE, cx))?;
                    let size = line.as_deref().and_then(chunk_size);
                    *self = match size.ok_or(io::ErrorKind::InvalidData)? {
                        0 => Decoder::LastChunk,
                        size => Decoder::ChunkData(size),
                    };
                }
                Decoder::ChunkEnd => {
                    let line = ready!(io.poll_line(0, cx))?;
                    line.ok_or(io::ErrorKind::InvalidData)?;
                    *self = Decoder::ChunkSize;
                }
                Decoder::LastChunk => match ready!(io.poll_line(0, cx))? {
                    Some(_) => *self = Decoder::Ended,
                    // Nothing reads trailers, so nothing reads the bytes behind them.
                    None => {
                        *self = Decoder::Broken;
                        return Poll::Ready(Ok(Some(Frame::trailers(HeaderMap::new()))));
                    }
                },
            }
        }
    }
}

/// The size of a chunk: hexadecimal digits only, no extension.
fn chunk_size(line: &[u8]) -> Option<u64> {
    if line.is_empty() || !line.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(line).ok()?, 16).ok()
}
