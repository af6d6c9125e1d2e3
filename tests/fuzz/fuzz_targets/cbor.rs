//! The CBOR scanner against ciborium, whole and in pieces. The first byte says where to cut.

#![no_main]

use ciborium::Value;
use kinesis_gate::kinesis::{Format, Scanner};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&cut, body)) = input.split_first() else {
        return;
    };
    let scan = |step: usize| {
        let mut scanner = Scanner::new(Format::Cbor);
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
    assert_eq!(
        whole.members().stream_name(),
        pieces.members().stream_name()
    );
    // ciborium knows fewer simple values than CBOR has.
    let Ok(Value::Map(pairs)) = ciborium::from_reader::<Value, _>(body) else {
        return;
    };
    for (name, ours) in [
        ("StreamName", whole.members().stream_name()),
        ("StreamARN", whole.members().stream_arn()),
        ("NextToken", whole.members().next_token()),
    ] {
        let mut named = pairs.iter().filter(|(key, _)| key.as_text() == Some(name));
        assert_eq!(ours, named.next().and_then(|(_, value)| value.as_text()));
        assert!(named.next().is_none(), "a repeated key passed");
    }
});
