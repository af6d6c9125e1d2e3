//! Dates of policies: the W3C profile of ISO 8601, or seconds since 1970.

use std::fmt;

use crate::policy::ternary::Match;

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z.
///
/// CONTESTED: a bare four-digit number may be a year or seconds since 1970; both readings are kept
/// and a comparison that they disagree on is `Maybe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Instant {
    nanos: i128,
    or_nanos: i128,
}

impl Instant {
    pub(in crate::policy) fn from_millis(millis: i64) -> Instant {
        Instant::at(i128::from(millis) * 1_000_000)
    }

    pub(in crate::policy) fn from_seconds(seconds: i64) -> Instant {
        Instant::at(i128::from(seconds) * 1_000_000_000)
    }

    fn at(nanos: i128) -> Instant {
        Instant {
            nanos,
            or_nanos: nanos,
        }
    }

    /// Reads a date, a date with time and zone, or whole seconds since 1970.
    pub(in crate::policy) fn parse(text: &str) -> Option<Instant> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.is_empty()
            && digits.len() < 16
            && digits.bytes().all(|byte| byte.is_ascii_digit())
        {
            let seconds = i128::from(text.parse::<i64>().ok()?) * 1_000_000_000;
            let year = if text.len() == 4 {
                parse_iso(text)?
            } else {
                seconds
            };
            return Some(Instant {
                nanos: year,
                or_nanos: seconds,
            });
        }
        parse_iso(text).map(Instant::at)
    }

    pub(in crate::policy) fn is_ambiguous(self) -> bool {
        self.nanos != self.or_nanos
    }

    /// Applies an order test under every reading of both.
    pub(in crate::policy) fn test(
        self,
        other: Instant,
        holds: impl Fn(std::cmp::Ordering) -> bool,
    ) -> Match {
        let readings = [
            holds(self.nanos.cmp(&other.nanos)),
            holds(self.nanos.cmp(&other.or_nanos)),
            holds(self.or_nanos.cmp(&other.nanos)),
            holds(self.or_nanos.cmp(&other.or_nanos)),
        ];
        match (readings.contains(&true), readings.contains(&false)) {
            (true, false) => Match::Yes,
            (false, _) => Match::No,
            (true, true) => Match::Maybe,
        }
    }
}

/// Writes `2026-11-23T11:00:00Z`.
pub(in crate::policy) fn write_iso(millis: i64, out: &mut impl fmt::Write) -> fmt::Result {
    let seconds = millis.div_euclid(1000);
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    write!(
        out,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
    )
}

fn parse_iso(text: &str) -> Option<i128> {
    let mut input = Input(text.as_bytes());
    let year = input.digits(4)?;
    let month = if input.eat(b'-') {
        input.digits(2)?
    } else {
        return input.end(midnight(year, 1, 1)?);
    };
    let day = if input.eat(b'-') {
        input.digits(2)?
    } else {
        return input.end(midnight(year, month, 1)?);
    };
    let start = midnight(year, month, day)?;
    if !input.eat(b'T') {
        return input.end(start);
    }
    let hour = input.digits(2)?;
    let minute = if input.eat(b':') {
        input.digits(2)?
    } else {
        return None;
    };
    let mut second = 0;
    let mut nanos: i128 = 0;
    if input.eat(b':') {
        second = input.digits(2)?;
        if input.eat(b'.') {
            nanos = input.fraction()?;
        }
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let offset = input.zone()?;
    let seconds = hour * 3600 + minute * 60 + second - offset;
    input.end(start + i128::from(seconds) * 1_000_000_000 + nanos)
}

struct Input<'t>(&'t [u8]);

impl Input<'_> {
    fn eat(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((&first, rest)) if first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        let mut value = 0;
        for &digit in digits {
            value = value * 10 + i64::from(char::from(digit).to_digit(10)?);
        }
        self.0 = rest;
        Some(value)
    }

    /// Digits after the point, as nanoseconds; what is finer is dropped.
    fn fraction(&mut self) -> Option<i128> {
        let (mut nanos, mut unit) = (0, 100_000_000);
        let mut any = false;
        while let Some((&digit, rest)) = self.0.split_first()
            && digit.is_ascii_digit()
        {
            nanos += i128::from(digit - b'0') * unit;
            unit /= 10;
            any = true;
            self.0 = rest;
        }
        any.then_some(nanos)
    }

    /// `Z` or `±hh:mm`, in seconds east of UTC.
    fn zone(&mut self) -> Option<i64> {
        if self.eat(b'Z') {
            return Some(0);
        }
        let sign = if self.eat(b'+') {
            1
        } else if self.eat(b'-') {
            -1
        } else {
            return None;
        };
        let hours = self.digits(2)?;
        let minutes = if self.eat(b':') {
            self.digits(2)?
        } else {
            return None;
        };
        (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
    }

    fn end(&self, nanos: i128) -> Option<i128> {
        self.0.is_empty().then_some(nanos)
    }
}

fn midnight(year: i64, month: i64, day: i64) -> Option<i128> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    Some(i128::from(days(year, month, day)) * 86_400_000_000_000)
}

/// Days since 1970-01-01 of a date of the Gregorian calendar; years begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::{Instant, write_iso};
    use crate::policy::ternary::Match;

    #[test]
    fn every_form_names_an_instant() {
        let base = Instant::from_seconds(1_704_067_200);
        for text in [
            "2024-01",
            "2024-01-01",
            "2024-01-01T00:00Z",
            "2024-01-01T00:00:00Z",
            "2024-01-01T00:00:00.000Z",
            "2024-01-01T01:00:00+01:00",
            "2023-12-31T19:00:00-05:00",
            "1704067200",
        ] {
            assert_eq!(Instant::parse(text), Some(base), "{text}");
        }
        assert_eq!(
            Instant::parse("2000-02-29"),
            Some(Instant::from_seconds(951_782_400))
        );
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2024-13-01",
            "2024-02-30",
            "2023-02-29",
            "2024-1-1",
            "2024-01-01T00:00:00",
            "now",
            "2024-01-01T24:00Z",
            "2024-01-01t00:00z",
            "2024-01-01 00:00Z",
            "20.5",
            "2024-01-01T00:00:00+0100",
            "2024-01-01T00:00:00.Z",
            "12e3",
        ] {
            assert_eq!(Instant::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_bare_year_is_read_both_ways() {
        let year = Instant::parse("2020").expect("a date");
        let later = Instant::parse("2024-01-01").expect("a date");
        let between = Instant::parse("2010-01-01").expect("a date");
        assert_eq!(later.test(year, std::cmp::Ordering::is_gt), Match::Yes);
        assert_eq!(between.test(year, std::cmp::Ordering::is_gt), Match::Maybe);
    }

    #[test]
    fn times_are_written_in_utc() {
        let mut out = String::new();
        write_iso(1_704_067_199_999, &mut out).expect("room");
        write_iso(951_782_400_000, &mut out).expect("room");
        assert_eq!(out, "2023-12-31T23:59:59Z2000-02-29T00:00:00Z");
    }
}
