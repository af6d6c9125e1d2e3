//! Decision logs, read again: what `learn` and `replay` have in common.

mod line;

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

pub(super) use line::{Asked, Line};

use super::progress::Progress;

/// What could not be read of the logs.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    lines: u64,
    first: Option<String>,
}

/// Reads every line of the files, in their order; `-` is standard input. Blank lines are skipped.
/// Progress is shown on a terminal.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn read(
    files: &[PathBuf],
    mut each: impl FnMut(Line<'_>),
) -> Result<Unreadable, String> {
    let mut unreadable = Unreadable::default();
    let mut progress = Progress::of(files);
    let mut sampled = None;
    for file in files {
        let failed = |error: io::Error| format!("{}: cannot be read: {error}", file.display());
        let mut input = open(file).map_err(failed)?;
        let mut bytes = Vec::new();
        for number in 1u64.. {
            bytes.clear();
            let read = input.read_until(b'\n', &mut bytes).map_err(failed)?;
            if read == 0 {
                break;
            }
            progress.add(read);
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            match Line::parse(&bytes) {
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

impl Unreadable {
    /// Whether every line was one of a decision log.
    pub(super) fn is_empty(&self) -> bool {
        self.lines == 0
    }

    fn add(&mut self, file: &Path, number: u64, error: &serde_json::Error) {
        self.lines += 1;
        self.first.get_or_insert_with(|| {
            format!(
                "{}:{number}: not a line of the decision log: {error}",
                file.display()
            )
        });
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.first.as_deref().unwrap_or_default())?;
        match self.lines {
            0 | 1 => Ok(()),
            lines => write!(f, " (and {} more such lines)", lines - 1),
        }
    }
}
