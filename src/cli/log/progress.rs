//! How far a long read has come, for a person who waits.

use std::io::{IsTerminal, Write, stderr};
use std::path::PathBuf;

/// Shown on standard error if that is a terminal, and gone when it is dropped.
pub(super) struct Progress {
    shown: bool,
    total: u64,
    read: u64,
    next: u64,
}

/// Bytes between two looks.
const STEP: u64 = 16 << 20;

impl Progress {
    pub(super) fn of(files: &[PathBuf]) -> Progress {
        let total = files
            .iter()
            .filter_map(|file| Some(std::fs::metadata(file).ok()?.len()))
            .sum();
        Progress {
            shown: stderr().is_terminal(),
            total,
            read: 0,
            next: STEP,
        }
    }

    pub(super) fn add(&mut self, bytes: usize) {
        self.read += bytes as u64;
        if self.shown && self.read >= self.next {
            self.next = self.read + STEP;
            let (read, total) = (self.read >> 20, (self.total >> 20).max(self.read >> 20));
            let _ = write!(stderr(), "\rread {read} of {total} MiB");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown && self.next > STEP {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
