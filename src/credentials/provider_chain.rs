//! The gate's own credentials, from AWS's default credential provider chain.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, tls::Provider};
use tokio::time::{sleep, timeout};

use super::report::report;
use super::signing_credentials::SigningCredentials;
use super::upstream_credentials::UpstreamCredentials;

/// Timeout of one attempt to get credentials. Providers have shorter timeouts of their own.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// The interval at which credentials without expiry are loaded again: a file may have changed.
const RELOAD_INTERVAL: Duration = Duration::from_secs(300);
/// The longest time between two attempts.
const MAX_REFRESH_INTERVAL: Duration = Duration::from_secs(3600);
/// The first and the longest backoff after failures.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The SDK's configuration. Its credentials come from the default chain: environment, profile (with
/// SSO and processes), web identity, container, instance.
pub(super) async fn load_config(profile: Option<&str>, region: String) -> SdkConfig {
    let client = Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(client)
        .region(Region::new(region));
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    loader.load().await
}

/// Refreshes credentials for as long as it is polled. The last credentials stay until newer ones
/// come, so that an outage of the provider has no effect before they expire.
pub(super) async fn refresh(
    upstream: Arc<UpstreamCredentials>,
    chain: impl ProvideCredentials,
    clock: fn() -> SystemTime,
    mut attempted: impl FnMut(),
) {
    let mut failures = 0;
    loop {
        let pause = match timeout(ATTEMPT_TIMEOUT, chain.provide_credentials()).await {
            Ok(Ok(credentials)) => match SigningCredentials::new(credentials) {
                Some(credentials) if credentials.is_valid(clock()) => {
                    failures = 0;
                    let expires = credentials.expires();
                    upstream.replace(Arc::new(credentials));
                    refresh_interval(expires, clock())
                }
                Some(_) => back_off(&mut failures, &"the source gives expired credentials"),
                None => back_off(
                    &mut failures,
                    &"the source gives a malformed key id or session token",
                ),
            },
            // Providers name themselves and the failure, never a secret.
            Ok(Err(error)) => back_off(&mut failures, &ErrorChain(&error)),
            Err(_) => back_off(&mut failures, &"the source does not answer"),
        };
        attempted();
        sleep(pause).await;
    }
}

/// Two thirds of the remaining lifetime, less a jitter so that many gates do not refresh at once.
fn refresh_interval(expires: Option<SystemTime>, now: SystemTime) -> Duration {
    let Some(expires) = expires else {
        return RELOAD_INTERVAL;
    };
    let left = expires.duration_since(now).unwrap_or_default();
    let jitter = 0.8 + 0.2 * fastrand::f64();
    (left * 2 / 3)
        .mul_f64(jitter)
        .clamp(Duration::from_millis(500), MAX_REFRESH_INTERVAL)
}

/// A provider of the gate's current credentials, for calls to STS.
#[derive(Clone)]
pub(super) struct CurrentProvider {
    pub(super) upstream: Arc<UpstreamCredentials>,
    pub(super) clock: fn() -> SystemTime,
}

impl ProvideCredentials for CurrentProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let current = self.upstream.current((self.clock)());
        let credentials = current.map(|current| current.credentials().clone());
        future::ProvideCredentials::ready(
            credentials.ok_or_else(|| CredentialsError::not_loaded("none are valid now")),
        )
    }
}

impl std::fmt::Debug for CurrentProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CurrentProvider")
    }
}

/// Reports the first failure of an outage, and returns the backoff.
fn back_off(failures: &mut u32, why: &dyn std::fmt::Display) -> Duration {
    // Later requests of the outage are visible in the metrics and the decision log.
    if *failures == 0 {
        report(format_args!("no new credentials to sign with: {why}"));
    }
    *failures = failures.saturating_add(1);
    let (first, longest) = BACKOFF;
    let grown = first.saturating_mul(1 << (*failures - 1).min(10));
    grown.min(longest).mul_f64(0.8 + 0.2 * fastrand::f64())
}

/// An error with its chain of sources.
pub(super) struct ErrorChain<'a>(pub(super) &'a dyn std::error::Error);

impl std::fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
