//! A Kinesis and a CA to throw away: for the `sandbox` command and for tests. Production builds
//! leave this out.

mod authority;
mod kinesis;

pub use authority::Authority;
pub use kinesis::Kinesis;

/// Whatever stopped a sandbox from starting.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
