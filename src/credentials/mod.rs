//! Credentials: those that the gate issues to its own clients, and those that it signs upstream with.

#[cfg(feature = "re-sign")]
mod chain;
mod issue;
mod keeper;
mod local;
mod own;
#[cfg(feature = "re-sign")]
mod role;

pub use issue::{IssueError, Issued, LONGEST, Order, issue};
pub use keeper::{Keeper, Source};
pub use local::{LocalStore, StoreError, holder, read};
pub use own::{Own, RoleSession, Session};
