//! Credentials: those that the gate issues to its clients, and those that it signs upstream with.

#[cfg(feature = "re-sign")]
mod assume_role;
mod issue;
mod local_store;
#[cfg(feature = "re-sign")]
mod provider_chain;
mod refresher;
mod report;
mod signing_credentials;
mod upstream_credentials;

pub use issue::{IssueError, IssueRequest, IssuedCredentials, MAX_TTL, issue};
pub use local_store::{LocalStore, StoreError, read_keys};
pub use refresher::{CredentialRefresher, CredentialSource};
pub use signing_credentials::SigningCredentials;
pub use upstream_credentials::{RoleSession, UpstreamCredentials};
