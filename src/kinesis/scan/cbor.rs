//! The CBOR scanner (RFC 8949), for items of definite and of indefinite length: real SDKs write both.
//!
//! A length need not have its shortest form: every reader reads the same length. Every item takes
//! at least one byte of the body, so the limit of the body also limits the number of items.

mod frame;
mod skip;

use super::MAX_DEPTH;
use super::malformed::{MalformedBody, Result};
use super::member_visitor::{Container, Keep, MemberVisitor};
use super::utf8::Utf8Validator;
use frame::Frame;

/// The state between two chunks of a body.
pub(super) struct CborScanner {
    state: State,
    /// The open containers; those beyond `depth` are not in use.
    stack: [Frame; MAX_DEPTH as usize],
    depth: u32,
    utf8: Utf8Validator,
    /// Whether a tag stands before the item that is being read.
    is_tagged: bool,
    /// The kind of the string of indefinite length that is being read.
    indefinite_string: Option<StringKind>,
    keep: Keep,
    is_key: bool,
    /// Whether the scanner is inside a container of a member that policy does not need.
    is_skipping: bool,
    is_done: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// The first byte of an item comes next.
    Item,
    /// In an item's head: the first byte, the number of remaining bytes, the argument so far.
    Head(u8, u8, u64),
    /// In a string: the number of remaining bytes.
    Content(StringKind, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StringKind {
    Bytes,
    Text,
}

/// Longer than any body, and small enough to be doubled.
const MAX_LENGTH: u64 = u32::MAX as u64;

impl Default for CborScanner {
    fn default() -> CborScanner {
        CborScanner {
            state: State::Item,
            stack: [Frame::default(); MAX_DEPTH as usize],
            depth: 0,
            utf8: Utf8Validator::default(),
            is_tagged: false,
            indefinite_string: None,
            keep: Keep::No,
            is_key: false,
            is_skipping: false,
            is_done: false,
        }
    }
}

impl CborScanner {
    pub(super) fn push(&mut self, chunk: &[u8], visitor: &mut MemberVisitor) -> Result<()> {
        let mut rest = chunk;
        while let Some((&byte, after)) = rest.split_first() {
            match self.state {
                State::Item => {
                    if self.is_done {
                        return Err(MalformedBody::TrailingBytes);
                    }
                    if self.is_skipping && !self.is_tagged && self.indefinite_string.is_none() {
                        let skipped = self.skip(rest, visitor)?;
                        if skipped.len() < rest.len() {
                            rest = skipped;
                            continue;
                        }
                    }
                    rest = self.begin_item(byte, after, visitor)?;
                }
                State::Head(first, left, value) => {
                    rest = after;
                    let value = value << 8 | u64::from(byte);
                    if left > 1 {
                        self.state = State::Head(first, left - 1, value);
                    } else {
                        self.read_head(first, value, visitor)?;
                    }
                }
                State::Content(kind, left) => {
                    let len = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    let (content, after) = rest.split_at(len);
                    rest = after;
                    self.read_content(kind, content, left - len as u64, visitor)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn finish(&self) -> Result<()> {
        match (self.is_done, self.state, self.depth, self.is_tagged) {
            (true, ..) => Ok(()),
            (false, State::Item, 0, false) => Err(MalformedBody::Empty),
            _ => Err(MalformedBody::Truncated),
        }
    }

    /// Reads the first byte of an item, and the head if it is complete.
    fn begin_item<'a>(
        &mut self,
        first: u8,
        after: &'a [u8],
        visitor: &mut MemberVisitor,
    ) -> Result<&'a [u8]> {
        let width = match first & 0x1f {
            info @ 0..=23 => {
                self.read_head(first, u64::from(info), visitor)?;
                return Ok(after);
            }
            31 => {
                self.begin_indefinite(first, visitor)?;
                return Ok(after);
            }
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return Err(MalformedBody::ReservedItem),
        };
        if let (1, Some((&value, after))) = (width, after.split_first()) {
            self.read_head(first, u64::from(value), visitor)?;
            return Ok(after);
        }
        self.state = State::Head(first, width, 0);
        Ok(after)
    }

    /// Reads a complete head: its first byte and its argument (RFC 8949 section 3).
    fn read_head(&mut self, first: u8, value: u64, visitor: &mut MemberVisitor) -> Result<()> {
        let major = first >> 5;
        self.state = State::Item;
        if let Some(kind) = self.indefinite_string {
            // Only definite strings of the same kind make up an indefinite one.
            let is_piece = matches!(
                (kind, major),
                (StringKind::Bytes, 2) | (StringKind::Text, 3)
            );
            return if is_piece {
                self.begin_content(kind, value, visitor)
            } else {
                Err(MalformedBody::Unexpected)
            };
        }
        match major {
            2 => self
                .begin_string(StringKind::Bytes, visitor)
                .and_then(|()| self.begin_content(StringKind::Bytes, value, visitor)),
            3 => self
                .begin_string(StringKind::Text, visitor)
                .and_then(|()| self.begin_content(StringKind::Text, value, visitor)),
            4 => self.begin_container(Container::List, Some(value), visitor),
            5 => self.begin_container(Container::Map, Some(value), visitor),
            6 => {
                if self.expects_key() || self.needs_value(visitor) {
                    return Err(MalformedBody::Tagged);
                }
                self.is_tagged = true;
                Ok(())
            }
            7 => self.read_simple(first, value, visitor),
            _ => self.read_scalar(visitor),
        }
    }

    fn begin_indefinite(&mut self, first: u8, visitor: &mut MemberVisitor) -> Result<()> {
        match (first >> 5, self.indefinite_string) {
            (7, Some(_)) => {
                self.indefinite_string = None;
                self.end_string(visitor)
            }
            (_, Some(_)) => Err(MalformedBody::Unexpected),
            (2, None) => {
                self.begin_string(StringKind::Bytes, visitor)?;
                self.indefinite_string = Some(StringKind::Bytes);
                Ok(())
            }
            (3, None) => {
                self.begin_string(StringKind::Text, visitor)?;
                self.indefinite_string = Some(StringKind::Text);
                Ok(())
            }
            (4, None) => self.begin_container(Container::List, None, visitor),
            (5, None) => self.begin_container(Container::Map, None, visitor),
            (7, None) => match self.frame() {
                Some(frame) if frame.may_break() && !self.is_tagged => self.end_container(visitor),
                _ => Err(MalformedBody::Unexpected),
            },
            _ => Err(MalformedBody::ReservedItem),
        }
    }

    fn begin_string(&mut self, kind: StringKind, visitor: &mut MemberVisitor) -> Result<()> {
        self.is_key = self.expects_key();
        if self.is_key && kind != StringKind::Text {
            return Err(MalformedBody::KeyNotText);
        }
        self.keep = match (self.is_skipping, self.is_key, kind) {
            (true, ..) => Keep::No,
            (false, true, _) => visitor.begin_key(),
            (false, false, StringKind::Text) => visitor.begin_text()?,
            (false, false, StringKind::Bytes) => {
                visitor.visit_scalar()?;
                Keep::No
            }
        };
        Ok(())
    }

    /// Begins a definite string, or a chunk of an indefinite one.
    fn begin_content(
        &mut self,
        kind: StringKind,
        len: u64,
        visitor: &mut MemberVisitor,
    ) -> Result<()> {
        if len > MAX_LENGTH {
            return Err(MalformedBody::LengthTooLarge);
        }
        if len == 0 {
            return self.read_content(kind, &[], 0, visitor);
        }
        self.state = State::Content(kind, len);
        Ok(())
    }

    fn read_content(
        &mut self,
        kind: StringKind,
        content: &[u8],
        left: u64,
        visitor: &mut MemberVisitor,
    ) -> Result<()> {
        if kind == StringKind::Text {
            if content.is_ascii() && !content.is_empty() {
                self.utf8.finish()?
            } else {
                self.utf8.push(content)?
            }
            if self.keep == Keep::Yes {
                visitor.extend_string(content)?;
            }
        }
        if left > 0 {
            self.state = State::Content(kind, left);
            return Ok(());
        }
        self.state = State::Item;
        if kind == StringKind::Text {
            // Each chunk of a text string is valid by itself (RFC 8949 section 3.2.3).
            self.utf8.finish()?;
        }
        if self.indefinite_string.is_some() {
            Ok(())
        } else {
            self.end_string(visitor)
        }
    }

    fn end_string(&mut self, visitor: &mut MemberVisitor) -> Result<()> {
        if self.keep == Keep::Yes {
            if self.is_key {
                visitor.end_key()?
            } else {
                visitor.end_text()?
            }
        }
        self.end_item(visitor)
    }

    fn read_simple(&mut self, first: u8, value: u64, visitor: &mut MemberVisitor) -> Result<()> {
        match first & 0x1f {
            22 if !self.expects_key() => {
                if !self.is_skipping {
                    visitor.visit_null()?;
                }
                self.end_item(visitor)
            }
            24 if value < 32 => Err(MalformedBody::ReservedItem),
            _ => self.read_scalar(visitor),
        }
    }

    fn read_scalar(&mut self, visitor: &mut MemberVisitor) -> Result<()> {
        if self.expects_key() {
            return Err(MalformedBody::KeyNotText);
        }
        if !self.is_skipping {
            visitor.visit_scalar()?;
        }
        self.end_item(visitor)
    }

    fn begin_container(
        &mut self,
        container: Container,
        items: Option<u64>,
        visitor: &mut MemberVisitor,
    ) -> Result<()> {
        if self.expects_key() {
            return Err(MalformedBody::KeyNotText);
        }
        if items.is_some_and(|items| items > MAX_LENGTH) {
            return Err(MalformedBody::LengthTooLarge);
        }
        if self.depth > 0 && visitor.ignores_member() {
            self.is_skipping = true;
        } else {
            visitor.begin_container(container)?;
        }
        let opened = Frame::new(container, items);
        *self
            .stack
            .get_mut(self.depth as usize)
            .ok_or(MalformedBody::TooDeep)? = opened;
        self.depth += 1;
        self.is_tagged = false;
        if opened.items_left == 0 {
            self.end_container(visitor)
        } else {
            Ok(())
        }
    }

    /// Ends the innermost container, and every container that ends with it.
    fn end_container(&mut self, visitor: &mut MemberVisitor) -> Result<()> {
        loop {
            self.depth = self.depth.saturating_sub(1);
            if !self.is_skipping {
                visitor.end_container(self.depth)?;
            }
            if self.depth <= 1 {
                self.is_skipping = false;
            }
            if !self.count_item() {
                return Ok(());
            }
        }
    }

    fn end_item(&mut self, visitor: &mut MemberVisitor) -> Result<()> {
        self.is_tagged = false;
        if self.count_item() {
            self.end_container(visitor)
        } else {
            Ok(())
        }
    }

    /// Counts an item that ended. Returns whether its container ends with it.
    fn count_item(&mut self) -> bool {
        match self.frame_mut() {
            Some(frame) => frame.count_item(),
            None => {
                self.is_done = true;
                false
            }
        }
    }

    fn expects_key(&self) -> bool {
        self.frame().is_some_and(|frame| frame.expects_key())
    }

    fn needs_value(&self, visitor: &MemberVisitor) -> bool {
        !self.is_skipping && visitor.needs_value()
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
