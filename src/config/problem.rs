//! Problems of a configuration, for people.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing wrong with a configuration or a file it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file it is in.
    pub file: PathBuf,
    /// Line and column, both from 1, where there is one.
    pub position: Option<(usize, usize)>,
    /// The path of the value, such as `listener[0].tls.key`; empty for the whole file.
    pub path: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// Every problem found, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problem {
    /// A problem of a whole file: it cannot be read, say.
    pub fn of_file(file: &Path, message: impl fmt::Display) -> Problem {
        Problem {
            file: file.to_owned(),
            position: None,
            path: String::new(),
            message: message.to_string(),
        }
    }

    /// A problem of one value of a configuration, `listener[0].tls`; [`super::locate`] says where
    /// that stands.
    pub fn of_value(file: &Path, path: impl fmt::Display, message: impl fmt::Display) -> Problem {
        Problem {
            path: path.to_string(),
            ..Problem::of_file(file, message)
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}
impl std::error::Error for Problems {}
