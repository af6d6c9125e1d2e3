//! CBOR request bodies, whole and in pieces: the scanner against ciborium, which keeps the first or the
//! last of duplicate keys, and against Jackson.

use ciborium::Value;
use kinesis_gate::kinesis::WireFormat;

use super::generate;
use super::members::{DuplicateKey, Tree, scan, scanned_members, tree_members};

pub fn check(input: &[u8]) {
    let Some((&mode, rest)) = input.split_first() else {
        return;
    };
    let body = generate::body(mode, rest, WireFormat::Cbor);
    let whole = scan(WireFormat::Cbor, &body, body.len().max(1));
    let pieces = scan(WireFormat::Cbor, &body, usize::from(mode & 0x7f) + 1);
    assert_eq!(
        whole
            .as_ref()
            .map(|scanner| scanned_members(scanner.members())),
        pieces
            .as_ref()
            .map(|scanner| scanned_members(scanner.members()))
    );
    let Some(scanner) = whole else {
        return;
    };
    let ours = scanned_members(scanner.members());
    // ciborium refuses some simple values of CBOR.
    let mut left = body.as_slice();
    if let Ok(value) = ciborium::from_reader::<Value, _>(&mut left) {
        let tree = Tree::from(value);
        assert_eq!(ours, tree_members(&tree, DuplicateKey::First));
        assert_eq!(ours, tree_members(&tree, DuplicateKey::Last));
        assert!(left.is_empty(), "bytes after the body passed");
    }
    super::jackson::compare(WireFormat::Cbor, &body, ours);
}
