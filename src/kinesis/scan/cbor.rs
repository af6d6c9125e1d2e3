//! CBOR, by RFC 8949, in the forms that real SDKs write: definite and indefinite.
//!
//! Lengths need not be the shortest: any reader takes the same length from them. Every item is at
//! least one byte of the body, so the body's limit is the limit of items.

mod skip;

use super::collect::{Collector, Container, Keep};
use super::utf8::Utf8;
use super::{MAX_DEPTH, MalformedBody};

/// The grammar's state between two pieces of a body.
pub(super) struct Cbor {
    state: State,
    /// The open containers; those beyond `depth` are not in use.
    stack: [Frame; MAX_DEPTH as usize],
    depth: u32,
    utf8: Utf8,
    /// Whether the item being read stands behind a tag.
    tagged: bool,
    /// Inside text or bytes of indefinite length.
    chunked: Option<Kind>,
    keep: Keep,
    is_key: bool,
    /// Whether the member being read is of no interest and its top level has been left.
    skipping: bool,
    done: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// An item's first byte comes next.
    Item,
    /// An item's length is not whole: its first byte, the bytes that are left, the value so far.
    Head(u8, u8, u64),
    /// Bytes of text or of a byte string that are left.
    Content(Kind, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bytes,
    Text,
}

/// An open container.
#[derive(Debug, Clone, Copy, Default)]
struct Frame {
    is_map: bool,
    /// Items that are left, keys and values both; from [`ENDLESS`] downwards if the end is marked. A
    /// map begins with an even number, so the number tells whether a key or a value comes next.
    left: u64,
}

/// Longer than any body may be, and small enough to be doubled.
const LONGEST: u64 = u32::MAX as u64;
/// More items than any body has.
const ENDLESS: u64 = 1 << 63;

impl Frame {
    fn new(container: Container, items: Option<u64>) -> Frame {
        let is_map = container == Container::Map;
        let per_item = if is_map { 2 } else { 1 };
        Frame {
            is_map,
            left: items.map_or(ENDLESS, |items| items * per_item),
        }
    }

    fn expects_key(&self) -> bool {
        self.is_map && self.left.is_multiple_of(2)
    }

    /// Whether a mark may end it here.
    fn may_end(&self) -> bool {
        self.left > ENDLESS / 2 && (!self.is_map || self.expects_key())
    }

    /// Counts an item that ended; whether the container ends with it.
    fn count(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }
}

impl Default for Cbor {
    fn default() -> Cbor {
        Cbor {
            state: State::Item,
            stack: [Frame::default(); MAX_DEPTH as usize],
            depth: 0,
            utf8: Utf8::default(),
            tagged: false,
            chunked: None,
            keep: Keep::No,
            is_key: false,
            skipping: false,
            done: false,
        }
    }
}

impl Cbor {
    pub(super) fn push(&mut self, chunk: &[u8], out: &mut Collector) -> Result<(), MalformedBody> {
        let mut rest = chunk;
        while let Some((&byte, after)) = rest.split_first() {
            match self.state {
                State::Item => {
                    if self.done {
                        return Err(MalformedBody::TrailingBytes);
                    }
                    if self.skipping && !self.tagged && self.chunked.is_none() {
                        let skipped = self.skip(rest, out)?;
                        if skipped.len() < rest.len() {
                            rest = skipped;
                            continue;
                        }
                    }
                    rest = self.first(byte, after, out)?;
                }
                State::Head(first, left, value) => {
                    rest = after;
                    let value = value << 8 | u64::from(byte);
                    if left > 1 {
                        self.state = State::Head(first, left - 1, value);
                    } else {
                        self.head(first, value, out)?;
                    }
                }
                State::Content(kind, left) => {
                    let len = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    let (content, after) = rest.split_at(len);
                    rest = after;
                    self.content(kind, content, left - len as u64, out)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn finish(&self) -> Result<(), MalformedBody> {
        match (self.done, self.state, self.depth, self.tagged) {
            (true, ..) => Ok(()),
            (false, State::Item, 0, false) => Err(MalformedBody::Empty),
            _ => Err(MalformedBody::Truncated),
        }
    }

    /// An item's first byte, and its length if all of it is here.
    fn first<'a>(
        &mut self,
        first: u8,
        after: &'a [u8],
        out: &mut Collector,
    ) -> Result<&'a [u8], MalformedBody> {
        let wide = match first & 0x1f {
            info @ 0..=23 => {
                self.head(first, u64::from(info), out)?;
                return Ok(after);
            }
            31 => {
                self.indefinite(first, out)?;
                return Ok(after);
            }
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return Err(MalformedBody::ReservedItem),
        };
        if let (1, Some((&value, after))) = (wide, after.split_first()) {
            self.head(first, u64::from(value), out)?;
            return Ok(after);
        }
        self.state = State::Head(first, wide, 0);
        Ok(after)
    }

    /// An item of known kind and length or value.
    fn head(&mut self, first: u8, value: u64, out: &mut Collector) -> Result<(), MalformedBody> {
        let major = first >> 5;
        self.state = State::Item;
        if let Some(kind) = self.chunked {
            // Only definite pieces of the same kind make up an indefinite text.
            let fits = matches!((kind, major), (Kind::Bytes, 2) | (Kind::Text, 3));
            return if fits {
                self.string(kind, value, out)
            } else {
                Err(MalformedBody::Unexpected)
            };
        }
        match major {
            2 => self
                .begin_string(Kind::Bytes, out)
                .and_then(|()| self.string(Kind::Bytes, value, out)),
            3 => self
                .begin_string(Kind::Text, out)
                .and_then(|()| self.string(Kind::Text, value, out)),
            4 => self.open(Container::List, Some(value), out),
            5 => self.open(Container::Map, Some(value), out),
            6 => {
                if self.expects_key() || self.needs_value(out) {
                    return Err(MalformedBody::Tagged);
                }
                self.tagged = true;
                Ok(())
            }
            7 => self.simple(first, value, out),
            _ => self.scalar(out),
        }
    }

    fn indefinite(&mut self, first: u8, out: &mut Collector) -> Result<(), MalformedBody> {
        match (first >> 5, self.chunked) {
            (7, Some(_)) => {
                self.chunked = None;
                self.end_string(out)
            }
            (_, Some(_)) => Err(MalformedBody::Unexpected),
            (2, None) => {
                self.begin_string(Kind::Bytes, out)?;
                self.chunked = Some(Kind::Bytes);
                Ok(())
            }
            (3, None) => {
                self.begin_string(Kind::Text, out)?;
                self.chunked = Some(Kind::Text);
                Ok(())
            }
            (4, None) => self.open(Container::List, None, out),
            (5, None) => self.open(Container::Map, None, out),
            (7, None) => match self.frame() {
                Some(frame) if frame.may_end() && !self.tagged => self.close(out),
                _ => Err(MalformedBody::Unexpected),
            },
            _ => Err(MalformedBody::ReservedItem),
        }
    }

    fn begin_string(&mut self, kind: Kind, out: &mut Collector) -> Result<(), MalformedBody> {
        self.is_key = self.expects_key();
        if self.is_key && kind != Kind::Text {
            return Err(MalformedBody::KeyNotText);
        }
        self.keep = match (self.skipping, self.is_key, kind) {
            (true, ..) => Keep::No,
            (false, true, _) => out.key(),
            (false, false, Kind::Text) => out.text()?,
            (false, false, Kind::Bytes) => {
                out.scalar()?;
                Keep::No
            }
        };
        Ok(())
    }

    /// A piece of text or bytes begins, or the whole of it.
    fn string(&mut self, kind: Kind, len: u64, out: &mut Collector) -> Result<(), MalformedBody> {
        if len > LONGEST {
            return Err(MalformedBody::LengthTooLarge);
        }
        if len == 0 {
            return self.content(kind, &[], 0, out);
        }
        self.state = State::Content(kind, len);
        Ok(())
    }

    fn content(
        &mut self,
        kind: Kind,
        content: &[u8],
        left: u64,
        out: &mut Collector,
    ) -> Result<(), MalformedBody> {
        if kind == Kind::Text {
            if content.is_ascii() {
                self.utf8.boundary_or_empty(content)?
            } else {
                self.utf8.feed(content)?
            }
            if self.keep == Keep::Yes {
                out.extend(content)?;
            }
        }
        if left > 0 {
            self.state = State::Content(kind, left);
            return Ok(());
        }
        self.state = State::Item;
        if kind == Kind::Text {
            // Each piece of a text is valid by itself (RFC 8949, section 3.2.3).
            self.utf8.boundary()?;
        }
        if self.chunked.is_some() {
            Ok(())
        } else {
            self.end_string(out)
        }
    }

    fn end_string(&mut self, out: &mut Collector) -> Result<(), MalformedBody> {
        if self.keep == Keep::Yes {
            if self.is_key {
                out.key_end()?
            } else {
                out.text_end()?
            }
        }
        self.ended(out)
    }

    fn simple(&mut self, first: u8, value: u64, out: &mut Collector) -> Result<(), MalformedBody> {
        match first & 0x1f {
            22 if !self.expects_key() => {
                if !self.skipping {
                    out.null()?;
                }
                self.ended(out)
            }
            24 if value < 32 => Err(MalformedBody::ReservedItem),
            _ => self.scalar(out),
        }
    }

    fn scalar(&mut self, out: &mut Collector) -> Result<(), MalformedBody> {
        if self.expects_key() {
            return Err(MalformedBody::KeyNotText);
        }
        if !self.skipping {
            out.scalar()?;
        }
        self.ended(out)
    }

    fn open(
        &mut self,
        container: Container,
        items: Option<u64>,
        out: &mut Collector,
    ) -> Result<(), MalformedBody> {
        if self.expects_key() {
            return Err(MalformedBody::KeyNotText);
        }
        if items.is_some_and(|items| items > LONGEST) {
            return Err(MalformedBody::LengthTooLarge);
        }
        if self.depth > 0 && out.ignores() {
            self.skipping = true;
        } else {
            out.open(container)?;
        }
        let opened = Frame::new(container, items);
        *self
            .stack
            .get_mut(self.depth as usize)
            .ok_or(MalformedBody::TooDeep)? = opened;
        self.depth += 1;
        self.tagged = false;
        if opened.left == 0 {
            self.close(out)
        } else {
            Ok(())
        }
    }

    /// The innermost container ends, and every one that ends with it.
    fn close(&mut self, out: &mut Collector) -> Result<(), MalformedBody> {
        loop {
            self.depth = self.depth.saturating_sub(1);
            if !self.skipping {
                out.close(self.depth)?;
            }
            if self.depth <= 1 {
                self.skipping = false;
            }
            if !self.count() {
                return Ok(());
            }
        }
    }

    /// An item ended.
    fn ended(&mut self, out: &mut Collector) -> Result<(), MalformedBody> {
        self.tagged = false;
        if self.count() {
            self.close(out)
        } else {
            Ok(())
        }
    }

    /// Counts an item that ended; whether its container ends with it.
    fn count(&mut self) -> bool {
        match self.frame_mut() {
            Some(frame) => frame.count(),
            None => {
                self.done = true;
                false
            }
        }
    }

    fn expects_key(&self) -> bool {
        self.frame().is_some_and(|frame| frame.expects_key())
    }

    fn needs_value(&self, out: &Collector) -> bool {
        !self.skipping && out.needs_value()
    }

    fn frame(&self) -> Option<Frame> {
        self.stack
            .get((self.depth as usize).checked_sub(1)?)
            .copied()
    }

    fn frame_mut(&mut self) -> Option<&mut Frame> {
        self.stack.get_mut((self.depth as usize).checked_sub(1)?)
    }
}
