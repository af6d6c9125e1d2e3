//! Where a message's body ends (RFC 9112 section 6).

use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncBufRead, AsyncWrite};

use crate::http::body::Chunk;

use super::wire::Wire;

/// What is left of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decoder {
    /// So many bytes.
    Length(u64),
    /// Chunks: the line with the next one's size.
    Size,
    /// Chunks: so many bytes of one.
    Data(u64),
    /// Chunks: the line end behind one.
    DataEnd,
    /// Chunks: the empty line behind the last.
    Last,
    /// Everything until the connection ends.
    UntilEnd,
    /// Nothing.
    Ended,
    /// It broke off or was framed wrongly: no byte behind that is known to be anything.
    Broken,
}

/// The longest line that says a chunk's size: fifteen hexadecimal digits cannot overflow.
const SIZE_LINE: usize = 15;

impl Decoder {
    pub(super) fn has_ended(self) -> bool {
        matches!(self, Decoder::Ended | Decoder::Length(0))
    }

    /// The bytes left, where they are known.
    pub(super) fn remaining(self) -> Option<u64> {
        match self {
            Decoder::Length(left) => Some(left),
            Decoder::Ended => Some(0),
            _ => None,
        }
    }

    /// The next piece; `None` behind the last. INVARIANT: once it has failed it fails for ever, so
    /// that nothing behind a framing error is taken for a next message.
    pub(super) fn poll_chunk<S: AsyncBufRead + AsyncWrite + Unpin>(
        &mut self,
        wire: &mut Wire<S>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Chunk>>> {
        let piece = ready!(self.poll_framed(wire, cx));
        if piece.is_err() {
            *self = Decoder::Broken;
        }
        Poll::Ready(piece)
    }

    fn poll_framed<S: AsyncBufRead + AsyncWrite + Unpin>(
        &mut self,
        wire: &mut Wire<S>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Chunk>>> {
        loop {
            match *self {
                Decoder::Ended | Decoder::Length(0) => return Poll::Ready(Ok(None)),
                Decoder::Length(left) | Decoder::Data(left) => {
                    let piece = ready!(wire.poll_take(left, cx))?;
                    if piece.is_empty() {
                        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                    }
                    let left = left.saturating_sub(piece.len() as u64);
                    *self = match (*self, left) {
                        (Decoder::Data(_), 0) => Decoder::DataEnd,
                        (Decoder::Data(_), left) => Decoder::Data(left),
                        (_, left) => Decoder::Length(left),
                    };
                    return Poll::Ready(Ok(Some(Chunk::Data(piece))));
                }
                Decoder::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                Decoder::UntilEnd => {
                    let piece = ready!(wire.poll_take(u64::MAX, cx))?;
                    if !piece.is_empty() {
                        return Poll::Ready(Ok(Some(Chunk::Data(piece))));
                    }
                    *self = Decoder::Ended;
                }
                Decoder::Size => {
                    let line = ready!(wire.poll_line(SIZE_LINE, cx))?;
                    *self = match line.as_deref().and_then(size) {
                        Some(0) => Decoder::Last,
                        Some(size) => Decoder::Data(size),
                        None => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                    };
                }
                Decoder::DataEnd => match ready!(wire.poll_line(0, cx))? {
                    Some(_) => *self = Decoder::Size,
                    None => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                },
                Decoder::Last => match ready!(wire.poll_line(0, cx))? {
                    Some(_) => *self = Decoder::Ended,
                    None => return Poll::Ready(Ok(Some(Chunk::Trailers))),
                },
            }
        }
    }
}

/// A chunk's size: hexadecimal digits and nothing else, no extension.
fn size(line: &[u8]) -> Option<u64> {
    if line.is_empty() || !line.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(line).ok()?, 16).ok()
}
