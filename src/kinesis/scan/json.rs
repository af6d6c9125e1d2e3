//! The JSON scanner (RFC 8259).
//!
//! It reads structure byte by byte, and strings, which are nearly all of a body of records, from
//! quote to quote ([`string_ends`]). The separators between the strings of a record are the same in
//! the next record, and cached ([`SeparatorCache`]).

mod container_stack;
mod number;
mod separator_cache;
mod string_ends;

use fearless_simd::{Level, Simd, dispatch};

use super::malformed::{MalformedBody, Result};
use super::member_visitor::{Container, Keep, MemberVisitor};
use super::utf8::Utf8Validator;
use container_stack::ContainerStack;
use number::Number;
use separator_cache::SeparatorCache;
use string_ends::{ByteKinds, StringEnds};

/// The state between two chunks of a body.
pub(super) struct JsonScanner {
    state: State,
    stack: ContainerStack,
    utf8: Utf8Validator,
    /// Whether the string that is being read is a key.
    is_key: bool,
    keep: Keep,
    /// The high surrogate whose low surrogate must follow; else zero.
    high_surrogate: u16,
    /// Whether the scanner is inside a container of a member that policy does not need.
    is_skipping: bool,
    separators: SeparatorCache,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
    Done,
    String,
    Escape,
    /// In `\uXXXX`: the number of remaining digits, and the value so far.
    Hex(u8, u16),
    Number(Number),
    /// In `true`, `false` or `null`: the bytes that must follow.
    Literal(&'static [u8], Literal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Literal {
    Null,
    Boolean,
}

/// Bytes that are read together. A block is read two or three times, from the nearest cache.
const BLOCK: usize = 4 * 1024;

impl Default for JsonScanner {
    fn default() -> JsonScanner {
        JsonScanner {
            state: State::Value,
            stack: ContainerStack::EMPTY,
            utf8: Utf8Validator::default(),
            is_key: false,
            keep: Keep::No,
            high_surrogate: 0,
            is_skipping: false,
            separators: SeparatorCache::default(),
        }
    }
}

impl JsonScanner {
    pub(super) fn push(&mut self, chunk: &[u8], visitor: &mut MemberVisitor) -> Result<()> {
        dispatch!(Level::new(), simd => self.push_blocks(simd, chunk, visitor))
    }

    /// Every function with the argument `simd` is inlined here, so that each is compiled once for
    /// each vector width.
    #[inline(always)]
    fn push_blocks<S: Simd>(
        &mut self,
        simd: S,
        chunk: &[u8],
        visitor: &mut MemberVisitor,
    ) -> Result<()> {
        let mut ends = StringEnds::new();
        for block in chunk.chunks(BLOCK) {
            let bytes = ends.read(simd, block);
            if bytes.is_ascii {
                self.utf8.finish()?
            } else {
                self.utf8.push(block)?
            }
            self.read_block(simd, block, bytes, &ends, visitor)?;
        }
        Ok(())
    }

    pub(super) fn finish(&self) -> Result<()> {
        self.utf8.finish()?;
        match self.state {
            State::Done => Ok(()),
            State::Value if self.stack == ContainerStack::EMPTY => Err(MalformedBody::Empty),
            _ => Err(MalformedBody::Truncated),
        }
    }

    #[inline(always)]
    fn read_block<S: Simd>(
        &mut self,
        simd: S,
        block: &[u8],
        bytes: ByteKinds,
        ends: &StringEnds,
        visitor: &mut MemberVisitor,
    ) -> Result<()> {
        let mut at = 0;
        let mut separator = None;
        while let Some(&byte) = block.get(at) {
            if let State::String = self.state {
                if self.high_surrogate != 0 && byte != b'\\' {
                    return Err(MalformedBody::LoneSurrogate);
                }
                if !bytes.may_have_control && self.is_skipping && !self.is_key {
                    let stack = &mut self.stack;
                    let end = self.separators.skip_strings(simd, block, at, stack, ends);
                    let Some(end) = end else { break };
                    at = end + 1;
                    if block.get(end) == Some(&b'\\') {
                        self.state = State::Escape;
                    } else {
                        separator = Some((end, self.stack));
                        self.state = State::CommaOrEnd;
                    }
                    continue;
                }
                let end = ends.next(at);
                let piece = block
                    .get(at..end.unwrap_or(block.len()))
                    .unwrap_or_default();
                if bytes.may_have_control && piece.iter().any(|byte| *byte < 0x20) {
                    return Err(MalformedBody::ControlCharacter);
                }
                if self.keep == Keep::Yes {
                    visitor.extend_string(piece)?;
                }
                let Some(end) = end else { break };
                at = end + 1;
                if block.get(end) == Some(&b'\\') {
                    self.state = State::Escape;
                } else {
                    self.end_string(visitor)?;
                }
                continue;
            }
            at += 1;
            match self.state {
                State::String => {}
                State::Escape => self.read_escape(byte, visitor)?,
                State::Hex(left, unit) => self.read_hex(byte, left, unit, visitor)?,
                State::Number(number) => match number.next(byte)? {
                    Some(number) => self.state = State::Number(number),
                    None => {
                        self.end_value();
                        self.read_structure(byte, visitor)?;
                    }
                },
                State::Literal(expected, literal) => {
                    self.read_literal(byte, expected, literal, visitor)?
                }
                _ => self.read_structure(byte, visitor)?,
            }
            // A separator ends where the next skipped string begins. There is no separator if the
            // member ends first.
            if !self.is_skipping {
                separator = None;
            } else if let (State::String, false, Some((from, before))) =
                (self.state, self.is_key, separator)
            {
                let bytes = block.get(from..at).unwrap_or_default();
                self.separators.insert(bytes, before, self.stack);
                separator = None;
            }
        }
        Ok(())
    }

    /// Reads a byte outside strings, numbers and literals.
    fn read_structure(&mut self, byte: u8, visitor: &mut MemberVisitor) -> Result<()> {
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            return Ok(());
        }
        match (self.state, byte) {
            (State::Done, _) => return Err(MalformedBody::TrailingBytes),
            (State::CommaOrEnd, b',') => {
                self.state = if self.stack.is_in_map() {
                    State::Key
                } else {
                    State::Value
                };
            }
            (State::CommaOrEnd | State::KeyOrEnd, b'}') if self.stack.is_in_map() => {
                self.end_container(visitor)?
            }
            (State::CommaOrEnd | State::ValueOrEnd, b']') if !self.stack.is_in_map() => {
                self.end_container(visitor)?
            }
            (State::Colon, b':') => self.state = State::Value,
            (State::Key | State::KeyOrEnd, b'"') => {
                self.is_key = true;
                self.keep = match self.is_skipping {
                    true => Keep::No,
                    false => visitor.begin_key(),
                };
                self.state = State::String;
            }
            (State::Value | State::ValueOrEnd, _) => self.begin_value(byte, visitor)?,
            _ => return Err(MalformedBody::Unexpected),
        }
        Ok(())
    }

    fn begin_value(&mut self, byte: u8, visitor: &mut MemberVisitor) -> Result<()> {
        match byte {
            b'"' => {
                self.is_key = false;
                self.keep = match self.is_skipping {
                    true => Keep::No,
                    false => visitor.begin_text()?,
                };
                self.state = State::String;
            }
            b'{' => self.begin_container(Container::Map, visitor)?,
            b'[' => self.begin_container(Container::List, visitor)?,
            b'-' | b'0'..=b'9' => {
                self.begin_scalar(visitor)?;
                self.state = State::Number(Number::begin(byte));
            }
            b't' | b'f' => {
                self.begin_scalar(visitor)?;
                let rest: &[u8] = if byte == b't' { b"rue" } else { b"alse" };
                self.state = State::Literal(rest, Literal::Boolean);
            }
            b'n' => self.state = State::Literal(b"ull", Literal::Null),
            _ if self.stack != ContainerStack::EMPTY => return Err(MalformedBody::Unexpected),
            0xef => return Err(MalformedBody::ByteOrderMark),
            _ => return Err(MalformedBody::NotAMap),
        }
        Ok(())
    }

    fn begin_container(&mut self, container: Container, visitor: &mut MemberVisitor) -> Result<()> {
        let stack = self.stack.push(container).ok_or(MalformedBody::TooDeep)?;
        if self.stack != ContainerStack::EMPTY && visitor.ignores_member() {
            self.is_skipping = true;
        } else {
            visitor.begin_container(container)?;
        }
        self.stack = stack;
        self.state = if container == Container::Map {
            State::KeyOrEnd
        } else {
            State::ValueOrEnd
        };
        Ok(())
    }

    fn end_container(&mut self, visitor: &mut MemberVisitor) -> Result<()> {
        self.stack = self.stack.pop();
        let depth = self.stack.depth();
        if !self.is_skipping {
            visitor.end_container(depth)?;
        }
        if depth <= 1 {
            self.is_skipping = false;
        }
        self.end_value();
        Ok(())
    }

    fn begin_scalar(&mut self, visitor: &mut MemberVisitor) -> Result<()> {
        if self.is_skipping {
            Ok(())
        } else {
            visitor.visit_scalar()
        }
    }

    fn end_string(&mut self, visitor: &mut MemberVisitor) -> Result<()> {
        if self.is_key {
            if self.keep == Keep::Yes {
                visitor.end_key()?;
            }
            self.state = State::Colon;
        } else {
            if self.keep == Keep::Yes {
                visitor.end_text()?;
            }
            self.end_value();
        }
        Ok(())
    }

    fn end_value(&mut self) {
        self.state = if self.stack == ContainerStack::EMPTY {
            State::Done
        } else {
            State::CommaOrEnd
        };
    }

    fn read_literal(
        &mut self,
        byte: u8,
        expected: &'static [u8],
        literal: Literal,
        visitor: &mut MemberVisitor,
    ) -> Result<()> {
        let rest = expected.strip_prefix(&[byte]);
        let rest = rest.ok_or(MalformedBody::Unexpected)?;
        if !rest.is_empty() {
            self.state = State::Literal(rest, literal);
            return Ok(());
        }
        if literal == Literal::Null && !self.is_skipping {
            visitor.visit_null()?;
        }
        self.end_value();
        Ok(())
    }

    fn read_escape(&mut self, byte: u8, visitor: &mut MemberVisitor) -> Result<()> {
        if self.high_surrogate != 0 && byte != b'u' {
            return Err(MalformedBody::LoneSurrogate);
        }
        let decoded = match byte {
            b'u' => {
                self.state = State::Hex(4, 0);
                return Ok(());
            }
            b'"' | b'\\' | b'/' => byte,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            _ => return Err(MalformedBody::InvalidEscape),
        };
        self.state = State::String;
        if self.keep == Keep::Yes {
            visitor.extend_string(&[decoded])
        } else {
            Ok(())
        }
    }

    fn read_hex(
        &mut self,
        byte: u8,
        left: u8,
        unit: u16,
        visitor: &mut MemberVisitor,
    ) -> Result<()> {
        let digit = char::from(byte)
            .to_digit(16)
            .and_then(|digit| u16::try_from(digit).ok());
        let unit = unit << 4 | digit.ok_or(MalformedBody::InvalidEscape)?;
        if left > 1 {
            self.state = State::Hex(left - 1, unit);
            return Ok(());
        }
        self.state = State::String;
        let high = std::mem::take(&mut self.high_surrogate);
        let decoded = match (high, unit) {
            (0, 0xd800..=0xdbff) => {
                self.high_surrogate = unit;
                return Ok(());
            }
            (0, _) => char::from_u32(u32::from(unit)),
            (_, 0xdc00..=0xdfff) => {
                let pair = u32::from(high & 0x3ff) << 10 | u32::from(unit & 0x3ff);
                char::from_u32(0x10000 + pair)
            }
            _ => None,
        };
        let decoded = decoded.ok_or(MalformedBody::LoneSurrogate)?;
        if self.keep == Keep::Yes {
            visitor.extend_string(decoded.encode_utf8(&mut [0; 4]).as_bytes())?;
        }
        Ok(())
    }
}
