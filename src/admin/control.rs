//! What the admin port can do to the gate, and what it tells of it.

use serde::Serialize;

/// The gate, as far as the admin port steers it.
pub trait Control: Send + Sync {
    /// Does what SIGHUP does.
    ///
    /// # Errors
    /// Why nothing was taken over, for people.
    fn reload(&self) -> Result<(), String>;

    /// Begins to drain, as SIGTERM does.
    fn drain(&self);

    /// What is in force. Holds no secret.
    fn status(&self) -> Status;
}

/// What is in force.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The program's version.
    pub version: &'static str,
    /// When the process began to serve, RFC 3339.
    pub started: String,
    /// The sockets that clients connect to.
    pub listeners: Vec<ListenerStatus>,
    /// The policy documents.
    pub policies: Vec<PolicyStatus>,
    /// What was taken over while it ran.
    pub reload: ReloadStatus,
}

/// How changes of files were taken over.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ReloadStatus {
    /// How many were.
    pub generation: u64,
    /// How many were refused.
    pub failures: u64,
    /// When what is in force was read, RFC 3339.
    pub last_success: String,
    /// When and why the last change was refused, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// What has changed and takes effect at the next start.
    pub needs_restart: Vec<String>,
}

/// A listener.
#[derive(Debug, Clone, Serialize)]
pub struct ListenerStatus {
    /// Where it listens.
    pub address: String,
    /// The ids of its endpoints.
    pub endpoints: Vec<String>,
    /// When its certificate, or its authority's, expires: seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_expires: Option<i64>,
}

/// A policy document.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyStatus {
    /// Its name in the decision log.
    pub policy: String,
    /// `endpoint` or `identity`.
    pub layer: &'static str,
    /// The endpoints or principals that it is attached to.
    pub attached_to: Vec<String>,
    /// Of its text, in hexadecimal digits.
    pub sha256: String,
    /// Its text.
    pub text: String,
}
