//! The timestamps of signatures, `YYYYMMDD'T'HHMMSS'Z'`.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

const FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// A time in the form of `X-Amz-Date`.
pub fn amz_date(now: SystemTime) -> String {
    format(seconds(now))
}

/// Parses a timestamp into seconds since 1970.
pub(super) fn parse(text: &str) -> Option<i64> {
    // `jiff` reads second 60 as 59, which would be a second reading of the same text.
    if !is_timestamp(text) || text.ends_with("60Z") {
        return None;
    }
    let time = DateTime::strptime(FORMAT, text).ok()?;
    Some(Offset::UTC.to_timestamp(time).ok()?.as_second())
}

/// Seconds since 1970, without their fraction.
pub(super) fn seconds(now: SystemTime) -> i64 {
    Timestamp::try_from(now).map_or(0, Timestamp::as_second)
}

/// Formats seconds since 1970 in the form of `X-Amz-Date`.
pub(super) fn format(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds).unwrap_or_default();
    time.strftime(FORMAT).to_string()
}

/// Whether the text has the form `YYYYMMDD'T'HHMMSS'Z'`.
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
    fn parses_what_it_formats() {
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
            "20161231T235960Z",
            "20161231T235961Z",
            "20150830T123600",
            "2015-08-30T12:36:00Z",
            "",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
