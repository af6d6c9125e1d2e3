//! Re-sign mode of an endpoint: how it authenticates clients, and which credentials and roles it
//! signs with.

use std::sync::Arc;

use crate::credentials::{LocalStore, UpstreamCredentials};
use crate::policy::PrincipalPattern;
use crate::sigv4::LocalKeys;

/// How an endpoint authenticates its clients and re-signs their requests.
pub struct ReSignConfig {
    /// How clients authenticate.
    pub client_authentication: ClientAuthentication,
    /// The gate's own credentials.
    pub credentials: Arc<UpstreamCredentials>,
    /// The account of these credentials, if it is configured.
    pub account: Option<String>,
    /// The roles to assume, by principal. If there are any, a principal without a role is refused.
    pub roles: Vec<RoleMapping>,
}

/// How clients authenticate.
pub enum ClientAuthentication {
    /// By a signature with local credentials.
    Sigv4(Arc<LocalStore>),
    /// By a client certificate.
    Mtls,
    /// By their address: they are on this host.
    Loopback,
}

/// The role to assume for some principals.
pub struct RoleMapping {
    /// The principals.
    pub principal: PrincipalPattern,
    /// The ARN of the role.
    pub arn: Arc<str>,
    /// The account in that ARN.
    pub account: String,
}

impl ReSignConfig {
    /// The current keys to verify signatures with, where signatures authenticate clients.
    pub(in crate::gate) fn local_keys(&self) -> Option<Arc<LocalKeys>> {
        match &self.client_authentication {
            ClientAuthentication::Sigv4(store) => Some(store.keys()),
            ClientAuthentication::Mtls | ClientAuthentication::Loopback => None,
        }
    }
}
