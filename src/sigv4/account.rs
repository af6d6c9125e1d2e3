//! The account that an access key id tells.

use std::fmt;

/// An AWS account id: twelve digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account([u8; 12]);

impl Account {
    /// Reads twelve digits.
    pub fn parse(text: &str) -> Option<Account> {
        let digits: [u8; 12] = text.as_bytes().try_into().ok()?;
        digits
            .iter()
            .all(u8::is_ascii_digit)
            .then_some(Account(digits))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        // INVARIANT: all twelve are ASCII digits, so the default is never taken.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn from_number(mut number: u64) -> Option<Account> {
        let mut digits = [b'0'; 12];
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(number % 10).ok()?;
            number /= 10;
        }
        (number == 0).then_some(Account(digits))
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The account of an access key, from its id: the 40 bits after the first of what follows the prefix,
/// which is base32. Ids made before 2019 have a zero as that first bit and tell no account.
///
/// AWS documents that the account can be had from the id (`sts:GetAccessKeyInfo`), not how; the form
/// is known from public research and was checked against keys whose account is known.
pub fn account_of(access_key_id: &str) -> Option<Account> {
    let (prefix, encoded) = access_key_id.as_bytes().split_first_chunk::<4>()?;
    let encoded: &[u8; 16] = encoded.try_into().ok()?;
    if prefix != b"AKIA" && prefix != b"ASIA" {
        return None;
    }
    let bits = encoded.iter().try_fold(0u128, |bits, character| {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'2'..=b'7' => character - b'2' + 26,
            _ => return None,
        };
        Some(bits << 5 | u128::from(value))
    })?;
    // Of the 80 bits: one that marks the form, then the account in 40.
    if bits >> 79 == 0 {
        return None;
    }
    let number = u64::try_from(bits >> 39 & 0xff_ffff_ffff).ok()?;
    Account::from_number(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, proptest};

    use super::{Account, account_of};

    #[test]
    fn keys_whose_account_is_known() {
        for (id, account) in [
            ("ASIAY34FZKBOKMUTVV7A", Some("609629065308")),
            ("AKIARZPUZDIKGB2VALC4", Some("123456789012")),
            // The old form tells nothing.
            ("AKIAIOSFODNN7EXAMPLE", None),
            ("AKIAAAAAAAAAAAAAAAAA", None),
            ("AROARZPUZDIKGB2VALC4", None),
            ("AKIARZPUZDIKGB2VALC", None),
            ("AKIARZPUZDIKGB2VALC44", None),
            ("AKIARZPUZDIKGB2VALC1", None),
            ("akiarzpuzdikgb2valc4", None),
            // More than twelve digits.
            ("AKIA7777777777777777", None),
            ("123456789012", None),
            ("", None),
        ] {
            assert_eq!(
                account_of(id).as_ref().map(Account::as_str),
                account,
                "{id}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn every_account_can_be_told(number in 0u64..1_000_000_000_000, rest in 0u64..1 << 39, temporary: bool) {
            let bits = 1u128 << 79 | u128::from(number) << 39 | u128::from(rest);
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
            let mut id = String::from(if temporary { "ASIA" } else { "AKIA" });
            id.extend((0..16).rev().map(|i| char::from(alphabet[(bits >> (5 * i) & 31) as usize])));
            assert_eq!(account_of(&id).unwrap().to_string(), format!("{number:012}"));
        }

        #[test]
        fn any_text_is_read_without_harm(text in "\\PC{0,24}") {
            account_of(&text);
            Account::parse(&text);
        }
    }
}
