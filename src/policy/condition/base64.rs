//! Base64, for `BinaryEquals`.

/// Decodes padded standard base64.
pub(in crate::policy) fn decode(text: &str) -> Option<Box<[u8]>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    each_byte(text, |byte| out.push(byte))?;
    Some(out.into())
}

/// Does `text` decode to just these bytes? Allocates nothing.
pub(in crate::policy) fn decodes_to(text: &str, expected: &[u8]) -> bool {
    let mut rest = expected.iter();
    let mut equal = true;
    let decoded = each_byte(text, |byte| equal &= rest.next() == Some(&byte));
    decoded.is_some() && equal && rest.next().is_none()
}

fn each_byte(text: &str, mut take: impl FnMut(u8)) -> Option<()> {
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.trim_end_matches('=');
    let padding = bytes.len() - digits.len();
    if padding > 2 {
        return None;
    }
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in digits.bytes() {
        held = held << 6 | u32::from(digit(byte)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            take(u8::try_from(held >> bits & 0xff).ok()?);
            held &= (1 << bits) - 1;
        }
    }
    (held == 0).then_some(())
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{decode, decodes_to};

    #[test]
    fn base64_is_strict() {
        assert_eq!(
            decode("QmluYXJ5VmFsdWVJbkJhc2U2NA==").as_deref(),
            Some(&b"BinaryValueInBase64"[..])
        );
        assert_eq!(decode("").as_deref(), Some(&b""[..]));
        for wrong in ["A", "AB=", "A===", "AB==\n", "A-==", "AB=C", "AR=="] {
            assert!(decode(wrong).is_none(), "{wrong}");
        }
        assert!(decodes_to("AQI=", &[1, 2]));
        assert!(!decodes_to("AQI=", &[1, 2, 3]));
        assert!(!decodes_to("AQI=", &[1]));
    }
}
