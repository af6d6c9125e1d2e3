//! Numbers of the Numeric operators: decimals of any length, compared exactly.
//!
//! Written by hand: the decimal crates limit the digits or allocate for a request's value.

use std::cmp::Ordering;

/// A number as its digits. `007.50` and `7.5` are the same.
#[derive(Clone, Copy, Debug)]
pub(in crate::policy) struct Decimal<T> {
    is_negative: bool,
    /// Without leading zeros.
    whole: T,
    /// Without trailing zeros.
    fraction: T,
}

impl<'a> Decimal<&'a str> {
    /// Parses an integer or decimal with an optional sign. AWS documents no exponents,
    /// hexadecimal digits or blanks: they are refused.
    pub(in crate::policy) fn parse(text: &'a str) -> Option<Decimal<&'a str>> {
        let (sign, digits) = match text.strip_prefix(['-', '+']) {
            Some(digits) => (text.as_bytes().first(), digits),
            None => (None, text),
        };
        let (whole, fraction) = match digits.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (digits, ""),
        };
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        let is_zero = whole.is_empty() && fraction.is_empty();
        Some(Decimal {
            is_negative: sign == Some(&b'-') && !is_zero,
            whole,
            fraction,
        })
    }

    pub(in crate::policy) fn into_owned(self) -> Decimal<Box<str>> {
        Decimal {
            is_negative: self.is_negative,
            whole: self.whole.into(),
            fraction: self.fraction.into(),
        }
    }

    pub(in crate::policy) fn compare<T: AsRef<str>>(self, other: &Decimal<T>) -> Ordering {
        let (whole, fraction) = (other.whole.as_ref(), other.fraction.as_ref());
        let magnitude =
            (self.whole.len(), self.whole, self.fraction).cmp(&(whole.len(), whole, fraction));
        match (self.is_negative, other.is_negative) {
            (false, false) => magnitude,
            (true, true) => magnitude.reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Decimal;
    use std::cmp::Ordering;

    #[test]
    fn numbers_compare_by_value() {
        for (a, b, expected) in [
            ("2.0", "2", Ordering::Equal),
            ("-0", "0", Ordering::Equal),
            ("007", "7.000", Ordering::Equal),
            ("10", "9", Ordering::Greater),
            ("-10", "-9", Ordering::Less),
            ("0.10", "0.09", Ordering::Greater),
            ("+5", "5", Ordering::Equal),
            (
                "99999999999999999999999999",
                "99999999999999999999999998",
                Ordering::Greater,
            ),
            ("1.5", "1.45", Ordering::Greater),
        ] {
            let (a, b) = (Decimal::parse(a).expect(a), Decimal::parse(b).expect(b));
            assert_eq!(a.compare(&b), expected);
        }
    }

    #[test]
    fn undocumented_forms_are_no_numbers() {
        for text in [
            "", "1e3", "0x10", " 1", "1 ", "1.", ".5", "--1", "1.2.3", "1_000", "٣", "NaN",
        ] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }
}
