//! The sink of the decision log: standard output, a file or any writer.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The destination of log lines.
pub struct Sink {
    out: Box<dyn Write + Send>,
    file: Option<PathBuf>,
}

impl Sink {
    /// Standard output, unbuffered, so that a failed write reports how much was written.
    ///
    /// # Errors
    /// If the process has no standard output.
    pub fn stdout() -> io::Result<Sink> {
        let out = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Sink::writer(File::from(out)))
    }

    /// Any writer.
    pub fn writer(out: impl Write + Send + 'static) -> Sink {
        Sink {
            out: Box::new(out),
            file: None,
        }
    }

    /// A file to append to. A new file is readable by its owner and group.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn file(path: &Path) -> io::Result<Sink> {
        Ok(Sink {
            out: Box::new(open(path)?),
            file: Some(path.to_owned()),
        })
    }

    /// Reopens the file by name, after a log rotation. If that fails, the old file stays open.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Some(path) = &self.file {
            self.out = Box::new(open(path)?);
        }
        Ok(())
    }

    /// Writes as much as possible. Returns the number of bytes written. `wait` pauses if the
    /// descriptor is non-blocking.
    pub(super) fn write(&mut self, bytes: &[u8], wait: impl Fn()) -> (usize, io::Result<()>) {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.out.write(rest) {
                Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait(),
                Err(error) => return (written, Err(error)),
            }
        }
        (written, self.out.flush())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o640).open(path)
}
