//! One table of rules, in both encodings, each body cut at every byte.

use super::{MalformedBody, Scanner, WireFormat};

fn scan(format: WireFormat, chunks: &[&[u8]]) -> Result<Scanner, MalformedBody> {
    let mut scanner = Scanner::new(format);
    for chunk in chunks {
        scanner.push(chunk)?;
    }
    scanner.finish()?;
    Ok(scanner)
}

/// Scans it whole, in two pieces cut everywhere, and byte by byte; all must agree.
fn scan_every_way(format: WireFormat, body: &[u8]) -> Result<Scanner, MalformedBody> {
    let whole = scan(format, &[body]);
    let shown = |scanned: &Result<Scanner, MalformedBody>| {
        scanned
            .as_ref()
            .ok()
            .map(|scanner| format!("{:?}", everything(scanner)))
    };
    let single: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(shown(&whole), shown(&scan(format, &single)));
    // Long bodies are there for a limit: their ends are cut.
    let ends = |at: &usize| *at < 200 || at + 200 > body.len();
    for at in (0..=body.len()).filter(ends) {
        let (first, second) = body.split_at(at);
        assert_eq!(
            shown(&whole),
            shown(&scan(format, &[first, second])),
            "cut at {at}"
        );
    }
    whole
}

fn json(body: impl AsRef<[u8]>) -> Result<Scanner, MalformedBody> {
    scan_every_way(WireFormat::Json, body.as_ref())
}

fn cbor(hex: &str) -> Result<Scanner, MalformedBody> {
    scan_every_way(WireFormat::Cbor, &bytes(hex))
}

/// Hexadecimal with spaces; `'text'` stands for its bytes.
fn bytes(hex: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, part) in hex.split('\'').enumerate() {
        if index % 2 == 1 {
            out.extend(part.as_bytes());
            continue;
        }
        let digits: Vec<u32> = part.chars().filter_map(|c| c.to_digit(16)).collect();
        out.extend(digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8));
    }
    out
}

#[derive(Debug, PartialEq)]
struct Everything {
    names: String,
    tokens: [Option<String>; 2],
    tags: Vec<(String, String)>,
    tag_keys: Vec<String>,
    configurations: Vec<String>,
    filters: Vec<String>,
    unnamed: bool,
}

fn everything(scanner: &Scanner) -> Everything {
    let members = scanner.members();
    Everything {
        names: format!("{members:?}"),
        tokens: [members.shard_iterator(), members.next_token()].map(|t| t.map(str::to_owned)),
        tags: members
            .tags()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect(),
        tag_keys: members.tag_keys().map(str::to_owned).collect(),
        configurations: members
            .stream_configuration_arns()
            .map(str::to_owned)
            .collect(),
        filters: members.stream_filter_arns().map(str::to_owned).collect(),
        unnamed: members.has_unnamed_stream(),
    }
}

#[test]
fn json_members_are_found_wherever_they_stand() {
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
fn json_tags_and_lists_of_streams() {
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
fn json_rules() {
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

#[test]
fn of_an_answer_its_token_alone_is_kept() {
    let read = |format, answer: &[u8]| {
        let mut found = None;
        for at in 0..=answer.len() {
            let mut scanner = Scanner::for_response(format, "NextShardIterator");
            let (first, second) = answer.split_at(at);
            let read = scanner
                .push(first)
                .and_then(|()| scanner.push(second))
                .and_then(|()| scanner.finish());
            let token = read.map(|()| scanner.members().next_token().map(str::to_owned));
            assert_eq!(
                *found.get_or_insert_with(|| token.clone()),
                token,
                "cut at {at}"
            );
        }
        found.unwrap()
    };
    let token = Ok(Some("AA".to_owned()));
    // What would be refused or kept in a request is neither here.
    let answer = br#"{"Tags":1,"streamname":2,"NextToken":"x","NextShardIterator":"AA","Records":[{"NextShardIterator":"x"}]}"#;
    assert_eq!(read(WireFormat::Json, answer), token);
    let answer = bytes(
        "bf 67 'Records' 9f bf 64 'Data' 43 010203 78 1b 'ApproximateArrivalTimestamp' c1 1b \
         0000018bcfe569f4 ff ff 71 'NextShardIterator' 62 'AA' ff",
    );
    assert_eq!(read(WireFormat::Cbor, &answer), token);
    for answer in [r#"{"NextShardIterator":null}"#, "{}"] {
        assert_eq!(read(WireFormat::Json, answer.as_bytes()), Ok(None));
    }
    for (answer, rule) in [
        (
            r#"{"NextShardIterator":"AA","nextSharditerator":"x"}"#,
            MalformedBody::KeyCase,
        ),
        (
            r#"{"NextShardIterator":"AA","NextShardIterator":"AA"}"#,
            MalformedBody::DuplicateKey,
        ),
        (r#"{"NextShardIterator":1}"#, MalformedBody::WrongType),
        (r#"{"NextShardIterator":"AA"#, MalformedBody::Truncated),
    ] {
        assert_eq!(
            read(WireFormat::Json, answer.as_bytes()),
            Err(rule),
            "{answer}"
        );
    }
}

#[test]
fn limits_are_as_stated() {
    let key = format!(r#"{{"{}":1}}"#, "k".repeat(128));
    assert!(json(key).is_ok());
    let name = "n".repeat(2048);
    let scanner = scan(
        WireFormat::Json,
        &[format!(r#"{{"StreamARN":"{name}"}}"#).as_bytes()],
    )
    .unwrap();
    assert_eq!(scanner.members().stream_arn(), Some(&*name));
    let token = "t".repeat(64 * 1024);
    let body = |token: &str| format!(r#"{{"NextToken":"{token}"}}"#);
    let scanner = scan(WireFormat::Json, &[body(&token).as_bytes()]).unwrap();
    assert_eq!(scanner.members().next_token(), Some(&*token));
    let longer = body(&(token + "t"));
    assert_eq!(
        scan(WireFormat::Json, &[longer.as_bytes()]).err(),
        Some(MalformedBody::MemberTooLong)
    );
    let deep = format!(r#"{{"A":{}{}}}"#, "[".repeat(31), "]".repeat(31));
    assert!(json(deep).is_ok());

    let element = format!(r#"{{"StreamARN":"{}"}}"#, "a".repeat(174));
    let list = |count: usize| {
        format!(
            r#"{{"StreamConfigurationList":[{}]}}"#,
            vec![&*element; count].join(",")
        )
    };
    let scanner = scan(WireFormat::Json, &[list(10_000).as_bytes()]).unwrap();
    assert_eq!(
        scanner.members().stream_configuration_arns().count(),
        10_000
    );
    let more = list(10_001);
    assert_eq!(
        scan(WireFormat::Json, &[more.as_bytes()]).err(),
        Some(MalformedBody::TooManyEntries)
    );
}

#[test]
fn a_scanner_that_failed_stays_failed() {
    for format in [WireFormat::Json, WireFormat::Cbor] {
        let mut scanner = Scanner::new(format);
        assert_eq!(scanner.push(b"[]"), scanner.push(b"{}"));
        assert!(scanner.finish().is_err());
    }
}

#[test]
fn cbor_texts_of_every_length_are_checked() {
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

#[test]
fn records_that_change_their_shape_are_read_in_full() {
    // What the memory of gaps must not carry over: another depth, a missing comma, other keys.
    let records = [
        r#"{"Data":"aaaa","PartitionKey":"p"}"#,
        r#"{"Data":"aaaa","PartitionKey":"p"}"#,
        r#"{"PartitionKey":"p","Data":"aaaa"}"#,
        r#"{"Data":"aaaa","ExplicitHashKey":"1","PartitionKey":"p"}"#,
        r#"{"Data":"aaaa","PartitionKey":"p","N":[{"Data":"x","PartitionKey":"y"},{"Data":"x","PartitionKey":"y"}]}"#,
        r#"{"Data":"aaaa","PartitionKey":"p"}"#,
        r#"{"Data" : "aaaa" , "PartitionKey" : "p"}"#,
    ];
    let tail = format!("{:64}", "");
    for first in records {
        for second in records {
            for third in records {
                let good = format!(
                    r#"{{"Records":[{first},{first},{second},{third},{first},{second}],"StreamName":"s"}}{tail}"#
                );
                let scanner = scan(WireFormat::Json, &[good.as_bytes()]).unwrap();
                assert_eq!(scanner.members().stream_name(), Some("s"), "{good}");
            }
        }
        // The gap between two records, met where none may be.
        for (at, _) in first.match_indices(['{', '}', '[', ']', ',', ':', '"']) {
            let mut broken = first.to_owned();
            broken.remove(at);
            let body = format!(
                r#"{{"Records":[{first},{first},{broken},{first}],"StreamName":"s"}}{tail}"#
            );
            let ours = scan(WireFormat::Json, &[body.as_bytes()]).is_ok();
            assert_eq!(
                ours,
                serde_json::from_str::<serde_json::Value>(&body).is_ok(),
                "{body}"
            );
        }
    }
    let closes_early = format!(
        r#"{{"R":[{{"D":"a","P":"p"}},{{"D":"a","P":"p"}}],"Q":{{"D":"a","P":"p"}},{{"D":"a"}}],"StreamName":"s"}}{tail}"#
    );
    assert_eq!(
        scan(WireFormat::Json, &[closes_early.as_bytes()]).err(),
        Some(MalformedBody::Unexpected)
    );
}

#[test]
fn a_gap_never_crosses_the_top_level() {
    let tail = format!("{:64}", "");
    // Were what stands between the members remembered, the third would be taken for text.
    for (between, rule) in [
        (r#""},"B":{"x":""#, MalformedBody::DuplicateKey),
        (r#""]  ,"B":[""#, MalformedBody::DuplicateKey),
        (r#""},"B":[{"x":""#, MalformedBody::Unexpected),
    ] {
        let body = format!(r#"{{"A":{{"x":"1{between}1{between}1{between}1"}}}}{tail}"#);
        let body = if between.contains("]") {
            body.replacen(r#"{"x":"#, "[", 1).replace("\"}}", "\"]}")
        } else {
            body
        };
        assert_eq!(
            scan(WireFormat::Json, &[body.as_bytes()]).err(),
            Some(rule),
            "{body}"
        );
    }
    let body =
        format!(r#"{{"A":{{"x":"1"}},"StreamName":"a","B":{{"x":"1"}},"StreamName":"b"}}{tail}"#);
    assert_eq!(
        scan(WireFormat::Json, &[body.as_bytes()]).err(),
        Some(MalformedBody::DuplicateKey)
    );
}

#[test]
fn cbor_members_are_found_in_every_form() {
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
fn cbor_tags_and_lists_of_streams() {
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
fn cbor_rules() {
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
fn nothing_secret_is_shown() {
    let body = r#"{"StreamName":"s","ShardIterator":"AAAA-secret","NextToken":"t-secret","Tags":{"k":"v-secret"}}"#;
    let scanner = scan(WireFormat::Json, &[body.as_bytes()]).unwrap();
    assert!(!format!("{:?}", scanner.members()).contains("secret"));
    assert!(format!("{:?}", scanner.members()).contains("StreamName"));
}
