//! Lines of `simulate --cases` and `check --lines`: each is answered by one line.

#![no_main]

use kinesis_gate::cli::{check_lines, simulate_cases};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let asked = text.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let asked = asked.count();
    let answered = |out: &[u8]| out.iter().filter(|&&byte| byte == b'\n').count();
    let mut out = Vec::new();
    simulate_cases(text, &mut out).expect("a vector takes every write");
    assert_eq!(answered(&out), asked);
    out.clear();
    check_lines(text, &mut out).expect("a vector takes every write");
    assert_eq!(answered(&out), asked);
});
