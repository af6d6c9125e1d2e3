//! Decimal numbers of any length, compared exactly.

use std::cmp::Ordering;

/// A number as its digits. `007.50` and `7.5` are the same.
#[derive(Clone, Copy, Debug)]
pub(in crate::policy) struct Decimal<'a> {
    negative: bool,
    /// Without leading zeros.
    whole: &'a str,
    /// Without trailing zeros.
    fraction: &'a str,
}

impl<'a> Decimal<'a> {
    /// Reads an integer or decimal with an optional sign. Exponents, hexadecimal and blanks are
    /// not documented for IAM and not read.
    pub(in crate::policy) fn parse(text: &'a str) -> Option<Decimal<'a>> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
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
        let zero = whole.is_empty() && fraction.is_empty();
        Some(Decimal {
            negative: negative && !zero,
            whole,
            fraction,
        })
    }

    pub(in crate::policy) fn compare(self, other: Decimal<'_>) -> Ordering {
        let sizes = self
            .whole
            .len()
            .cmp(&other.whole.len())
            .then_with(|| self.whole.cmp(other.whole))
            .then_with(|| self.fraction.cmp(other.fraction));
        match (self.negative, other.negative) {
            (false, false) => sizes,
            (true, true) => sizes.reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

/// A number that owns its digits.
#[derive(Clone, Debug)]
pub(in crate::policy) struct OwnedDecimal {
    negative: bool,
    whole: Box<str>,
    fraction: Box<str>,
}

impl OwnedDecimal {
    pub(in crate::policy) fn parse(text: &str) -> Option<OwnedDecimal> {
        let Decimal {
            negative,
            whole,
            fraction,
        } = Decimal::parse(text)?;
        Some(OwnedDecimal {
            negative,
            whole: whole.into(),
            fraction: fraction.into(),
        })
    }

    pub(in crate::policy) fn as_decimal(&self) -> Decimal<'_> {
        Decimal {
            negative: self.negative,
            whole: &self.whole,
            fraction: &self.fraction,
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
            assert_eq!(a.compare(b), expected);
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
