//! CBOR bodies, each cut at every byte.

use super::super::{MalformedBody, WireFormat};
use super::{cbor, everything, scan};

#[test]
fn members_are_found_in_every_form() {
    for hex in [
        "a1 6a'StreamName' 66'orders'",
        "bf 6a'StreamName' 66'orders' ff",
        "bf 67'Records' 9f bf 64'Data' 45'hello' 6c'PartitionKey' 61'p' ff ff 6a'StreamName' 66'orders' ff",
        "a2 67'Records' 81 a2 64'Data' 5f 42'he' 43'llo' ff 6c'PartitionKey' 61'p' 6a'StreamName' 66'orders'",
        // Text in pieces, key and value.
        "a1 7f 66'Stream' 60 64'Name' ff 7f 61'o' 65'rders' ff",
        // Lengths longer than needed.
        "b8 01 78 0a'StreamName' 79 0006'orders'",
        "bb 0000000000000001 7b 000000000000000a'StreamName' 7a 00000006'orders'",
        // A tagged time, numbers, floats, null and undefined among what is skipped.
        "bf 69'Timestamp' c1 1b 0000018bcfe569f4 61'a' 20 61'b' f9 3c00 61'c' fb 3ff8000000000000 \
         61'd' f6 61'e' f7 61'f' f5 61'g' f8 ff 61'h' c2 41 01 6a'StreamName' 66'orders' ff",
        "a2 69'StreamARN' f6 6a'StreamName' 66'orders'",
        "a3 61'a' 80 61'b' a0 6a'StreamName' 66'orders'",
        "a2 61'a' 9f ff 6a'StreamName' 66'orders'",
    ] {
        let scanner = cbor(hex).unwrap_or_else(|rule| panic!("{hex}: {rule}"));
        assert_eq!(scanner.members().stream_name(), Some("orders"), "{hex}");
        assert_eq!(scanner.members().stream_arn(), None, "{hex}");
    }
}

#[test]
fn tags_and_lists_of_streams() {
    let scanner = cbor(
        "bf 64'Tags' a2 64'team' 63'abc' 60 60 67'TagKeys' 9f 61'x' 61'y' ff \
         77'StreamConfigurationList' 82 a2 69'StreamARN' 65'arn:1' 61'r' a1 69'StreamARN' 62'no' \
         bf 61'z' c1 00 69'StreamARN' 7f 64'arn:' 61'2' ff ff \
         6c'StreamFilter' bf 69'StreamARN' 65'arn:3' ff ff",
    )
    .unwrap();
    let found = everything(&scanner);
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    assert_eq!(found.tags, [pair("team", "abc"), pair("", "")]);
    assert_eq!(found.tag_keys, ["team", "", "x", "y"]);
    assert_eq!(found.configurations, ["arn:1", "arn:2"]);
    assert_eq!(found.filters, ["arn:3"]);
    assert!(!found.unnamed);
}

#[test]
fn rules() {
    let name = "6a'StreamName'";
    let deep = format!("a1 61'A' {} 00", "81".repeat(32));
    let long_key = format!("a1 78 81 '{}' 00", "k".repeat(129));
    let rules: Vec<(String, MalformedBody)> = [
        ("", MalformedBody::Empty),
        ("a1", MalformedBody::Truncated),
        ("bf", MalformedBody::Truncated),
        ("a1 61", MalformedBody::Truncated),
        ("a1 61'A'", MalformedBody::Truncated),
        ("a1 61'A' 1b 0000", MalformedBody::Truncated),
        ("a1 61'A' c1", MalformedBody::Truncated),
        ("a1 61'A' 7f 61'x'", MalformedBody::Truncated),
        ("a0 00", MalformedBody::TrailingBytes),
        ("a0 a0", MalformedBody::TrailingBytes),
        ("bf ff ff", MalformedBody::TrailingBytes),
        ("80", MalformedBody::NotAMap),
        ("81 a1 NAME 61'a'", MalformedBody::NotAMap),
        ("61'a'", MalformedBody::NotAMap),
        ("41'a'", MalformedBody::NotAMap),
        ("00", MalformedBody::NotAMap),
        ("f6", MalformedBody::NotAMap),
        ("f5", MalformedBody::NotAMap),
        ("d9 d9f7 a1 NAME 61'a'", MalformedBody::Tagged),
        ("a1 61'A' 61 ff", MalformedBody::InvalidUtf8),
        ("a1 61 ff 00", MalformedBody::InvalidUtf8),
        ("a1 61'A' 62 e282", MalformedBody::InvalidUtf8),
        // A character cut in two pieces of a text.
        ("a1 61'A' 7f 62 e282 61 ac ff", MalformedBody::InvalidUtf8),
        ("ff", MalformedBody::Unexpected),
        ("a1 ff", MalformedBody::Unexpected),
        ("a1 61'A' ff", MalformedBody::Unexpected),
        ("bf 61'A' ff", MalformedBody::Unexpected),
        ("a1 61'A' 81 ff", MalformedBody::Unexpected),
        ("a1 61'A' 9f c1 ff", MalformedBody::Unexpected),
        ("a1 61'A' 7f 41'x' ff", MalformedBody::Unexpected),
        ("a1 61'A' 5f 61'x' ff", MalformedBody::Unexpected),
        ("a1 61'A' 7f 7f 61'x' ff ff", MalformedBody::Unexpected),
        ("a1 61'A' 7f 00 ff", MalformedBody::Unexpected),
        ("a1 61'A' 1c", MalformedBody::ReservedItem),
        ("a1 61'A' 1f", MalformedBody::ReservedItem),
        ("a1 61'A' df", MalformedBody::ReservedItem),
        ("a1 61'A' f8 1f", MalformedBody::ReservedItem),
        ("a1 61'A' fc", MalformedBody::ReservedItem),
        ("a1 41'A' 00", MalformedBody::KeyNotText),
        ("a1 4a'StreamName' 61'a'", MalformedBody::KeyNotText),
        ("a1 00 00", MalformedBody::KeyNotText),
        ("a1 f6 00", MalformedBody::KeyNotText),
        ("a1 f5 00", MalformedBody::KeyNotText),
        ("a1 80 00", MalformedBody::KeyNotText),
        ("a1 a0 00", MalformedBody::KeyNotText),
        ("a1 5f ff 00", MalformedBody::KeyNotText),
        ("a1 61'A' a1 00 00", MalformedBody::KeyNotText),
        ("a1 c1 61'A' 00", MalformedBody::Tagged),
        ("a1 61'A' a1 c1 61'B' 00", MalformedBody::Tagged),
        ("a1 NAME c1 61'a'", MalformedBody::Tagged),
        ("a1 64'Tags' a1 61'k' c0 61'v'", MalformedBody::Tagged),
        (
            "a1 61'A' 5b ffffffffffffffff",
            MalformedBody::LengthTooLarge,
        ),
        (
            "a1 61'A' 9b ffffffffffffffff",
            MalformedBody::LengthTooLarge,
        ),
        ("bb ffffffffffffffff", MalformedBody::LengthTooLarge),
        ("a2 NAME 61'a' NAME 61'b'", MalformedBody::DuplicateKey),
        (
            "bf NAME 61'a' 7f 66'Stream' 64'Name' ff 61'a' ff",
            MalformedBody::DuplicateKey,
        ),
        ("a2 61'A' 00 61'A' 00", MalformedBody::DuplicateKey),
        (
            "a1 64'Tags' a2 61'k' 61'v' 61'k' 61'w'",
            MalformedBody::DuplicateKey,
        ),
        ("a1 6a'streamName' 61'a'", MalformedBody::KeyCase),
        ("a1 69'StreamArn' 61'a'", MalformedBody::KeyCase),
        ("a1 NAME 00", MalformedBody::WrongType),
        ("a1 NAME 41'a'", MalformedBody::WrongType),
        ("a1 NAME f7", MalformedBody::WrongType),
        ("a1 NAME 81 61'a'", MalformedBody::WrongType),
        ("a1 NAME 5f 41'a' ff", MalformedBody::WrongType),
        ("a1 64'Tags' 80", MalformedBody::WrongType),
        ("a1 64'Tags' a1 61'k' 41'v'", MalformedBody::WrongType),
        ("a1 67'TagKeys' 81 00", MalformedBody::WrongType),
        (&*deep, MalformedBody::TooDeep),
        (&*long_key, MalformedBody::KeyTooLong),
    ]
    .into_iter()
    .map(|(hex, rule)| (hex.replace("NAME", name), rule))
    .collect();
    for (hex, rule) in rules {
        assert_eq!(cbor(&hex).err(), Some(rule), "{hex}");
    }
}

#[test]
fn strings_of_every_length_are_validated() {
    // Behind a text come bytes that are not ASCII: they count for the text only if they are in it.
    for len in 0u8..=130 {
        for bad in (0..len).map(Some).chain([None]) {
            let mut text = vec![b'k'; usize::from(len)];
            bad.into_iter().for_each(|at| text[usize::from(at)] = 0xff);
            let mut record = b"\xbf\x61D\x44\xff\xff\xff\xff\x61P\x78".to_vec();
            record.push(len);
            record.extend(&text);
            record.extend(b"\x61B\x58\x50");
            record.extend([0xff; 0x50]);
            record.push(0xff);
            let body = [
                b"\xa2\x67Records\x9f",
                record.repeat(2).as_slice(),
                b"\xff\x6aStreamName\x61s",
            ]
            .concat();
            let read = scan(WireFormat::Cbor, &[&body]).map(|_| ());
            let expected = bad.map_or(Ok(()), |_| Err(MalformedBody::InvalidUtf8));
            assert_eq!(read, expected, "{len} bytes, {bad:?}");
        }
    }
}
