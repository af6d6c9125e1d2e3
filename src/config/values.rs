//! Values of the file that have a grammar of their own.

use std::net::SocketAddr;
use std::time::Duration;

use toml_span::de_helpers::expected;
use toml_span::value::ValueInner;
use toml_span::{DeserError, Deserialize, Error, ErrorKind, Value};

/// Names by which clients may reach a listener without naming a Kinesis endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names(Vec<String>);

/// A span of time: an integer of seconds, or a string such as `"250ms"`, `"5s"`, `"2m"`.
pub(super) struct Span(pub Duration);

/// A number of bytes: an integer, or a string such as `"64KiB"`, `"16MiB"`.
pub(super) struct Bytes(pub usize);

/// A socket address.
pub(super) struct Address(pub SocketAddr);

impl Names {
    /// Names in lower case, without duplicates.
    pub fn new(names: Vec<String>) -> Names {
        let mut names: Vec<String> = names
            .into_iter()
            .map(|name| name.to_ascii_lowercase())
            .collect();
        names.sort();
        names.dedup();
        Names(names)
    }

    /// Whether `name`, in any case, is one of them.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let millis = match value.take() {
            ValueInner::Integer(seconds) => u64::try_from(seconds)
                .ok()
                .and_then(|s| s.checked_mul(1000)),
            ValueInner::String(text) => scaled(
                &text,
                &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)],
            ),
            other => {
                return Err(
                    expected("seconds, or a string such as \"5s\"", other, value.span).into(),
                );
            }
        };
        match millis {
            Some(millis) if millis > 0 => Ok(Span(Duration::from_millis(millis))),
            _ => Err(custom(
                value,
                "not a span of time above zero: write seconds, or a string such as \"250ms\", \"5s\", \"2m\"",
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let bytes = match value.take() {
            ValueInner::Integer(bytes) => u64::try_from(bytes).ok(),
            ValueInner::String(text) => scaled(
                &text,
                &[("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)],
            ),
            other => {
                return Err(
                    expected("bytes, or a string such as \"16MiB\"", other, value.span).into(),
                );
            }
        };
        match bytes.and_then(|bytes| usize::try_from(bytes).ok()) {
            Some(bytes) if bytes > 0 => Ok(Bytes(bytes)),
            _ => Err(custom(
                value,
                "not a number of bytes above zero: write an integer, or a string such as \"64KiB\", \"16MiB\"",
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let text = value.take_string(Some("an address such as \"127.0.0.1:4443\""))?;
        text.parse()
            .map(Address)
            .map_err(|_| custom(value, &format!("`{text}` is not an address and port such as \"127.0.0.1:4443\" or \"[::1]:4443\"")))
    }
}

/// An error at the value's place.
pub(super) fn custom(value: &Value<'_>, message: &str) -> DeserError {
    Error {
        kind: ErrorKind::Custom(message.to_owned().into()),
        span: value.span,
        line_info: None,
    }
    .into()
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    // Longest unit first, so that `ms` is not read as `s`.
    let (number, scale) = units
        .iter()
        .filter_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale)))
        .min_by_key(|(number, _)| number.len())?;
    number.trim().parse::<u64>().ok()?.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::scaled;

    #[test]
    fn units() {
        let spans = &[("ms", 1), ("s", 1000), ("m", 60_000)];
        assert_eq!(scaled("250ms", spans), Some(250));
        assert_eq!(scaled("5s", spans), Some(5000));
        assert_eq!(scaled("2 m", spans), Some(120_000));
        assert_eq!(scaled("5", spans), None);
        assert_eq!(scaled("-5s", spans), None);
        assert_eq!(scaled("99999999999999999999s", spans), None);
    }
}
