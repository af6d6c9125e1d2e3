//! Fuzzing with `cargo test` alone: every fuzz target runs its corpus, and mutations of it drawn from
//! a fixed seed. `FUZZ_RUNS` is the number of mutations for each target.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a test fails by panicking; libFuzzer shares the targets"
)]

#[path = "fuzz/targets/mod.rs"]
mod targets;

use std::path::{Path, PathBuf};

/// Mutations per target: quick enough for every run of the tests.
const DEFAULT_RUNS: usize = 20_000;

#[test]
fn the_corpus_and_its_mutations_pass() {
    let runs = std::env::var("FUZZ_RUNS").map_or(DEFAULT_RUNS, |runs| runs.parse().unwrap());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    std::thread::scope(|scope| {
        for (name, check) in targets::TARGETS {
            let corpus = read_files(&folder.join(name));
            assert!(!corpus.is_empty(), "`{name}` has no corpus");
            scope.spawn(move || {
                corpus.iter().for_each(|input| check(input));
                let mut random = fastrand::Rng::with_seed(0x6b67);
                for run in 0..runs {
                    check(&mutate(&corpus, run, &mut random));
                }
                targets::flush();
            });
        }
    });
}

fn read_files(folder: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect()
}

/// An input of the corpus with a few bytes changed, removed or inserted, or with a part of another
/// input in it.
fn mutate(corpus: &[Vec<u8>], run: usize, random: &mut fastrand::Rng) -> Vec<u8> {
    let mut input = corpus[run % corpus.len()].clone();
    for _ in 0..random.usize(1..5) {
        let at = random.usize(..=input.len());
        let end = (at + random.usize(..9)).min(input.len());
        match random.u8(..4) {
            0 if at < input.len() => input[at] = random.u8(..),
            1 => drop(input.drain(at..end)),
            2 => {
                let other = &corpus[random.usize(..corpus.len())];
                let from = random.usize(..=other.len());
                let to = (from + random.usize(..24)).min(other.len());
                input.splice(at..end, other[from..to].iter().copied());
            }
            _ => input.insert(at, random.u8(..)),
        }
    }
    input
}
