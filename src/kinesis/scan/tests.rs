//! Tests of the rules that both encodings share, and helpers of each encoding's tests.

mod cbor;
mod json;
mod separators;

use super::{MalformedBody, Scanner, WireFormat};

fn scan(format: WireFormat, chunks: &[&[u8]]) -> Result<Scanner, MalformedBody> {
    let mut scanner = Scanner::new(format);
    for chunk in chunks {
        scanner.push(chunk)?;
    }
    scanner.finish()?;
    Ok(scanner)
}

/// Scans the body whole, in two chunks cut everywhere, and byte by byte. All results must agree.
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
    // Long bodies test a limit: they are cut only near their ends.
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
fn of_a_response_only_the_token_is_kept() {
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
    // In a request these members would be refused or collected; in a response they are not.
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
fn limits_are_as_documented() {
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
fn a_scanner_returns_its_error_again() {
    for format in [WireFormat::Json, WireFormat::Cbor] {
        let mut scanner = Scanner::new(format);
        assert_eq!(scanner.push(b"[]"), scanner.push(b"{}"));
        assert!(scanner.finish().is_err());
    }
}

#[test]
fn nothing_secret_is_shown() {
    let body = r#"{"StreamName":"s","ShardIterator":"AAAA-secret","NextToken":"t-secret","Tags":{"k":"v-secret"}}"#;
    let scanner = scan(WireFormat::Json, &[body.as_bytes()]).unwrap();
    assert!(!format!("{:?}", scanner.members()).contains("secret"));
    assert!(format!("{:?}", scanner.members()).contains("StreamName"));
}
