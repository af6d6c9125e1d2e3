//! JSON request bodies, whole and in pieces: the scanner against serde_json, which keeps the first or
//! the last of duplicate keys, and against Jackson.

use kinesis_gate::kinesis::WireFormat;

use super::generate;
use super::members::{DuplicateKey, Tree, scan, scanned_members, tree_members};

pub fn check(input: &[u8]) {
    let Some((&mode, rest)) = input.split_first() else {
        return;
    };
    let body = generate::body(mode, rest, WireFormat::Json);
    let whole = scan(WireFormat::Json, &body, body.len().max(1));
    let pieces = scan(WireFormat::Json, &body, usize::from(mode & 0x7f) + 1);
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
    match serde_json::from_slice::<Tree>(&body) {
        Ok(tree) => {
            assert_eq!(ours, tree_members(&tree, DuplicateKey::First));
            assert_eq!(ours, tree_members(&tree, DuplicateKey::Last));
        }
        // serde_json limits numbers to 64 bits; JSON does not.
        Err(error) => assert!(error.to_string().contains("out of range"), "{error}"),
    }
    super::jackson::compare(WireFormat::Json, &body, ours);
}
