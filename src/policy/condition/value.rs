//! Values of condition keys as text, number, time and address, without allocation.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::policy::condition::date::{self, Instant};
use crate::policy::condition::key::Key;
use crate::policy::condition::number::Decimal;
use crate::policy::request::Value;

/// Text that is borrowed, or was written into a buffer of its own.
#[derive(Clone, Copy)]
pub(in crate::policy) struct Rendered<'a>(Text<'a>);

#[derive(Clone, Copy)]
enum Text<'a> {
    Borrowed(&'a str),
    Written(Buffer),
}

impl<'a> Rendered<'a> {
    pub(in crate::policy) fn text(text: &'a str) -> Rendered<'a> {
        Rendered(Text::Borrowed(text))
    }

    pub(in crate::policy) fn as_str(&self) -> &str {
        match &self.0 {
            Text::Borrowed(text) => text,
            Text::Written(buffer) => buffer.as_str(),
        }
    }
}

/// A value as text; `None` where it has none, or several.
pub(in crate::policy) fn render<'a>(value: Value<'a>, key: Key<'_>) -> Option<Rendered<'a>> {
    let mut buffer = Buffer::default();
    match value {
        Value::Text(text) => return Some(Rendered::text(text)),
        Value::Many(values) => {
            let only = values.at(0)?;
            return values.at(1).is_none().then(|| Rendered::text(only));
        }
        Value::Bool(value) => return Some(Rendered::text(if value { "true" } else { "false" })),
        Value::Number(number) => write!(buffer, "{number}").ok()?,
        Value::Time(millis) if key == Key::EpochTime => {
            write!(buffer, "{}", millis.div_euclid(1000)).ok()?;
        }
        Value::Time(millis) => date::write_iso(millis, &mut buffer).ok()?,
        Value::Ip(address) => write!(buffer, "{}", address.to_canonical()).ok()?,
        Value::Opaque => return None,
    }
    Some(Rendered(Text::Written(buffer)))
}

/// A value as a number; `None` where it is not one.
pub(in crate::policy) fn number<'b>(rendered: &'b Rendered<'_>) -> Option<Decimal<'b>> {
    Decimal::parse(rendered.as_str())
}

/// A value as a point in time.
pub(in crate::policy) fn instant(value: Value<'_>, key: Key<'_>) -> Option<Instant> {
    match value {
        Value::Time(millis) => Some(Instant::from_millis(millis)),
        Value::Number(seconds) => Some(Instant::from_seconds(seconds)),
        value => Instant::parse(render(value, key)?.as_str()),
    }
}

/// A value as an address, IPv4-mapped IPv6 as IPv4.
pub(in crate::policy) fn address(value: Value<'_>, key: Key<'_>) -> Option<IpAddr> {
    match value {
        Value::Ip(address) => Some(address.to_canonical()),
        value => {
            let address: IpAddr = render(value, key)?.as_str().parse().ok()?;
            Some(address.to_canonical())
        }
    }
}

/// Room for any number, time or address.
#[derive(Clone, Copy)]
pub(in crate::policy) struct Buffer {
    bytes: [u8; 48],
    length: usize,
}

impl Default for Buffer {
    fn default() -> Buffer {
        Buffer {
            bytes: [0; 48],
            length: 0,
        }
    }
}

impl Buffer {
    fn as_str(&self) -> &str {
        let written = self.bytes.get(..self.length).unwrap_or(&[]);
        std::str::from_utf8(written).unwrap_or("")
    }
}

impl std::fmt::Write for Buffer {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let room = self
            .bytes
            .get_mut(self.length..end)
            .ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
