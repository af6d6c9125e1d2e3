//! One set of credentials to sign upstream requests with.

use std::fmt;
use std::time::SystemTime;

#[cfg(feature = "re-sign")]
use {
    crate::sigv4::AccountId, aws_credential_types::Credentials,
    aws_smithy_runtime_api::client::identity::Identity, http::HeaderValue,
};

/// Credentials from a provider. The secret is never printed, and is overwritten when dropped; copies
/// that `aws-sigv4` makes while it signs are not.
pub struct SigningCredentials {
    account: Option<String>,
    expires: Option<SystemTime>,
    #[cfg(feature = "re-sign")]
    credentials: Credentials,
    #[cfg(feature = "re-sign")]
    identity: Identity,
}

impl SigningCredentials {
    /// Converts a provider's credentials. The account is that of the access key id if the provider
    /// names none. `None` if the access key id or the session token cannot be in a header.
    #[cfg(feature = "re-sign")]
    pub fn new(credentials: Credentials) -> Option<SigningCredentials> {
        let access_key_id = credentials.access_key_id();
        if !access_key_id.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        if let Some(token) = credentials.session_token() {
            HeaderValue::from_str(token).ok()?;
        }
        let account = credentials.account_id();
        let account = account.map(|account| account.as_str().to_owned());
        Some(SigningCredentials {
            account: account.or_else(|| Some(AccountId::of_access_key(access_key_id)?.to_string())),
            expires: credentials.expiry(),
            identity: credentials.clone().into(),
            credentials,
        })
    }

    /// The account, if it is known.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// When the credentials expire; `None` for never.
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    /// Whether the credentials have not expired.
    pub fn is_valid(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    /// The credentials in the form that `aws-sigv4` takes.
    #[cfg(feature = "re-sign")]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The credentials in the form that the SDK takes.
    #[cfg(feature = "re-sign")]
    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }
}

impl fmt::Debug for SigningCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningCredentials")
            .field("account", &self.account)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
