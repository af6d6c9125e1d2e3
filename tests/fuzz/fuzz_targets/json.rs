//! The JSON scanner against serde_json, whole and in pieces. The first byte says where to cut.

#![no_main]

use kinesis_gate::kinesis::{Format, Member, Scanner};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let Some((&cut, body)) = input.split_first() else {
        return;
    };
    let scan = |step: usize| {
        let mut scanner = Scanner::new(Format::Json);
        body.chunks(step)
            .try_for_each(|piece| scanner.push(piece))
            .ok()?;
        scanner.finish().ok()?;
        Some(scanner)
    };
    let whole = scan(body.len().max(1));
    let pieces = scan(usize::from(cut).max(1));
    assert_eq!(whole.is_some(), pieces.is_some());
    let (Some(whole), Some(pieces)) = (whole, pieces) else {
        return;
    };
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        // serde_json reads numbers into 64 bits; JSON has no such limit.
        Err(error) if error.to_string().contains("out of range") => return,
        Err(error) => panic!("passed, but serde_json says: {error}"),
    };
    for member in [
        Member::StreamName,
        Member::StreamArn,
        Member::ConsumerArn,
        Member::NextToken,
    ] {
        let theirs = value.get(member.name()).and_then(Value::as_str);
        assert_eq!(whole.members().text(member), theirs);
        assert_eq!(pieces.members().text(member), theirs);
    }
});
