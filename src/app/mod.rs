//! Wiring only: configuration -> loaded -> bound -> running -> drained.

mod admin_control;
mod bind;
mod event_loop;
mod file_watcher;
mod gauges;
mod load;
mod loaded;
mod persistent;
mod reload;
mod run;
mod status;

use std::time::SystemTime;

pub use bind::Bound;
pub use load::{compile, knows, load};
pub use loaded::Loaded;
pub use run::Running;

/// The process's clock. The one place that reads it.
pub fn clock() -> SystemTime {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one clock; all else takes the time as an argument"
    )]
    SystemTime::now()
}
