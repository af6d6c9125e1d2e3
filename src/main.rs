//! The command line's entry; everything else is in the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A `PutRecord` of 1 KiB takes 6 % less time than with glibc's allocator, and 1 MiB none more.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    kinesis_gate::cli::run()
}
