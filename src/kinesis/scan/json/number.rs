//! JSON numbers (RFC 8259 section 6).

use super::super::malformed::{MalformedBody, Result};

/// How far a number has been read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Minus,
    Zero,
    Digits,
    Point,
    Fraction,
    E,
    Sign,
    Exponent,
}

impl Number {
    /// A number that begins with a digit or a minus.
    pub(super) fn begin(byte: u8) -> Number {
        match byte {
            b'-' => Number::Minus,
            b'0' => Number::Zero,
            _ => Number::Digits,
        }
    }

    /// The state after `byte`; `None` if the number ended before it.
    pub(super) fn next(self, byte: u8) -> Result<Option<Number>> {
        let next = match (self, byte) {
            (Number::Minus, b'0') => Number::Zero,
            (Number::Minus, b'1'..=b'9') | (Number::Digits, b'0'..=b'9') => Number::Digits,
            (Number::Zero | Number::Digits, b'.') => Number::Point,
            (Number::Point | Number::Fraction, b'0'..=b'9') => Number::Fraction,
            (Number::Zero | Number::Digits | Number::Fraction, b'e' | b'E') => Number::E,
            (Number::E, b'+' | b'-') => Number::Sign,
            (Number::E | Number::Sign | Number::Exponent, b'0'..=b'9') => Number::Exponent,
            (Number::Zero, b'0'..=b'9') => return Err(MalformedBody::InvalidNumber),
            (Number::Zero | Number::Digits | Number::Fraction | Number::Exponent, _) => {
                return Ok(None);
            }
            _ => return Err(MalformedBody::InvalidNumber),
        };
        Ok(Some(next))
    }
}
