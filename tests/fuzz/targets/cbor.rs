//! The CBOR scanner against ciborium, with the first and with the last of repeated keys, and against
//! Jackson: whole and in pieces.

use ciborium::Value;
use kinesis_gate::kinesis::WireFormat;

use super::generate;
use super::naming::{Tree, Wins, named_by, of_tree, scan};

pub fn check(input: &[u8]) {
    let Some((&how, rest)) = input.split_first() else {
        return;
    };
    let body = generate::body(how, rest, WireFormat::Cbor);
    let whole = scan(WireFormat::Cbor, &body, body.len().max(1));
    let pieces = scan(WireFormat::Cbor, &body, usize::from(how & 0x7f) + 1);
    assert_eq!(
        whole.as_ref().map(|scanner| named_by(scanner.members())),
        pieces.as_ref().map(|scanner| named_by(scanner.members()))
    );
    let Some(scanner) = whole else {
        return;
    };
    let ours = named_by(scanner.members());
    // ciborium knows fewer simple values than CBOR has, and refuses what it does not know.
    let mut left = body.as_slice();
    if let Ok(value) = ciborium::from_reader::<Value, _>(&mut left) {
        let tree = Tree::from(value);
        assert_eq!(ours, of_tree(&tree, Wins::First));
        assert_eq!(ours, of_tree(&tree, Wins::Last));
        assert!(left.is_empty(), "bytes after the body passed");
    }
    super::jackson::compare(WireFormat::Cbor, &body, ours);
}
