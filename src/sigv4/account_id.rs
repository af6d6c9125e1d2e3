//! The account id in an access key id.

use std::fmt;

/// An AWS account id: twelve digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId([u8; 12]);

impl AccountId {
    /// Parses twelve digits.
    pub fn parse(text: &str) -> Option<AccountId> {
        let digits: [u8; 12] = text.as_bytes().try_into().ok()?;
        digits
            .iter()
            .all(u8::is_ascii_digit)
            .then_some(AccountId(digits))
    }

    /// Decodes the account id in an access key id (as `sts:GetAccessKeyInfo` does). `None` for ids
    /// from before 2019, which contain no account.
    ///
    /// After the prefix come 80 bits in base32: one that marks the form, 40 of the account, and the
    /// rest. AWS does not document this form; public research does, and it was checked against keys
    /// with a known account.
    pub fn of_access_key(access_key_id: &str) -> Option<AccountId> {
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
        if bits >> 79 == 0 {
            return None;
        }
        AccountId::from_number(u64::try_from(bits >> 39 & 0xff_ffff_ffff).ok()?)
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        // INVARIANT: all twelve are ASCII digits, so the default is never used.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn from_number(mut number: u64) -> Option<AccountId> {
        let mut digits = [b'0'; 12];
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(number % 10).ok()?;
            number /= 10;
        }
        (number == 0).then_some(AccountId(digits))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, proptest};

    use super::AccountId;

    #[test]
    fn keys_whose_account_is_known() {
        for (id, account) in [
            ("ASIAY34FZKBOKMUTVV7A", Some("609629065308")),
            ("AKIARZPUZDIKGB2VALC4", Some("123456789012")),
            // Ids of the old form contain no account.
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
                AccountId::of_access_key(id).as_ref().map(AccountId::as_str),
                account,
                "{id}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn every_account_is_read(number in 0u64..1_000_000_000_000, rest in 0u64..1 << 39, temporary: bool) {
            let bits = 1u128 << 79 | u128::from(number) << 39 | u128::from(rest);
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
            let mut id = String::from(if temporary { "ASIA" } else { "AKIA" });
            id.extend((0..16).rev().map(|i| char::from(alphabet[(bits >> (5 * i) & 31) as usize])));
            assert_eq!(AccountId::of_access_key(&id).unwrap().to_string(), format!("{number:012}"));
        }

        #[test]
        fn any_text_is_read_without_harm(text in "\\PC{0,24}") {
            AccountId::of_access_key(&text);
            AccountId::parse(&text);
        }
    }
}
