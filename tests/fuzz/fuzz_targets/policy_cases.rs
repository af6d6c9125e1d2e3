//! `simulate --cases` and `check --lines` write one line for each line that they read.

#![no_main]

use kinesis_gate::cli::{check_lines, simulate_cases};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let line_count = lines.count();
    let result_count = |out: &[u8]| out.iter().filter(|&&byte| byte == b'\n').count();
    let mut out = Vec::new();
    simulate_cases(text, &mut out).expect("a vector takes every write");
    assert_eq!(result_count(&out), line_count);
    out.clear();
    check_lines(text, &mut out).expect("a vector takes every write");
    assert_eq!(result_count(&out), line_count);
});
