//! Problems of a configuration, for people.

use std::fmt;
use std::path::{Path, PathBuf};

/// One problem of a configuration or of a file that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file with the problem.
    pub file: PathBuf,
    /// Line and column, both counted from 1, if there is a position.
    pub position: Option<(usize, usize)>,
    /// The path of the value, such as `listener[0].tls.key`; empty for the whole file.
    pub path: String,
    /// The problem, and its remedy.
    pub message: String,
}

/// Every problem found, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problem {
    /// A problem of a whole file, such as an unreadable file.
    pub fn of_file(file: &Path, message: impl fmt::Display) -> Problem {
        Problem {
            file: file.to_owned(),
            position: None,
            path: String::new(),
            message: message.to_string(),
        }
    }

    /// A problem of one value of a configuration, `listener[0].tls`. [`super::locate`] adds the
    /// position of the value.
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
