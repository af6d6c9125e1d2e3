//! Where the decision log goes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Where lines go.
pub struct Sink {
    out: Box<dyn Write + Send>,
    file: Option<PathBuf>,
}

impl Sink {
    /// Standard output, without the process's own buffer: a write that fails says how far it came.
    ///
    /// # Errors
    /// When the process has none.
    pub fn stdout() -> io::Result<Sink> {
        let out = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Sink::writer(File::from(out)))
    }

    /// Anything that writes.
    pub fn writer(out: impl Write + Send + 'static) -> Sink {
        Sink {
            out: Box::new(out),
            file: None,
        }
    }

    /// A file, made if need be for its owner and group, and appended to.
    ///
    /// # Errors
    /// What the system says.
    pub fn file(path: &Path) -> io::Result<Sink> {
        Ok(Sink {
            out: Box::new(open(path)?),
            file: Some(path.to_owned()),
        })
    }

    /// Opens a file anew: what was renamed is left to whoever did. The old one stays if that fails.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Some(path) = &self.file {
            self.out = Box::new(open(path)?);
        }
        Ok(())
    }

    /// Writes as much as can be, and says how much that was; `wait` says what to do where a
    /// descriptor does not wait by itself.
    pub(super) fn write(&mut self, bytes: &[u8], wait: impl Fn()) -> (usize, io::Result<()>) {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.out.write(rest) {
                Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
                Ok(more) => written += more,
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
