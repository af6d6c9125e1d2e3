//! The JSON scanner against serde_json, with the first and with the last of repeated keys, and against
//! Jackson: whole and in pieces.

use kinesis_gate::kinesis::WireFormat;

use super::generate;
use super::naming::{Tree, Wins, named_by, of_tree, scan};

pub fn check(input: &[u8]) {
    let Some((&how, rest)) = input.split_first() else {
        return;
    };
    let body = generate::body(how, rest, WireFormat::Json);
    let whole = scan(WireFormat::Json, &body, body.len().max(1));
    let pieces = scan(WireFormat::Json, &body, usize::from(how & 0x7f) + 1);
    assert_eq!(
        whole.as_ref().map(|scanner| named_by(scanner.members())),
        pieces.as_ref().map(|scanner| named_by(scanner.members()))
    );
    let Some(scanner) = whole else {
        return;
    };
    let ours = named_by(scanner.members());
    match serde_json::from_slice::<Tree>(&body) {
        Ok(tree) => {
            assert_eq!(ours, of_tree(&tree, Wins::First));
            assert_eq!(ours, of_tree(&tree, Wins::Last));
        }
        // serde_json reads numbers into 64 bits; JSON has no such limit.
        Err(error) => assert!(error.to_string().contains("out of range"), "{error}"),
    }
    super::jackson::compare(WireFormat::Json, &body, ours);
}
