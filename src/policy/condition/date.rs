//! Dates of the Date operators: the W3C profile of ISO 8601, or seconds since 1970.

use std::cmp::Ordering;
use std::str::FromStr;

use jiff::SignedDuration;
use jiff::civil::{Date, date};

use crate::policy::ternary::Match;

const EPOCH: Date = date(1970, 1, 1);

/// A point in time, as the time since 1970-01-01T00:00:00Z.
///
/// CONTESTED: a bare four-digit number may be a year or seconds since 1970. The value keeps both
/// readings, and a comparison on which they differ is `Maybe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) struct DateValue {
    as_date: SignedDuration,
    as_seconds: SignedDuration,
}

impl DateValue {
    pub(in crate::policy) const fn from_millis(millis: i64) -> DateValue {
        DateValue::unambiguous(SignedDuration::from_millis(millis))
    }

    pub(in crate::policy) const fn from_seconds(seconds: i64) -> DateValue {
        DateValue::unambiguous(SignedDuration::from_secs(seconds))
    }

    const fn unambiguous(since_epoch: SignedDuration) -> DateValue {
        DateValue {
            as_date: since_epoch,
            as_seconds: since_epoch,
        }
    }

    /// Parses a date, a date with time and zone, or whole seconds since 1970.
    pub(in crate::policy) fn parse(text: &str) -> Option<DateValue> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !(1..16).contains(&digits.len()) || !is_digits(digits) {
            return parse_iso(text).map(DateValue::unambiguous);
        }
        let as_seconds = SignedDuration::from_secs(text.parse().ok()?);
        let as_date = match text.len() {
            4 => parse_iso(text)?,
            _ => as_seconds,
        };
        Some(DateValue {
            as_date,
            as_seconds,
        })
    }

    pub(in crate::policy) fn is_ambiguous(self) -> bool {
        self.as_date != self.as_seconds
    }

    /// Applies an order test to every pair of readings.
    pub(in crate::policy) fn compare(
        self,
        other: DateValue,
        holds: impl Fn(Ordering) -> bool,
    ) -> Match {
        let results = [
            holds(self.as_date.cmp(&other.as_date)),
            holds(self.as_date.cmp(&other.as_seconds)),
            holds(self.as_seconds.cmp(&other.as_date)),
            holds(self.as_seconds.cmp(&other.as_seconds)),
        ];
        match (results.contains(&true), results.contains(&false)) {
            (true, false) => Match::Yes,
            (false, _) => Match::No,
            (true, true) => Match::Maybe,
        }
    }
}

/// Parses `YYYY`, `YYYY-MM`, `YYYY-MM-DD` or `YYYY-MM-DDThh:mm[:ss[.f]]` with `Z` or `±hh:mm`.
/// The parsers of `jiff` accept more forms than AWS documents, and no instant after 9999-12-30.
fn parse_iso(text: &str) -> Option<SignedDuration> {
    let Some((day, time)) = text.split_once('T') else {
        return parse_day(text);
    };
    let midnight = parse_day(day).filter(|_| day.len() == 10)?;
    let (clock, zone) = time.split_at_checked(time.rfind(['Z', '+', '-'])?)?;
    let offset = match zone.split_at_checked(1)? {
        ("Z", "") => SignedDuration::ZERO,
        ("+", offset) => parse_clock(offset).filter(|_| offset.len() == 5)?,
        ("-", offset) => -parse_clock(offset).filter(|_| offset.len() == 5)?,
        _ => return None,
    };
    Some(midnight + parse_clock(clock)? - offset)
}

/// Midnight of a day. Checks the ranges itself, because an error of `jiff` allocates.
fn parse_day(text: &str) -> Option<SignedDuration> {
    let mut parts = text.splitn(3, '-');
    let year = parse_number(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(1), |text| parse_number(text, 2))?;
    let day = parts.next().map_or(Some(1), |text| parse_number(text, 2))?;
    if !(1..=12).contains(&month) {
        return None;
    }
    let first = Date::new(year, month, 1).ok()?;
    if !(1..=first.days_in_month()).contains(&day) {
        return None;
    }
    Some(Date::new(year, month, day).ok()?.duration_since(EPOCH))
}

/// The time since midnight. Digits beyond nanoseconds are dropped.
fn parse_clock(text: &str) -> Option<SignedDuration> {
    let mut parts = text.splitn(3, ':');
    let hour: i64 = parse_number(parts.next()?, 2)?;
    let minute: i64 = parse_number(parts.next()?, 2)?;
    let (second, fraction) = match parts.next() {
        None => ("00", "0"),
        Some(seconds) => seconds.split_once('.').unwrap_or((seconds, "0")),
    };
    let second: i64 = parse_number(second, 2)?;
    if hour > 23 || minute > 59 || second > 59 || fraction.is_empty() || !is_digits(fraction) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanos = digits.fold(0, |nanos, digit| nanos * 10 + i32::from(digit - b'0'));
    Some(SignedDuration::new(
        hour * 3600 + minute * 60 + second,
        nanos,
    ))
}

fn parse_number<N: FromStr>(text: &str, digits: usize) -> Option<N> {
    let is_valid = text.len() == digits && is_digits(text);
    is_valid.then(|| text.parse().ok())?
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::DateValue;
    use crate::policy::ternary::Match;

    #[test]
    fn every_form_names_a_point_in_time() {
        let base = DateValue::from_seconds(1_704_067_200);
        for text in [
            "2024-01",
            "2024-01-01",
            "2024-01-01T00:00Z",
            "2024-01-01T00:00:00Z",
            "2024-01-01T00:00:00.000Z",
            "2024-01-01T00:00:00.0000000009Z",
            "2024-01-01T01:00:00+01:00",
            "2023-12-31T19:00:00-05:00",
            "1704067200",
        ] {
            assert_eq!(DateValue::parse(text), Some(base), "{text}");
        }
        for (text, seconds) in [
            ("2000-02-29", 951_782_400),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
            ("9999-12-31T23:59-23:59", 253_402_387_080),
            ("0000-01-01T00:00+23:59", -62_167_305_540),
            ("-999999999999999", -999_999_999_999_999),
        ] {
            let expected = Some(DateValue::from_seconds(seconds));
            assert_eq!(DateValue::parse(text), expected, "{text}");
        }
        let half = DateValue::from_millis(1_704_067_200_500);
        assert_eq!(DateValue::parse("2024-01-01T00:00:00.5Z"), Some(half));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2024-13-01",
            "2024-00-01",
            "2024-01-00",
            "2024-02-30",
            "2023-02-29",
            "2024-1-1",
            "2024-01-01-01",
            "2024-01-01T00:00:00",
            "2024-01T00:00Z",
            "2024-01-01T00:00:60Z",
            "2024-01-01T00:00.5Z",
            "2024-01-01T00Z",
            "2024-01-01T00:00:00+24:00",
            "2024-01-01T00:00:00+01:00:00",
            "2024-01-01T00:00:00ZZ",
            "now",
            "2024-01-01T24:00Z",
            "2024-01-01t00:00z",
            "2024-01-01 00:00Z",
            "20.5",
            "2024-01-01T00:00:00+0100",
            "2024-01-01T00:00:00.Z",
            "12e3",
            "-123",
            "+2024-01-01",
            "1000000000000000",
        ] {
            assert_eq!(DateValue::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_bare_year_is_read_both_ways() {
        let year = DateValue::parse("2020").expect("a date");
        let later = DateValue::parse("2024-01-01").expect("a date");
        let between = DateValue::parse("2010-01-01").expect("a date");
        let is_later = std::cmp::Ordering::is_gt;
        assert_eq!(later.compare(year, is_later), Match::Yes);
        assert_eq!(between.compare(year, is_later), Match::Maybe);
    }
}
