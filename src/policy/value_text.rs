//! The text of a condition value of the request, written without allocation.

use std::fmt::Display;
use std::io::Write as _;

use jiff::Timestamp;

use crate::policy::condition_key::Key;
use crate::policy::request::Value;

/// The text of one value: borrowed, or written into a buffer of its own.
#[derive(Clone, Copy)]
pub(super) enum ValueText<'a> {
    Borrowed(&'a str),
    /// A buffer with room for any number, time or address, and the length of the text.
    Written([u8; 48], usize),
}

impl<'a> ValueText<'a> {
    /// The text of `value`; `None` for an opaque value, for several values, and for a time outside
    /// the years -9999 to 9999.
    pub(super) fn of(value: Value<'a>, key: Key<'_>) -> Option<ValueText<'a>> {
        match value {
            Value::Text(text) => Some(ValueText::Borrowed(text)),
            Value::Many(values) if values.at(1).is_none() => values.at(0).map(ValueText::Borrowed),
            Value::Many(_) | Value::Opaque => None,
            Value::Bool(value) => Some(ValueText::Borrowed(if value { "true" } else { "false" })),
            Value::Number(number) => write(number),
            Value::Time(millis) if key == Key::EpochTime => write(millis.div_euclid(1000)),
            Value::Time(millis) => write(Timestamp::from_second(millis.div_euclid(1000)).ok()?),
            Value::Ip(address) => write(address.to_canonical()),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            ValueText::Borrowed(text) => text,
            ValueText::Written(buffer, length) => {
                let written = buffer.get(..*length).unwrap_or(&[]);
                std::str::from_utf8(written).unwrap_or("")
            }
        }
    }
}

fn write(value: impl Display) -> Option<ValueText<'static>> {
    let mut buffer = [0; 48];
    let mut rest = buffer.as_mut_slice();
    write!(rest, "{value}").ok()?;
    let length = 48 - rest.len();
    Some(ValueText::Written(buffer, length))
}

#[cfg(test)]
mod tests {
    use super::ValueText;
    use crate::policy::condition_key::Key;
    use crate::policy::request::Value;

    #[test]
    fn times_are_written_in_utc() {
        for (key, millis, expected) in [
            (Key::CurrentTime, 1_704_067_199_999, "2023-12-31T23:59:59Z"),
            (Key::CurrentTime, 951_782_400_000, "2000-02-29T00:00:00Z"),
            (Key::EpochTime, 951_782_400_000, "951782400"),
            (Key::EpochTime, -1, "-1"),
        ] {
            let text = ValueText::of(Value::Time(millis), key).expect(expected);
            assert_eq!(text.as_str(), expected);
        }
    }
}
