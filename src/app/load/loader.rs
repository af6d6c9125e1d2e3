//! The loader opens the files that a configuration names, and collects the problems.

use std::fmt::Display;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::app::persistent::PreviousLoad;
use crate::app::status::Inventory;
use crate::config::Problem;
use crate::observe::Clock;

/// Opens files, and collects the problems.
pub(super) struct Loader<'a> {
    pub(super) file: &'a Path,
    pub(super) clock: Clock,
    pub(super) previous: Option<&'a PreviousLoad>,
    pub(super) problems: Vec<Problem>,
    pub(super) notices: Vec<Problem>,
    pub(super) inventory: Inventory,
}

impl Loader<'_> {
    /// Reads the file that the value at `path` names.
    pub(super) fn read(&mut self, path: &str, file: &Path) -> Option<String> {
        let text = std::fs::read_to_string(file);
        let text = text.map_err(|error| unreadable(self.file, path, file, &error));
        text.map_err(|problem| self.problems.push(problem)).ok()
    }

    /// Reports a problem of the value at `path`.
    pub(super) fn problem(&mut self, path: impl Display, message: impl Display) {
        let problem = Problem::of_value(self.file, path, message);
        self.problems.push(problem);
    }

    /// Returns the opened value; `None` after reporting the error at `path`.
    pub(super) fn accept<T, E: Display>(
        &mut self,
        path: impl Display,
        opened: Result<T, E>,
    ) -> Option<T> {
        opened.map_err(|error| self.problem(path, error)).ok()
    }

    /// The trust roots of a PEM file.
    pub(super) fn roots_of(&mut self, path: &str, file: &Path) -> Option<RootCertStore> {
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
        let reason = match certificates.map(|all: Vec<_>| roots.add_parsable_certificates(all)) {
            Ok(_) => String::new(),
            Err(error) => format!(": {error}"),
        };
        let file = file.display();
        let message = format!("`{file}` holds no CA certificate in PEM{reason}");
        self.accept(path, some_roots(roots, message))
    }

    /// The system's trust roots.
    pub(super) fn system_roots(&mut self, path: &str) -> Option<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let message = "the system has no root certificates: name `ca-file`";
        self.accept(path, some_roots(roots, message))
    }
}

/// The problem of a file that cannot be read, named by the value at `path` of `config`.
pub(super) fn unreadable(
    config: &Path,
    path: &str,
    file: &Path,
    error: &std::io::Error,
) -> Problem {
    let message = format_args!("`{}` cannot be read: {error}", file.display());
    Problem::of_value(config, path, message)
}

fn some_roots<E>(roots: RootCertStore, error: E) -> Result<RootCertStore, E> {
    match roots.is_empty() {
        true => Err(error),
        false => Ok(roots),
    }
}
