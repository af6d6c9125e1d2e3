//! Control of the gate by the admin port (reload, drain), and the status of the gate.

use serde::Serialize;

/// Controls a gate through the admin port.
pub trait Control: Send + Sync {
    /// Reloads the configuration, as SIGHUP does.
    ///
    /// # Errors
    /// The human-readable reason that the reload failed. The snapshot in force stays.
    fn reload(&self) -> Result<(), String>;

    /// Begins a graceful shutdown, as SIGTERM does.
    fn drain(&self);

    /// The status of the gate, without secrets.
    fn status(&self) -> Status;
}

/// The status of the gate: the configuration in force.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The program's version.
    pub version: &'static str,
    /// When the process started, RFC 3339.
    pub started: String,
    /// The listeners.
    pub listeners: Vec<ListenerStatus>,
    /// The policy documents.
    pub policies: Vec<PolicyStatus>,
    /// The reloads since the start.
    pub reload: ReloadStatus,
}

/// The results of reloads.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ReloadStatus {
    /// The number of reloads that succeeded.
    pub generation: u64,
    /// The number of reloads that failed.
    pub failures: u64,
    /// When the snapshot in force was read, RFC 3339.
    pub last_success: String,
    /// When and why the last reload failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Changes that take effect at the next start.
    pub needs_restart: Vec<String>,
}

/// The status of a listener.
#[derive(Debug, Clone, Serialize)]
pub struct ListenerStatus {
    /// The address that it listens on.
    pub address: String,
    /// The ids of its endpoints.
    pub endpoints: Vec<String>,
    /// When its certificate, or its certificate authority's, expires: seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_expires: Option<i64>,
}

/// The status of a policy document.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyStatus {
    /// The policy's name in the decision log.
    pub policy: String,
    /// `endpoint` or `identity`.
    pub layer: &'static str,
    /// The endpoints or principals that it is attached to.
    pub attached_to: Vec<String>,
    /// The SHA-256 of the text, in hexadecimal.
    pub sha256: String,
    /// The text of the document.
    pub text: String,
}
