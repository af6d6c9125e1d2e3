//! The times of signatures, `YYYYMMDD'T'HHMMSS'Z'`.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// Seconds since 1970 of a time as signatures write it.
pub(super) fn parse(text: &str) -> Option<i64> {
    if !is_timestamp(text) {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i16>().ok();
    let small = |from, to| i8::try_from(number(from, to)?).ok();
    let time = DateTime::new(
        number(0, 4)?,
        small(4, 6)?,
        small(6, 8)?,
        small(9, 11)?,
        small(11, 13)?,
        small(13, 15)?,
        0,
    );
    let timestamp = Offset::UTC.to_timestamp(time.ok()?).ok()?;
    Some(timestamp.as_second())
}

/// A time as signatures write it.
pub fn signing_time(now: SystemTime) -> String {
    format(seconds(now))
}

/// Seconds since 1970, whole.
pub(super) fn seconds(now: SystemTime) -> i64 {
    Timestamp::try_from(now).map_or(0, Timestamp::as_second)
}

pub(super) fn format(seconds: i64) -> String {
    use std::fmt::Write as _;

    let timestamp = Timestamp::from_second(seconds).unwrap_or_default();
    let time = Offset::UTC.to_datetime(timestamp);
    let mut text = String::with_capacity(16);
    let _ = write!(
        text,
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    );
    text
}

/// `YYYYMMDD'T'HHMMSS'Z'`.
pub(super) fn is_timestamp(text: &str) -> bool {
    text.len() == 16
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::{format, parse};

    #[test]
    fn there_and_back() {
        for (text, seconds) in [
            ("20150830T123600Z", 1_440_938_160),
            ("19700101T000000Z", 0),
            ("20240229T235959Z", 1_709_251_199),
        ] {
            assert_eq!(parse(text), Some(seconds));
            assert_eq!(format(seconds), text);
        }
        for text in [
            "20150230T000000Z",
            "20150830T246000Z",
            "20150830T123600",
            "2015-08-30T12:36:00Z",
            "",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
