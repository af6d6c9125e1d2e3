//! The sandbox: a Kinesis emulator and a throw-away CA, for the `sandbox` command and for tests.
//! Production builds leave it out.

mod certificate_authority;
mod emulator;

pub use certificate_authority::Authority;
pub use emulator::Emulator;

/// The error of a sandbox that did not start.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
