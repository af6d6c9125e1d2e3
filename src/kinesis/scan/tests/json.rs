//! JSON bodies, each cut at every byte.

use super::super::MalformedBody;
use super::{everything, json};

#[test]
fn members_are_found_wherever_they_stand() {
    for body in [
        r#"{"StreamName":"orders","Records":[{"Data":"aGk=","PartitionKey":"p"}]}"#,
        r#"{"Records": [{"Data": "aGk=", "PartitionKey": "p"}, {"PartitionKey": "q", "Data": ""}], "StreamName": "orders"}"#,
        " {\r\n\t\"A\" : -0.5e+10 , \"B\":[ ],\"C\":{},\"D\":true,\"E\":null,\"StreamName\":\"orders\"}\n ",
        r#"{"\u0053tream\u004eame":"\u006frders"}"#,
        r#"{"Deep":[[[{"StreamName":"x","a":[{"b":"\"}]"}]}]]],"StreamName":"orders","DryRun":false}"#,
        r#"{"X":"\ud83d\ude00 \\ \/ \b\f\n\r\t","StreamName":"orders"}"#,
        "{\"X\":\"\u{e9}\u{20ac}\u{1f600}\",\"\u{e9}\":1,\"StreamName\":\"orders\"}",
        r#"{"StreamARN":null,"StreamName":"orders"}"#,
    ] {
        let scanner = json(body).unwrap_or_else(|rule| panic!("{body}: {rule}"));
        assert_eq!(scanner.members().stream_name(), Some("orders"), "{body}");
        assert_eq!(scanner.members().stream_arn(), None, "{body}");
        assert!(scanner.members().has_resource());
    }
    let nothing = json(r#"{"Limit":1,"NextToken":"t"}"#).unwrap();
    assert_eq!(nothing.members().next_token(), Some("t"));
    assert!(!nothing.members().has_resource());
}

#[test]
fn tags_and_lists_of_streams() {
    let scanner = json(
        r#"{"Tags":{"team":"a\u0062c","":"","k\"":"v"},"TagKeys":["x","y"],
            "StreamConfigurationList":[{"StreamARN":"arn:1","RecordConfiguration":{"StreamARN":"no","x":[1,{"a":2}]}},
                {"StartingPosition":{"Type":"LATEST"},"StreamARN":"arn:2","More":["StreamARN"]}],
            "StreamFilter":{"StreamARN":"arn:3","StreamCreationTimestamp":1.5}}"#,
    )
    .unwrap();
    let found = everything(&scanner);
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    assert_eq!(
        found.tags,
        [pair("team", "abc"), pair("", ""), pair("k\"", "v")]
    );
    assert_eq!(found.tag_keys, ["team", "", "k\"", "x", "y"]);
    assert_eq!(found.configurations, ["arn:1", "arn:2"]);
    assert_eq!(found.filters, ["arn:3"]);
    assert!(!found.unnamed);
    assert!(scanner.members().has_resource());

    let list =
        json(r#"{"StreamFilter":[{"StreamARN":"arn:3"},{"StreamARN":"arn:4"}],"Tags":null}"#);
    assert_eq!(everything(&list.unwrap()).filters, ["arn:3", "arn:4"]);
    for unnamed in [
        r#"{"StreamConfigurationList":[{"StreamARN":"arn:1"},{}]}"#,
        r#"{"StreamConfigurationList":[{"StreamARN":null}]}"#,
        r#"{"StreamFilter":{"StreamName":"x"}}"#,
    ] {
        assert!(
            json(unnamed).unwrap().members().has_unnamed_stream(),
            "{unnamed}"
        );
    }
}

#[test]
fn rules() {
    let long_key = format!(r#"{{"{}":1}}"#, "k".repeat(129));
    let long_name = format!(r#"{{"StreamName":"{}"}}"#, "n".repeat(2049));
    let deep = format!(r#"{{"A":{}{}}}"#, "[".repeat(32), "]".repeat(32));
    let keys: Vec<String> = (0..33).map(|i| format!("\"k{i}\":0")).collect();
    let many_keys = format!("{{{}}}", keys.join(","));
    let tags: Vec<String> = (0..513).map(|i| format!("\"k{i}\":\"v\"")).collect();
    let many_tags = format!(r#"{{"Tags":{{{}}}}}"#, tags.join(","));
    let rules: &[(&[u8], MalformedBody)] = &[
        (b"", MalformedBody::Empty),
        (b" \n", MalformedBody::Empty),
        (b"{", MalformedBody::Truncated),
        (b"{\"StreamName\":\"a", MalformedBody::Truncated),
        (b"{\"StreamName\":\"a\"", MalformedBody::Truncated),
        (b"{\"A\":tru", MalformedBody::Truncated),
        (b"{\"A\":1", MalformedBody::Truncated),
        (b"{}x", MalformedBody::TrailingBytes),
        (b"{}{}", MalformedBody::TrailingBytes),
        (b"{},", MalformedBody::TrailingBytes),
        (b"{}\0", MalformedBody::TrailingBytes),
        (b"[]", MalformedBody::NotAMap),
        (b"[{\"StreamName\":\"a\"}]", MalformedBody::NotAMap),
        (b"\"StreamName\"", MalformedBody::NotAMap),
        (b"null", MalformedBody::NotAMap),
        (b"1", MalformedBody::NotAMap),
        (b"true", MalformedBody::NotAMap),
        (b"x", MalformedBody::NotAMap),
        (b"\xef\xbb\xbf{}", MalformedBody::ByteOrderMark),
        (b"{\"A\":\"\xff\"}", MalformedBody::InvalidUtf8),
        (b"{\"A\":\"\xc0\xaf\"}", MalformedBody::InvalidUtf8),
        (b"{\"A\":\"\xed\xa0\x80\"}", MalformedBody::InvalidUtf8),
        (b"{\"A\":\"\xe2\x82\"}", MalformedBody::InvalidUtf8),
        (b"{\"A\xe2\x82\":\"\"}", MalformedBody::InvalidUtf8),
        (b"{}\xe2\x82", MalformedBody::TrailingBytes),
        (b"{\"A\" 1}", MalformedBody::Unexpected),
        (b"{\"A\":1,}", MalformedBody::Unexpected),
        (b"{,}", MalformedBody::Unexpected),
        (b"{\"A\":[1,]}", MalformedBody::Unexpected),
        (b"{\"A\":[1}}", MalformedBody::Unexpected),
        (b"{\"A\":{]}", MalformedBody::Unexpected),
        (b"{\"A\":}", MalformedBody::Unexpected),
        (b"{\"A\"}", MalformedBody::Unexpected),
        (b"{\"A\":1 2}", MalformedBody::Unexpected),
        (b"{'A':1}", MalformedBody::Unexpected),
        (b"{A:1}", MalformedBody::Unexpected),
        (b"{\"A\":nul}", MalformedBody::Unexpected),
        (b"{\"A\":True}", MalformedBody::Unexpected),
        (b"{\"A\":NaN}", MalformedBody::Unexpected),
        (b"{\"A\":/**/1}", MalformedBody::Unexpected),
        (b"{\"A\":\x0b1}", MalformedBody::Unexpected),
        (b"{\"A\":\xc2\xa01}", MalformedBody::Unexpected),
        (b"{\"A\":01}", MalformedBody::InvalidNumber),
        (b"{\"A\":-}", MalformedBody::InvalidNumber),
        (b"{\"A\":1.}", MalformedBody::InvalidNumber),
        (b"{\"A\":1e}", MalformedBody::InvalidNumber),
        (b"{\"A\":1e+}", MalformedBody::InvalidNumber),
        (b"{\"A\":-a}", MalformedBody::InvalidNumber),
        (b"{\"A\":+1}", MalformedBody::Unexpected),
        (b"{\"A\":.5}", MalformedBody::Unexpected),
        (b"{\"A\":1a}", MalformedBody::Unexpected),
        (b"{\"A\":\"\\x\"}", MalformedBody::InvalidEscape),
        (b"{\"A\":\"\\u12g4\"}", MalformedBody::InvalidEscape),
        (b"{\"A\":\"\\u12\"}", MalformedBody::InvalidEscape),
        (b"{\"A\":\"\\'\"}", MalformedBody::InvalidEscape),
        (b"{\"A\":\"a\nb\"}", MalformedBody::ControlCharacter),
        (
            b"{\"A\":[{\"B\":\"a\tb\"}]}",
            MalformedBody::ControlCharacter,
        ),
        (b"{\"A\0\":1}", MalformedBody::ControlCharacter),
        (b"{\"A\":\"\\ud800\"}", MalformedBody::LoneSurrogate),
        (b"{\"A\":[\"\\ud800x\"]}", MalformedBody::LoneSurrogate),
        (
            b"{\"A\":[\"\\ud83d%ude00\",1]}",
            MalformedBody::LoneSurrogate,
        ),
        (b"{\"A\":\"\\ud800x\"}", MalformedBody::LoneSurrogate),
        (b"{\"A\":\"\\ud800\\n\"}", MalformedBody::LoneSurrogate),
        (b"{\"A\":\"\\ud800\\ud800\"}", MalformedBody::LoneSurrogate),
        (b"{\"A\":\"\\udc00\"}", MalformedBody::LoneSurrogate),
        (
            b"{\"StreamName\\ud800\":\"\"}",
            MalformedBody::LoneSurrogate,
        ),
        (deep.as_bytes(), MalformedBody::TooDeep),
        (long_key.as_bytes(), MalformedBody::KeyTooLong),
        (many_keys.as_bytes(), MalformedBody::TooManyKeys),
        (
            b"{\"StreamName\":\"a\",\"StreamName\":\"b\"}",
            MalformedBody::DuplicateKey,
        ),
        (
            b"{\"StreamName\":\"a\",\"Stream\\u004eame\":\"a\"}",
            MalformedBody::DuplicateKey,
        ),
        (
            b"{\"StreamName\":null,\"StreamName\":\"b\"}",
            MalformedBody::DuplicateKey,
        ),
        (
            b"{\"Records\":[],\"StreamName\":\"a\",\"Records\":[]}",
            MalformedBody::DuplicateKey,
        ),
        (b"{\"\":1,\"\":1}", MalformedBody::DuplicateKey),
        (
            b"{\"Tags\":{\"a\":\"1\",\"a\":\"2\"}}",
            MalformedBody::DuplicateKey,
        ),
        (
            b"{\"StreamConfigurationList\":[{\"StreamARN\":\"a\",\"StreamARN\":\"b\"}]}",
            MalformedBody::DuplicateKey,
        ),
        (b"{\"streamName\":\"a\"}", MalformedBody::KeyCase),
        (
            b"{\"StreamName\":\"a\",\"STREAMARN\":\"b\"}",
            MalformedBody::KeyCase,
        ),
        (b"{\"StreamArn\":\"b\"}", MalformedBody::KeyCase),
        (
            b"{\"StreamConfigurationList\":[{\"streamARN\":\"a\"}]}",
            MalformedBody::KeyCase,
        ),
        (b"{\"StreamName\":1}", MalformedBody::WrongType),
        (b"{\"StreamName\":true}", MalformedBody::WrongType),
        (b"{\"StreamName\":[\"a\"]}", MalformedBody::WrongType),
        (b"{\"StreamName\":{\"a\":\"b\"}}", MalformedBody::WrongType),
        (b"{\"Tags\":[]}", MalformedBody::WrongType),
        (b"{\"Tags\":\"a\"}", MalformedBody::WrongType),
        (b"{\"Tags\":{\"a\":1}}", MalformedBody::WrongType),
        (b"{\"Tags\":{\"a\":null}}", MalformedBody::WrongType),
        (b"{\"Tags\":{\"a\":{}}}", MalformedBody::WrongType),
        (b"{\"TagKeys\":{}}", MalformedBody::WrongType),
        (b"{\"TagKeys\":[1]}", MalformedBody::WrongType),
        (b"{\"TagKeys\":[[\"a\"]]}", MalformedBody::WrongType),
        (
            b"{\"StreamConfigurationList\":{}}",
            MalformedBody::WrongType,
        ),
        (
            b"{\"StreamConfigurationList\":[\"a\"]}",
            MalformedBody::WrongType,
        ),
        (
            b"{\"StreamConfigurationList\":[[{}]]}",
            MalformedBody::WrongType,
        ),
        (
            b"{\"StreamConfigurationList\":[{\"StreamARN\":1}]}",
            MalformedBody::WrongType,
        ),
        (
            b"{\"StreamConfigurationList\":[{\"StreamARN\":{}}]}",
            MalformedBody::WrongType,
        ),
        (b"{\"StreamFilter\":\"a\"}", MalformedBody::WrongType),
        (long_name.as_bytes(), MalformedBody::MemberTooLong),
        (many_tags.as_bytes(), MalformedBody::TooManyEntries),
    ];
    for (body, rule) in rules {
        let shown = String::from_utf8_lossy(body);
        assert_eq!(json(body).err(), Some(*rule), "{shown}");
    }
}
