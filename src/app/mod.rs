//! Wiring only: configuration -> loaded -> bound -> running -> drained.

mod admin_control;
mod bound_gate;
mod event_loop;
mod file_watcher;
mod gauges;
mod load;
mod loaded_gate;
mod persistent;
mod reload;
mod running_gate;
mod status;

use std::time::SystemTime;

pub use bound_gate::BoundGate;
pub use load::{compile, knows, load};
pub use loaded_gate::LoadedGate;
pub use running_gate::RunningGate;

/// The process's clock. Nothing else reads the clock.
pub fn clock() -> SystemTime {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one clock; all else takes the time as an argument"
    )]
    SystemTime::now()
}
