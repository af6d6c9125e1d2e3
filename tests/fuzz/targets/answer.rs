//! Tokens that answers hand out, against serde_json and ciborium with the first and with the last of
//! repeated keys: whole and in pieces.

use ciborium::Value;
use kinesis_gate::kinesis::{Scanner, WireFormat};

use super::generate;
use super::naming::{Tree, Wins};

const MEMBER: &str = "ShardIterator";

pub fn check(input: &[u8]) {
    let Some(([how, format], rest)) = input.split_first_chunk() else {
        return;
    };
    let format = match format % 2 {
        0 => WireFormat::Json,
        _ => WireFormat::Cbor,
    };
    let body = generate::body(*how, rest, format);
    let whole = token(format, &body, body.len().max(1));
    let pieces = token(format, &body, usize::from(how & 0x7f) + 1);
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
    // Each of the two refuses some of what the formats allow.
    let Some(tree) = tree else { return };
    for wins in [Wins::First, Wins::Last] {
        let theirs = match tree.get(MEMBER, wins) {
            Some(Tree::Text(text)) => Some(text.as_str()),
            None | Some(Tree::Null) => None,
            Some(other) => panic!("{other:?} was read as {ours:?}"),
        };
        assert_eq!(ours.as_deref(), theirs);
    }
}

/// What the scanner finds in an answer that can be read in one way only.
fn token(format: WireFormat, body: &[u8], step: usize) -> Option<Option<String>> {
    let mut scanner = Scanner::for_response(format, MEMBER);
    body.chunks(step)
        .try_for_each(|piece| scanner.push(piece))
        .ok()?;
    scanner.finish().ok()?;
    Some(scanner.members().next_token().map(str::to_owned))
}
