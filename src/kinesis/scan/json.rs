//! JSON, by RFC 8259.
//!
//! Between tokens it goes byte by byte; text, which is nearly all of a body of records, it crosses
//! from quote to quote ([`quotes`]). What stands between the texts of one record stands between those
//! of the next as well, so [`Gaps`] remembers it.

mod gaps;
mod number;
mod place;
mod quotes;

use fearless_simd::{Level, Simd, dispatch};

use super::MalformedBody;
use super::collect::{Collector, Container, Keep};
use super::utf8::Utf8;
use gaps::Gaps;
use number::Number;
use place::Place;
use quotes::{Bytes, Ends};

/// The grammar's state between two pieces of a body.
pub(super) struct Json {
    state: State,
    place: Place,
    utf8: Utf8,
    /// Of the text being read.
    is_key: bool,
    keep: Keep,
    /// The first half of a surrogate pair whose second half must follow; else zero.
    high: u16,
    /// Whether the member being read is of no interest and its top level has been left.
    skipping: bool,
    gaps: Gaps,
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
    Text,
    Escape,
    /// In `\uXXXX`: the digits that are left, and the value so far.
    Hex(u8, u16),
    Number(Number),
    /// In `true`, `false` or `null`: what must follow.
    Literal(&'static [u8], Literal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Literal {
    Null,
    Truth,
}

/// Bytes looked at together. A block is read two or three times, from the nearest cache.
const BLOCK: usize = 4 * 1024;

impl Default for Json {
    fn default() -> Json {
        Json {
            state: State::Value,
            place: Place::TOP,
            utf8: Utf8::default(),
            is_key: false,
            keep: Keep::No,
            high: 0,
            skipping: false,
            gaps: Gaps::default(),
        }
    }
}

impl Json {
    pub(super) fn push(&mut self, chunk: &[u8], out: &mut Collector) -> Result<(), MalformedBody> {
        dispatch!(Level::new(), simd => self.blocks(simd, chunk, out))
    }

    /// Everything that is called with `simd` is inlined into this, so that it is compiled once for each
    /// width of vectors.
    #[inline(always)]
    fn blocks<S: Simd>(
        &mut self,
        simd: S,
        chunk: &[u8],
        out: &mut Collector,
    ) -> Result<(), MalformedBody> {
        let mut ends = Ends::new();
        for block in chunk.chunks(BLOCK) {
            let bytes = ends.read(simd, block);
            if bytes.ascii {
                self.utf8.boundary()?
            } else {
                self.utf8.feed(block)?
            }
            self.block(simd, block, bytes, &ends, out)?;
        }
        Ok(())
    }

    pub(super) fn finish(&self) -> Result<(), MalformedBody> {
        self.utf8.boundary()?;
        match self.state {
            State::Done => Ok(()),
            State::Value if self.place == Place::TOP => Err(MalformedBody::Empty),
            _ => Err(MalformedBody::Truncated),
        }
    }

    #[inline(always)]
    fn block<S: Simd>(
        &mut self,
        simd: S,
        block: &[u8],
        bytes: Bytes,
        ends: &Ends,
        out: &mut Collector,
    ) -> Result<(), MalformedBody> {
        let mut at = 0;
        let mut gap = None;
        while let Some(&byte) = block.get(at) {
            if let State::Text = self.state {
                if self.high != 0 && byte != b'\\' {
                    return Err(MalformedBody::LoneSurrogate);
                }
                if !bytes.controls && self.skipping && !self.is_key {
                    let place = &mut self.place;
                    let Some(end) = self.gaps.cross(simd, block, at, place, ends) else {
                        break;
                    };
                    at = end + 1;
                    if block.get(end) == Some(&b'\\') {
                        self.state = State::Escape;
                    } else {
                        gap = Some((end, self.place));
                        self.state = State::CommaOrEnd;
                    }
                    continue;
                }
                let end = ends.next(at);
                let text = block
                    .get(at..end.unwrap_or(block.len()))
                    .unwrap_or_default();
                if bytes.controls && text.iter().any(|byte| *byte < 0x20) {
                    return Err(MalformedBody::ControlCharacter);
                }
                if self.keep == Keep::Yes {
                    out.extend(text)?;
                }
                let Some(end) = end else { break };
                at = end + 1;
                if block.get(end) == Some(&b'\\') {
                    self.state = State::Escape;
                } else {
                    self.end_text(out)?;
                }
                continue;
            }
            at += 1;
            match self.state {
                State::Text => {}
                State::Escape => self.escape(byte, out)?,
                State::Hex(left, unit) => self.hex(byte, left, unit, out)?,
                State::Number(number) => match number.next(byte)? {
                    Some(number) => self.state = State::Number(number),
                    None => {
                        self.after_value();
                        self.between(byte, out)?;
                    }
                },
                State::Literal(expected, literal) => self.literal(byte, expected, literal, out)?,
                _ => self.between(byte, out)?,
            }
            // A gap ends where the next skipped text begins, and is none if the member ended first.
            if gap.is_some() && !self.skipping {
                gap = None;
            } else if let (State::Text, false, Some((from, before))) =
                (self.state, self.is_key, gap)
            {
                let between = block.get(from..at).unwrap_or_default();
                self.gaps.remember(between, before, self.place);
                gap = None;
            }
        }
        Ok(())
    }

    /// A byte that is not inside a text, number or literal.
    fn between(&mut self, byte: u8, out: &mut Collector) -> Result<(), MalformedBody> {
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            return Ok(());
        }
        match (self.state, byte) {
            (State::Done, _) => return Err(MalformedBody::TrailingBytes),
            (State::CommaOrEnd, b',') => {
                self.state = if self.place.in_map() {
                    State::Key
                } else {
                    State::Value
                };
            }
            (State::CommaOrEnd | State::KeyOrEnd, b'}') if self.place.in_map() => {
                self.close(out)?
            }
            (State::CommaOrEnd | State::ValueOrEnd, b']') if !self.place.in_map() => {
                self.close(out)?
            }
            (State::Colon, b':') => self.state = State::Value,
            (State::Key | State::KeyOrEnd, b'"') => {
                self.is_key = true;
                self.keep = if self.skipping { Keep::No } else { out.key() };
                self.state = State::Text;
            }
            (State::Value | State::ValueOrEnd, _) => self.value(byte, out)?,
            _ => return Err(MalformedBody::Unexpected),
        }
        Ok(())
    }

    fn value(&mut self, byte: u8, out: &mut Collector) -> Result<(), MalformedBody> {
        match byte {
            b'"' => {
                self.is_key = false;
                self.keep = if self.skipping { Keep::No } else { out.text()? };
                self.state = State::Text;
            }
            b'{' => self.open(Container::Map, out)?,
            b'[' => self.open(Container::List, out)?,
            b'-' | b'0'..=b'9' => {
                self.scalar(out)?;
                self.state = State::Number(Number::begin(byte));
            }
            b't' => {
                self.scalar(out)?;
                self.state = State::Literal(b"rue", Literal::Truth);
            }
            b'f' => {
                self.scalar(out)?;
                self.state = State::Literal(b"alse", Literal::Truth);
            }
            b'n' => self.state = State::Literal(b"ull", Literal::Null),
            0xef if self.place == Place::TOP => return Err(MalformedBody::ByteOrderMark),
            _ if self.place == Place::TOP => return Err(MalformedBody::NotAMap),
            _ => return Err(MalformedBody::Unexpected),
        }
        Ok(())
    }

    fn open(&mut self, container: Container, out: &mut Collector) -> Result<(), MalformedBody> {
        let place = self.place.inside(container).ok_or(MalformedBody::TooDeep)?;
        if self.place != Place::TOP && out.ignores() {
            self.skipping = true;
        } else {
            out.open(container)?;
        }
        self.place = place;
        self.state = if container == Container::Map {
            State::KeyOrEnd
        } else {
            State::ValueOrEnd
        };
        Ok(())
    }

    fn close(&mut self, out: &mut Collector) -> Result<(), MalformedBody> {
        self.place = self.place.outside();
        let depth = self.place.depth();
        if !self.skipping {
            out.close(depth)?;
        }
        if depth <= 1 {
            self.skipping = false;
        }
        self.after_value();
        Ok(())
    }

    fn scalar(&mut self, out: &mut Collector) -> Result<(), MalformedBody> {
        if self.skipping { Ok(()) } else { out.scalar() }
    }

    fn end_text(&mut self, out: &mut Collector) -> Result<(), MalformedBody> {
        if self.is_key {
            if self.keep == Keep::Yes {
                out.key_end()?;
            }
            self.state = State::Colon;
        } else {
            if self.keep == Keep::Yes {
                out.text_end()?;
            }
            self.after_value();
        }
        Ok(())
    }

    fn after_value(&mut self) {
        self.state = if self.place == Place::TOP {
            State::Done
        } else {
            State::CommaOrEnd
        };
    }

    fn literal(
        &mut self,
        byte: u8,
        expected: &'static [u8],
        literal: Literal,
        out: &mut Collector,
    ) -> Result<(), MalformedBody> {
        match expected.split_first() {
            Some((next, rest)) if *next == byte => {
                if rest.is_empty() {
                    if literal == Literal::Null && !self.skipping {
                        out.null()?;
                    }
                    self.after_value();
                } else {
                    self.state = State::Literal(rest, literal);
                }
                Ok(())
            }
            _ => Err(MalformedBody::Unexpected),
        }
    }

    fn escape(&mut self, byte: u8, out: &mut Collector) -> Result<(), MalformedBody> {
        if self.high != 0 && byte != b'u' {
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
        self.state = State::Text;
        if self.keep == Keep::Yes {
            out.extend(&[decoded])
        } else {
            Ok(())
        }
    }

    fn hex(
        &mut self,
        byte: u8,
        left: u8,
        unit: u16,
        out: &mut Collector,
    ) -> Result<(), MalformedBody> {
        let digit = char::from(byte)
            .to_digit(16)
            .and_then(|digit| u16::try_from(digit).ok());
        let unit = unit << 4 | digit.ok_or(MalformedBody::InvalidEscape)?;
        if left > 1 {
            self.state = State::Hex(left - 1, unit);
            return Ok(());
        }
        self.state = State::Text;
        let high = std::mem::take(&mut self.high);
        let decoded = match (high, unit) {
            (0, 0xd800..=0xdbff) => {
                self.high = unit;
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
            out.extend(decoded.encode_utf8(&mut [0; 4]).as_bytes())?;
        }
        Ok(())
    }
}
