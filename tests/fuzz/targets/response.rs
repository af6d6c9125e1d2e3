//! Tokens that responses issue, whole and in pieces: the scanner against serde_json and ciborium, which
//! keep the first or the last of duplicate keys.

use ciborium::Value;
use kinesis_gate::kinesis::{Scanner, WireFormat};

use super::generate;
use super::members::{DuplicateKey, Tree};

const MEMBER: &str = "ShardIterator";

pub fn check(input: &[u8]) {
    let Some(([mode, format], rest)) = input.split_first_chunk() else {
        return;
    };
    let format = match format % 2 {
        0 => WireFormat::Json,
        _ => WireFormat::Cbor,
    };
    let body = generate::body(*mode, rest, format);
    let whole = token(format, &body, body.len().max(1));
    let pieces = token(format, &body, usize::from(mode & 0x7f) + 1);
    assert_eq!(whole, pieces);
    let Some(ours) = whole else {
        return;
    };
    let tree = match format {
        WireFormat::Json => serde_json::from_slice::<Tree>(&body).ok(),
        _ => ciborium::from_reader::<Value, _>(body.as_slice())
            .ok()
            .map(Tree::from),
    };
    // Both parsers refuse some bodies that the formats allow.
    let Some(tree) = tree else { return };
    for duplicate in [DuplicateKey::First, DuplicateKey::Last] {
        let theirs = match tree.get(MEMBER, duplicate) {
            Some(Tree::Text(text)) => Some(text.as_str()),
            None | Some(Tree::Null) => None,
            Some(other) => panic!("{other:?} was read as {ours:?}"),
        };
        assert_eq!(ours.as_deref(), theirs);
    }
}

/// The token of a response in pieces of `piece_bytes`, if there is one; the outer `None` where the
/// scanner refuses the response.
fn token(format: WireFormat, body: &[u8], piece_bytes: usize) -> Option<Option<String>> {
    let mut scanner = Scanner::for_response(format, MEMBER);
    body.chunks(piece_bytes)
        .try_for_each(|piece| scanner.push(piece))
        .ok()?;
    scanner.finish().ok()?;
    Some(scanner.members().next_token().map(str::to_owned))
}
