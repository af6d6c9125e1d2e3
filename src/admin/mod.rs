//! The admin port: health, metrics, recent decisions, control and the console, on a port of its own.

mod console;
mod control;
mod decisions;
mod guard;
mod routes;
mod server;

pub use control::{Control, ListenerStatus, PolicyStatus, ReloadStatus, Status};
pub use guard::Guard;
pub use server::{Access, Admin, bind};
