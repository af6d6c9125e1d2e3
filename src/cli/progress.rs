//! How far long work has come, for a person who waits.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write, stderr, stdin, stdout};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Shown on standard error if that is a terminal, once the work has taken a second; gone when it is
/// dropped.
pub(super) struct Progress {
    shown: bool,
    total: u64,
    read: u64,
    begun: bool,
    next: Instant,
}

struct Shown<R> {
    input: R,
    progress: Progress,
}

/// Work that is over sooner is not worth a word.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two words.
const STEP: Duration = Duration::from_millis(250);

/// Opens a file, or `-`, standard input, whose lines are answered as they are read. Progress is shown
/// where the answers do not go to a terminal themselves.
///
/// # Errors
/// The file cannot be opened.
pub(super) fn lines(file: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut progress = Progress::of(&[file.to_owned()]);
    progress.shown &= !stdout().is_terminal();
    Ok(if file == Path::new("-") {
        let input = stdin().lock();
        Box::new(BufReader::new(Shown { input, progress }))
    } else {
        let input = File::open(file)?;
        Box::new(BufReader::new(Shown { input, progress }))
    })
}

impl Progress {
    /// Of reading these files, of which `-` is as long as it is.
    pub(super) fn of(files: &[PathBuf]) -> Progress {
        let total = files
            .iter()
            .filter_map(|file| Some(std::fs::metadata(file).ok()?.len()))
            .sum();
        Progress {
            shown: stderr().is_terminal(),
            total,
            read: 0,
            begun: false,
            next: Instant::now() + PATIENCE,
        }
    }

    pub(super) fn add(&mut self, bytes: usize) {
        self.read += bytes as u64;
        if !self.shown {
            return;
        }
        let now = Instant::now();
        if now >= self.next {
            self.next = now + STEP;
            self.begun = true;
            let (read, total) = (self.read >> 10, self.total.max(self.read) >> 10);
            let _ = write!(stderr(), "\rread {read} of {total} KiB");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.begun {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

impl<R: Read> Read for Shown<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.progress.add(read);
        Ok(read)
    }
}
