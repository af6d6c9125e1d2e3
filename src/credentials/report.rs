//! Reports to the operator, on standard error.

use std::fmt;

/// Writes a line about credentials to standard error.
pub(super) fn report(message: fmt::Arguments<'_>) {
    eprintln!("credentials: {message}");
}
