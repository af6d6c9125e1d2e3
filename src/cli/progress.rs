//! The progress of long work, for a person at a terminal.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write, stderr, stdin, stdout};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A line on standard error, if that is a terminal, once the work has taken a second. The line is
/// cleared on drop.
pub(super) struct Progress {
    is_enabled: bool,
    total_bytes: u64,
    read_bytes: u64,
    is_visible: bool,
    next_update: Instant,
}

/// A reader that reports its progress.
struct ProgressReader<R> {
    input: R,
    progress: Progress,
}

/// Shorter work shows no progress.
const DELAY: Duration = Duration::from_secs(1);
/// The interval of updates.
const INTERVAL: Duration = Duration::from_millis(250);

/// Opens an input, or standard input for `-`, for which each line has a line of output. Shows
/// progress unless the output goes to a terminal.
///
/// # Errors
/// If the file cannot be opened.
pub(super) fn lines(file: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut progress = Progress::new(&[file.to_owned()]);
    progress.is_enabled &= !stdout().is_terminal();
    let input: Box<dyn Read> = match file == Path::new("-") {
        true => Box::new(stdin().lock()),
        false => Box::new(File::open(file)?),
    };
    Ok(Box::new(BufReader::new(ProgressReader { input, progress })))
}

impl Progress {
    /// The progress through these files. The length of `-` is unknown.
    pub(super) fn new(files: &[PathBuf]) -> Progress {
        let lengths = files
            .iter()
            .filter_map(|file| Some(std::fs::metadata(file).ok()?.len()));
        Progress {
            is_enabled: stderr().is_terminal(),
            total_bytes: lengths.sum(),
            read_bytes: 0,
            is_visible: false,
            next_update: Instant::now() + DELAY,
        }
    }

    pub(super) fn add(&mut self, bytes: usize) {
        self.read_bytes += bytes as u64;
        if !self.is_enabled {
            return;
        }
        let now = Instant::now();
        if now >= self.next_update {
            self.next_update = now + INTERVAL;
            self.is_visible = true;
            let read = self.read_bytes >> 10;
            let total = read.max(self.total_bytes >> 10);
            let _ = write!(stderr(), "\rread {read} of {total} KiB");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_visible {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

impl<R: Read> Read for ProgressReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.progress.add(read);
        Ok(read)
    }
}
