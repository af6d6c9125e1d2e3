//! The JSON scanner against serde_json: serde_json parses alike each body that the scanner accepts, and
//! each body that the scanner refuses is malformed or ambiguous.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::fmt;

use kinesis_gate::kinesis::{MalformedBody, Member, Members, Scanner, WireFormat};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

const TEXT_MEMBERS: [Member; 13] = [
    Member::StreamName,
    Member::StreamArn,
    Member::StreamId,
    Member::ConsumerName,
    Member::ConsumerArn,
    Member::ResourceArn,
    Member::QueueName,
    Member::QueueArn,
    Member::ChannelName,
    Member::ChannelArn,
    Member::KeyId,
    Member::ShardIterator,
    Member::NextToken,
];

/// A JSON object with all its keys in order, also duplicate ones.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Object(pairs))
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}

fn scan(body: &[u8], cuts: &[usize]) -> Result<Scanner, MalformedBody> {
    let mut scanner = Scanner::new(WireFormat::Json);
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

fn assert_same_members(members: &Members, object: &Object) {
    let member_value = |name: &str| {
        object
            .0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    };
    for member in TEXT_MEMBERS {
        let expected = match member_value(member.name()) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(&**text),
            Some(other) => panic!("`{}` was accepted as {other}", member.name()),
        };
        assert_eq!(members.text(member), expected, "{}", member.name());
    }
    let tags: BTreeMap<String, String> = members
        .tags()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    match member_value("Tags") {
        None | Some(Value::Null) => assert!(tags.is_empty()),
        Some(value) => {
            assert_eq!(serde_json::to_value(&tags).unwrap(), *value);
            assert_eq!(members.tags().count(), tags.len());
        }
    }
    let scanned: Vec<&str> = members.stream_configuration_arns().collect();
    let elements = member_value("StreamConfigurationList").and_then(Value::as_array);
    let arns: Vec<&str> = elements
        .into_iter()
        .flatten()
        .filter_map(|element| element.get("StreamARN")?.as_str())
        .collect();
    assert_eq!(scanned, arns);
}

fn check_parsed_alike(body: &[u8], cuts: &[usize]) {
    let whole = scan(body, &[]);
    let pieces = scan(body, cuts);
    assert_eq!(whole.is_ok(), pieces.is_ok(), "cut at {cuts:?}");
    let reference = serde_json::from_slice::<Object>(body);
    match (whole, reference) {
        (Ok(scanner), Ok(object)) => {
            assert_same_members(scanner.members(), &object);
            assert_same_members(pieces.unwrap().members(), &object);
            let mut keys: Vec<&str> = object.0.iter().map(|(key, _)| &**key).collect();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), object.0.len(), "a duplicate key was accepted");
        }
        // serde_json limits numbers to 64 bits; JSON does not.
        (Ok(_), Err(error)) => assert!(error.to_string().contains("out of range"), "{error}"),
        (Err(error), Ok(_)) => assert!(
            matches!(
                error,
                MalformedBody::DuplicateKey
                    | MalformedBody::KeyCase
                    | MalformedBody::WrongType
                    | MalformedBody::MemberTooLong
                    | MalformedBody::KeyTooLong
                    | MalformedBody::TooManyKeys
                    | MalformedBody::TooManyEntries
                    | MalformedBody::TooDeep
            ),
            "{error:?} for a well-formed body"
        ),
        (Err(_), Err(_)) => {}
    }
}

/// The inside of a JSON string: plain, escaped and not ASCII.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => "[a-zA-Z0-9+/=_.:-]{0,12}",
        2 => "[a-zA-Z0-9+/=]{30,90}",
        1 => Just("\\u0053".to_owned()),
        1 => Just("\\ud83d\\ude00".to_owned()),
        1 => Just("\\n\\\\\\\"".to_owned()),
        1 => Just("\u{e9}\u{20ac}\u{1f600}".to_owned()),
    ];
    proptest::collection::vec(piece, 0..3).prop_map(|pieces| pieces.concat())
}

fn key() -> impl Strategy<Value = String> {
    let known = TEXT_MEMBERS.map(|member| member.name().to_owned());
    prop_oneof![
        6 => proptest::sample::select(known.to_vec()),
        2 => proptest::sample::select(
            ["Tags", "TagKeys", "StreamConfigurationList", "StreamFilter", "Records", "Data", "PartitionKey"]
                .map(str::to_owned)
                .to_vec()
        ),
        1 => Just("\\u0053treamName".to_owned()),
        1 => Just("streamname".to_owned()),
        2 => text(),
    ]
}

fn space() -> impl Strategy<Value = String> {
    prop_oneof![6 => Just(String::new()), 2 => Just(" ".to_owned()), 1 => "[ \t\r\n]{1,3}"]
}

fn value() -> impl Strategy<Value = String> + Clone {
    let quoted = text().prop_map(|text| format!("\"{text}\""));
    let leaf = prop_oneof![
        6 => quoted,
        1 => "-?(0|[1-9][0-9]{0,6})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        1 => proptest::sample::select(vec!["true".to_owned(), "false".to_owned(), "null".to_owned()]),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let list =
            proptest::collection::vec((space(), inner.clone(), space()), 0..4).prop_map(|items| {
                format!(
                    "[{}]",
                    join(items.into_iter().map(|(a, v, b)| format!("{a}{v}{b}")))
                )
            });
        prop_oneof![list, object(inner)]
    })
}

fn object(value: impl Strategy<Value = String> + Clone) -> impl Strategy<Value = String> {
    proptest::collection::vec((space(), key(), space(), value, space()), 0..4).prop_map(|pairs| {
        let pairs = pairs
            .into_iter()
            .map(|(a, key, b, value, c)| format!("{a}\"{key}\"{b}:{c}{value}{a}"));
        format!("{{{}}}", join(pairs))
    })
}

fn join(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",")
}

/// A body of records, long and regular enough for the scanner's separator cache.
fn records() -> impl Strategy<Value = String> {
    let record = prop_oneof![
        8 => ("[a-zA-Z0-9+/]{0,90}", text()).prop_map(|(d, k)| format!(r#"{{"Data":"{d}","PartitionKey":"{k}"}}"#)),
        1 => ("[a-zA-Z0-9+/]{0,300}", text()).prop_map(|(d, k)| format!(r#"{{"Data":"{d}","ExplicitHashKey":"1","PartitionKey":"{k}"}}"#)),
        1 => ("[a-zA-Z0-9+/]{0,9}", text()).prop_map(|(d, k)| format!(r#"{{"PartitionKey": "{k}", "Data": "{d}"}}"#)),
        1 => value(),
    ];
    (proptest::collection::vec(record, 0..40), key(), text()).prop_map(|(records, key, text)| {
        format!(r#"{{"Records":[{}],"{key}":"{text}"}}"#, records.join(","))
    })
}

/// Up to two bytes that are replaced, removed, inserted or doubled.
fn mutations() -> impl Strategy<Value = Vec<(proptest::sample::Index, u8, u8)>> {
    let byte = prop_oneof![
        4 => proptest::sample::select(b"{}[],:\"\\u0 ntf-.e1\x00\x1f\x7f\xc3\xa9\xed\xa0\x80\xef\xbb\xbf".to_vec()),
        1 => any::<u8>(),
    ];
    proptest::collection::vec((any::<proptest::sample::Index>(), byte, 0u8..4), 0..3)
}

fn mutate(body: String, mutations: &[(proptest::sample::Index, u8, u8)]) -> Vec<u8> {
    let mut body = body.into_bytes();
    for (index, byte, kind) in mutations {
        if body.is_empty() {
            break;
        }
        let at = index.index(body.len());
        match kind {
            0 => body[at] = *byte,
            1 => drop(body.remove(at)),
            2 => body.insert(at, *byte),
            _ => body.insert(at, body[at]),
        }
    }
    body
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn nearly_valid_bodies_are_parsed_alike(
        body in object(value()),
        mutations in mutations(),
        cuts in proptest::collection::vec(0usize..40, 0..6),
    ) {
        check_parsed_alike(&mutate(body, &mutations), &cuts);
    }

    #[test]
    fn bodies_of_records_are_parsed_alike(
        body in records(),
        mutations in mutations(),
        cuts in proptest::collection::vec(0usize..2000, 0..6),
    ) {
        check_parsed_alike(&mutate(body, &mutations), &cuts);
    }

    #[test]
    fn random_bytes_are_parsed_alike(body in proptest::collection::vec(any::<u8>(), 0..60), cut in 0usize..60) {
        check_parsed_alike(&body, &[cut]);
    }
}

/// A body longer than a block of the scanner, with one byte replaced at many offsets, the border of the
/// block among them.
#[test]
fn long_bodies_with_one_wrong_byte_are_parsed_alike() {
    let record = r#"{"Data":"AAECAwQFBgcICQ==","PartitionKey":"device-00012345"}"#;
    let mut body = String::from(r#"{"StreamName":"orders","Records":["#);
    for _ in 0..160 {
        body += record;
        body += ",";
    }
    body += record;
    body += "]}";
    check_parsed_alike(body.as_bytes(), &[4096, 1]);
    assert!(scan(body.as_bytes(), &[]).is_ok());
    for at in (0..body.len()).filter(|at| at % 7 == 0 || (4050..4150).contains(at)) {
        for byte in *b"\"\\{},:\x01\xff" {
            let mut mutated = body.clone().into_bytes();
            mutated[at] = byte;
            check_parsed_alike(&mutated, &[at]);
        }
    }
}
