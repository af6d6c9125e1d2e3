//! The reader of decision logs, for `learn` and `replay`.

mod line;

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::observe::LogLine;

pub(super) use line::LoggedRequest;

use super::progress::Progress;

/// The lines that are not of a decision log.
#[derive(Debug, Default)]
pub(super) struct UnreadableLines {
    count: u64,
    first_error: Option<String>,
}

/// Reads every line of the files, in order; `-` is standard input. Skips blank lines, and shows
/// progress on a terminal.
///
/// # Errors
/// If a file cannot be read.
pub(super) fn read(
    files: &[PathBuf],
    mut each: impl FnMut(LogLine<'_>),
) -> Result<UnreadableLines, String> {
    let mut unreadable = UnreadableLines::default();
    let mut progress = Progress::new(files);
    let mut sampled = None;
    for file in files {
        let failure = |error: io::Error| format!("{}: cannot be read: {error}", file.display());
        let mut input = open(file).map_err(failure)?;
        let mut bytes = Vec::new();
        for number in 1u64.. {
            bytes.clear();
            let read = input.read_until(b'\n', &mut bytes).map_err(failure)?;
            if read == 0 {
                break;
            }
            progress.add(read);
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            match LogLine::parse(&bytes) {
                Ok(line) => {
                    sampled = sampled.max(line.sampled);
                    each(line);
                }
                Err(error) => unreadable.add(file, number, &error),
            }
        }
    }
    if let Some(sampled) = sampled {
        eprintln!(
            "note: of {sampled} allowed requests the logs hold one: what they left out is not known"
        );
    }
    Ok(unreadable)
}

fn open(file: &Path) -> io::Result<Box<dyn BufRead>> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    Ok(Box::new(BufReader::with_capacity(
        256 << 10,
        File::open(file)?,
    )))
}

impl UnreadableLines {
    /// Whether every line was of a decision log.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn add(&mut self, file: &Path, number: u64, error: &serde_json::Error) {
        self.count += 1;
        self.first_error.get_or_insert_with(|| {
            format!(
                "{}:{number}: not a line of the decision log: {error}",
                file.display()
            )
        });
    }
}

impl fmt::Display for UnreadableLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.first_error.as_deref().unwrap_or_default())?;
        match self.count {
            0 | 1 => Ok(()),
            count => write!(f, " (and {} more such lines)", count - 1),
        }
    }
}
