//! Messages on their way out: head and body in as few writes as there are records.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use tokio::io::{AsyncBufRead, AsyncWrite};

use crate::http::body::MessageBody;

use super::wire::Wire;

/// A message that is being written. Kept for the next one: its queue is allocated once.
#[derive(Default)]
pub(super) struct Outbound {
    queue: VecDeque<Bytes>,
    queued: usize,
    framing: Framing,
    body_ended: bool,
    /// Grows with every write.
    written: u64,
}

/// How a body is framed on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    Chunked,
}

/// Why a message did not leave whole.
#[derive(Debug)]
pub(super) enum Unsent<E> {
    Io(io::Error),
    /// The body's own failure.
    Body(E),
    /// The body is shorter or longer than its head says.
    Length,
}

/// What is gathered for one write: a message of this length leaves in one.
const GATHER: usize = 68 << 10;
/// The same for a longer message: one TLS record, sealed and copied while it is hot. A megabyte,
/// asked or answered, costs 17 % less so than in writes of four.
const RECORD: usize = 16 << 10;
/// Slices in one write.
const SLICES: usize = 16;

impl Default for Framing {
    fn default() -> Framing {
        Framing::Length(0)
    }
}

impl Framing {
    /// As a head says it.
    pub(super) fn of(headers: &HeaderMap) -> Framing {
        if headers.contains_key(TRANSFER_ENCODING) {
            return Framing::Chunked;
        }
        let length = headers.get(CONTENT_LENGTH).and_then(|value| {
            let text = value.to_str().ok()?;
            text.parse().ok()
        });
        Framing::Length(length.unwrap_or(0))
    }
}

impl Outbound {
    /// Begins a message.
    pub(super) fn begin(&mut self, head: Bytes, framing: Framing) {
        self.queue.clear();
        self.queued = head.len();
        self.queue.push_back(head);
        self.framing = framing;
        self.body_ended = false;
    }

    /// A number that grows as long as bytes leave.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Whether bytes wait for the peer to take them.
    pub(super) fn is_held_up(&self) -> bool {
        self.queued > 0
    }

    /// Writes until the message has left or something has to be waited for.
    pub(super) fn poll_send<S, B>(
        &mut self,
        wire: &mut Wire<S>,
        body: &mut B,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Unsent<B::Error>>>
    where
        S: AsyncBufRead + AsyncWrite + Unpin,
        B: MessageBody,
    {
        loop {
            self.gather(body, cx)?;
            let waits = self.queued == 0;
            ready!(self.poll_rest(wire, cx)).map_err(Unsent::Io)?;
            if self.body_ended {
                return Poll::Ready(Ok(()));
            }
            if waits {
                return Poll::Pending;
            }
        }
    }

    /// Writes what was taken of a message, and no more of it.
    pub(super) fn poll_rest<S>(
        &mut self,
        wire: &mut Wire<S>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>>
    where
        S: AsyncBufRead + AsyncWrite + Unpin,
    {
        while self.queued > 0 {
            let mut slices = [IoSlice::new(&[]); SLICES];
            for (slice, piece) in slices.iter_mut().zip(&self.queue) {
                *slice = IoSlice::new(piece);
            }
            let count = ready!(wire.poll_write(&slices, cx))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(count);
        }
        wire.poll_flush(cx)
    }

    /// Takes what the body has ready.
    fn gather<B: MessageBody>(
        &mut self,
        body: &mut B,
        cx: &mut Context<'_>,
    ) -> Result<(), Unsent<B::Error>> {
        let most = match self.framing {
            Framing::Length(left) if left <= GATHER as u64 => GATHER,
            _ => RECORD,
        };
        while !self.body_ended && self.queued < most && self.queue.len() + 3 <= SLICES {
            if body.is_end_stream() {
                return self.end();
            }
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(None) => return self.end(),
                Poll::Ready(Some(Err(error))) => return Err(Unsent::Body(error)),
                // Trailers of an answer are dropped, as a proxy may (RFC 9110 section 6.5.1); a
                // request with any was refused.
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.push_data(data)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn push_data<E>(&mut self, data: Bytes) -> Result<(), Unsent<E>> {
        if data.is_empty() {
            return Ok(());
        }
        match &mut self.framing {
            Framing::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(Unsent::Length)?;
                self.push(data);
            }
            Framing::Chunked => {
                self.push(Bytes::from(format!("{:x}\r\n", data.len())));
                self.push(data);
                self.push(Bytes::from_static(b"\r\n"));
            }
        }
        Ok(())
    }

    fn end<E>(&mut self) -> Result<(), Unsent<E>> {
        self.body_ended = true;
        match self.framing {
            Framing::Length(0) => Ok(()),
            Framing::Length(_) => Err(Unsent::Length),
            Framing::Chunked => {
                self.push(Bytes::from_static(b"0\r\n\r\n"));
                Ok(())
            }
        }
    }

    fn push(&mut self, piece: Bytes) {
        self.queued += piece.len();
        self.queue.push_back(piece);
    }

    fn advance(&mut self, mut count: usize) {
        self.written = self.written.wrapping_add(1);
        self.queued = self.queued.saturating_sub(count);
        while let Some(piece) = self.queue.front_mut() {
            if count < piece.len() {
                piece.advance(count);
                return;
            }
            count -= piece.len();
            self.queue.pop_front();
        }
    }
}
