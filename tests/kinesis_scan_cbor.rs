//! The CBOR scanner against ciborium and against a plain parser: both parse alike each body that the
//! scanner accepts, and each body that it refuses is malformed or ambiguous.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use ciborium::Value;
use kinesis_gate::kinesis::{MalformedBody, Member, Scanner, WireFormat};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};

fn scan(body: &[u8], cuts: &[usize]) -> Result<Scanner, MalformedBody> {
    let mut scanner = Scanner::new(WireFormat::Cbor);
    let mut rest = body;
    for cut in cuts {
        let (piece, after) = rest.split_at((*cut).min(rest.len()));
        scanner.push(piece)?;
        rest = after;
    }
    scanner.push(rest)?;
    scanner.finish()?;
    Ok(scanner)
}

/// A data item, as the plain parser reads it.
#[derive(Debug, PartialEq)]
enum Item {
    Text(String),
    Map(Vec<(Item, Item)>),
    Null,
    Other,
}

/// The plain parser: reads one data item of `body`; `None` if it is not well-formed (RFC 8949).
fn parse(body: &mut &[u8], depth: usize) -> Option<Item> {
    let (&first, rest) = body.split_first()?;
    *body = rest;
    let (major, info) = (first >> 5, first & 0x1f);
    let value = match info {
        0..=23 => Some(u64::from(info)),
        24..=27 => {
            let (head, rest) = body.split_at_checked(1 << (info - 24))?;
            *body = rest;
            Some(
                head.iter()
                    .fold(0, |value, byte| value << 8 | u64::from(*byte)),
            )
        }
        31 => None,
        _ => return None,
    };
    if depth > 40 {
        return None;
    }
    match (major, value) {
        (0 | 1, Some(_)) => Some(Item::Other),
        (2 | 3, value) => {
            let mut text = String::new();
            let mut append = |body: &mut &[u8], len: u64| {
                let (piece, rest) = body.split_at_checked(usize::try_from(len).ok()?)?;
                *body = rest;
                if major == 3 {
                    text += std::str::from_utf8(piece).ok()?;
                }
                Some(())
            };
            match value {
                Some(len) => append(body, len)?,
                None => loop {
                    let (&first, rest) = body.split_first()?;
                    if first == 0xff {
                        *body = rest;
                        break;
                    }
                    if first >> 5 != major {
                        return None;
                    }
                    let len = match first & 0x1f {
                        info @ 0..=23 => {
                            *body = rest;
                            u64::from(info)
                        }
                        info @ 24..=27 => {
                            let (head, rest) = rest.split_at_checked(1 << (info - 24))?;
                            *body = rest;
                            head.iter()
                                .fold(0, |value, byte| value << 8 | u64::from(*byte))
                        }
                        _ => return None,
                    };
                    append(body, len)?;
                },
            }
            Some(if major == 3 {
                Item::Text(text)
            } else {
                Item::Other
            })
        }
        (4, value) => {
            let mut left = value;
            while has_next(body, &mut left)? {
                parse(body, depth + 1)?;
            }
            Some(Item::Other)
        }
        (5, value) => {
            let mut pairs = Vec::new();
            let mut left = value;
            while has_next(body, &mut left)? {
                pairs.push((parse(body, depth + 1)?, parse(body, depth + 1)?));
            }
            Some(Item::Map(pairs))
        }
        (6, Some(_)) => parse(body, depth + 1).map(|_| Item::Other),
        (7, Some(value)) if info != 24 || value >= 32 => {
            Some(if info == 22 { Item::Null } else { Item::Other })
        }
        _ => None,
    }
}

/// Whether an array or a map has another item.
fn has_next(body: &mut &[u8], left: &mut Option<u64>) -> Option<bool> {
    match left {
        Some(0) => Some(false),
        Some(left) => {
            *left -= 1;
            Some(true)
        }
        None => {
            let (&first, rest) = body.split_first()?;
            if first == 0xff {
                *body = rest;
            }
            Some(first != 0xff)
        }
    }
}

fn check_parsed_alike(body: &[u8], cuts: &[usize]) {
    let whole = scan(body, &[]);
    let pieces = scan(body, cuts);
    assert_eq!(whole.is_ok(), pieces.is_ok(), "cut at {cuts:?}");
    let mut rest = body;
    let plain = parse(&mut rest, 0).filter(|_| rest.is_empty());
    match (whole, plain) {
        (Ok(scanner), Some(Item::Map(pairs))) => {
            let members = scanner.members();
            for name in [
                Member::StreamName,
                Member::StreamArn,
                Member::NextToken,
                Member::KeyId,
            ] {
                let values: Vec<&Item> = pairs
                    .iter()
                    .filter(|(key, _)| *key == Item::Text(name.name().to_owned()))
                    .map(|(_, value)| value)
                    .collect();
                let expected = match values.as_slice() {
                    [] | [Item::Null] => None,
                    [Item::Text(text)] => Some(&**text),
                    other => panic!("`{}` was accepted as {other:?}", name.name()),
                };
                assert_eq!(members.text(name), expected);
                assert_eq!(pieces.as_ref().unwrap().members().text(name), expected);
            }
            assert!(pairs.iter().all(|(key, _)| matches!(key, Item::Text(_))));
            // ciborium agrees, where it can parse the body.
            if let Ok(Value::Map(map)) = ciborium::from_reader::<Value, _>(body) {
                let name = map
                    .iter()
                    .rfind(|(key, _)| key.as_text() == Some("StreamName"));
                assert_eq!(
                    members.stream_name(),
                    name.and_then(|(_, value)| value.as_text())
                );
                assert_eq!(map.len(), pairs.len());
            }
        }
        (Ok(_), other) => panic!("accepted, but it is {other:?}"),
        (Err(error), Some(_)) => assert!(
            matches!(
                error,
                MalformedBody::NotAMap
                    | MalformedBody::DuplicateKey
                    | MalformedBody::KeyCase
                    | MalformedBody::WrongType
                    | MalformedBody::KeyNotText
                    | MalformedBody::Tagged
                    | MalformedBody::KeyTooLong
                    | MalformedBody::MemberTooLong
                    | MalformedBody::TooManyKeys
                    | MalformedBody::TooDeep
            ),
            "{error:?} for a well-formed body"
        ),
        (Err(_), None) => {}
    }
}

/// The head of a data item, in `width` or in the least width that holds its value.
fn head(major: u8, value: u64, width: u8) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let min_width = match value {
        0..24 => 0,
        24..0x100 => 1,
        0x100..0x1_0000 => 2,
        _ => 3,
    };
    match width.max(min_width) {
        0 => vec![major << 5 | value as u8],
        1 => vec![major << 5 | 24, bytes[7]],
        2 => [&[major << 5 | 25], &bytes[6..]].concat(),
        3 => [&[major << 5 | 26], &bytes[4..]].concat(),
        _ => [&[major << 5 | 27], &bytes[..]].concat(),
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "StreamName",
        "StreamARN",
        "NextToken",
        "KeyId",
        "Records",
        "Data",
        "PartitionKey",
        "streamName",
    ];
    let words = prop_oneof![
        6 => proptest::sample::select(known.map(str::to_owned).to_vec()),
        2 => "[a-z\u{e9}\u{20ac}]{0,30}",
    ];
    (words, 0u8..5, proptest::bool::weighted(0.2), 0usize..9).prop_map(
        |(word, width, is_indefinite, cut)| {
            if !is_indefinite {
                return [head(3, word.len() as u64, width), word.into_bytes()].concat();
            }
            let cut = (0..=cut)
                .rev()
                .find(|cut| word.is_char_boundary(*cut))
                .unwrap_or(0);
            let (first, second) = word.split_at(cut);
            let mut out = vec![0x7f];
            for piece in [first, second] {
                out.extend(head(3, piece.len() as u64, width));
                out.extend(piece.as_bytes());
            }
            out.push(0xff);
            out
        },
    )
}

fn value() -> impl Strategy<Value = Vec<u8>> + Clone {
    let bytes = (
        proptest::collection::vec(any::<u8>(), 0..300),
        0u8..5,
        any::<bool>(),
    )
        .prop_map(|(bytes, width, is_indefinite)| {
            let piece = [head(2, bytes.len() as u64, width), bytes].concat();
            if is_indefinite {
                [vec![0x5f], piece, vec![0xff]].concat()
            } else {
                piece
            }
        });
    let leaf = prop_oneof![
        4 => text(),
        4 => bytes,
        1 => (0u8..2, any::<u64>(), 0u8..5).prop_map(|(major, value, width)| head(major, value % 70_000, width)),
        1 => proptest::sample::select(vec![vec![0xf4], vec![0xf5], vec![0xf6], vec![0xf7], vec![0xf8, 0xff], vec![0xf9, 0x3c, 0]]),
        1 => Just(vec![0xc1, 0x1b, 0, 0, 1, 0x8b, 0xcf, 0xe5, 0x69, 0xf4]),
    ];
    leaf.prop_recursive(3, 30, 5, |inner| {
        let list = (proptest::collection::vec(inner.clone(), 0..5), 0u8..6)
            .prop_map(|(items, width)| container(4, items.len(), items.concat(), width));
        prop_oneof![list, map(inner)]
    })
}

fn map(value: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (proptest::collection::vec((text(), value), 0..5), 0u8..6).prop_map(|(pairs, width)| {
        let content = pairs
            .iter()
            .flat_map(|(key, value)| [key.clone(), value.clone()].concat())
            .collect();
        container(5, pairs.len(), content, width)
    })
}

fn container(major: u8, items: usize, content: Vec<u8>, width: u8) -> Vec<u8> {
    if width == 5 {
        return [vec![major << 5 | 31], content, vec![0xff]].concat();
    }
    [head(major, items as u64, width), content].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn nearly_valid_bodies_are_parsed_alike(
        body in map(value()),
        mutations in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>(), 0u8..3), 0..3),
        cuts in proptest::collection::vec(0usize..60, 0..6),
    ) {
        let mut body = body;
        for (index, byte, kind) in &mutations {
            if body.is_empty() {
                break;
            }
            let at = index.index(body.len());
            match kind {
                0 => body[at] = *byte,
                1 => drop(body.remove(at)),
                _ => body.insert(at, *byte),
            }
        }
        check_parsed_alike(&body, &cuts);
    }

    #[test]
    fn random_bytes_are_parsed_alike(body in proptest::collection::vec(any::<u8>(), 0..60), cut in 0usize..60) {
        check_parsed_alike(&body, &[cut]);
    }

    #[test]
    fn random_bytes_in_a_list_are_parsed_alike(body in proptest::collection::vec(any::<u8>(), 0..40), cut in 0usize..60) {
        let body = [b"\xbf\x6aStreamName\x61s\x67Records\x9f".as_slice(), &body, b"\xff\xff"].concat();
        check_parsed_alike(&body, &[cut]);
    }
}
