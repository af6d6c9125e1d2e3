//! The gate's own credentials, from AWS's standard chain of sources, kept fresh.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, tls::Provider};
use tokio::time::{sleep, timeout};

use super::keeper::{Source, report};
use super::own::{Own, Session};

/// How long one attempt to get credentials may take. Sources have deadlines of their own below it.
const ATTEMPT: Duration = Duration::from_secs(15);
/// How often credentials that do not expire are looked up again: a file may have changed.
const UNEXPIRING: Duration = Duration::from_secs(300);
/// The longest pause between two attempts.
const LONGEST: Duration = Duration::from_secs(3600);
/// The pauses after failures grow from the first to the last.
const AFTER_FAILURE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The SDK's configuration for a source. Its credentials are those of the standard chain:
/// environment, profile (with SSO and processes), web identity, container, instance.
pub(super) async fn configure(source: &Source) -> SdkConfig {
    let client = Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(client)
        .region(Region::new(source.region.clone()));
    if let Some(profile) = &source.profile {
        loader = loader.profile_name(profile);
    }
    loader.load().await
}

/// Keeps credentials fresh, for as long as it is polled. What was there stays until there is
/// something newer: an outage of the source harms nobody before the credentials are over.
pub(super) async fn keep(
    own: Arc<Own>,
    chain: impl ProvideCredentials,
    clock: fn() -> SystemTime,
    mut tried: impl FnMut(),
) {
    let mut failures = 0;
    loop {
        let pause = match timeout(ATTEMPT, chain.provide_credentials()).await {
            Ok(Ok(credentials)) => match session(&credentials) {
                Some(session) if session.is_valid(clock()) => {
                    failures = 0;
                    let expires = session.expires();
                    own.replace(Arc::new(session));
                    before_renewal(expires, clock())
                }
                Some(_) => failed(&mut failures, &"the source gives expired credentials"),
                None => failed(
                    &mut failures,
                    &"the source gives a malformed key id or session token",
                ),
            },
            // Sources name themselves and what failed, never a secret.
            Ok(Err(error)) => failed(&mut failures, &Chained(&error)),
            Err(_) => failed(&mut failures, &"the source does not answer"),
        };
        tried();
        sleep(pause).await;
    }
}

/// When to renew: after two thirds of what is left, a little earlier by chance so that many gates do
/// not ask at once.
pub(super) fn before_renewal(expires: Option<SystemTime>, now: SystemTime) -> Duration {
    let Some(expires) = expires else {
        return UNEXPIRING;
    };
    let left = expires.duration_since(now).unwrap_or_default();
    let jitter = 0.8 + 0.2 * fastrand::f64();
    (left * 2 / 3)
        .mul_f64(jitter)
        .clamp(Duration::from_millis(500), LONGEST)
}

/// Credentials in the form that requests are signed with.
pub(super) fn session(credentials: &Credentials) -> Option<Session> {
    Session::new(
        credentials.access_key_id().to_owned(),
        credentials.secret_access_key().to_owned(),
        credentials.session_token(),
        credentials.expiry(),
        credentials
            .account_id()
            .map(|account| account.as_str().to_owned()),
    )
}

/// The gate's credentials as they are now, for calls to STS.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) own: Arc<Own>,
    pub(super) clock: fn() -> SystemTime,
}

impl ProvideCredentials for Current {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let session = self.own.session((self.clock)());
        future::ProvideCredentials::ready(match session {
            Some(session) => Ok(Credentials::new(
                session.access_key_id(),
                session.secret(),
                session
                    .token()
                    .and_then(|token| token.to_str().ok())
                    .map(str::to_owned),
                session.expires(),
                "kinesis-gate",
            )),
            None => Err(CredentialsError::not_loaded("none are valid now")),
        })
    }
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Current")
    }
}

fn failed(failures: &mut u32, why: &dyn std::fmt::Display) -> Duration {
    // Once for each outage: the metrics and the decision log tell of the requests.
    if *failures == 0 {
        report(format_args!("no new credentials to sign with: {why}"));
    }
    *failures = failures.saturating_add(1);
    let (first, last) = AFTER_FAILURE;
    let grown = first.saturating_mul(1 << (*failures - 1).min(10));
    grown.min(last).mul_f64(0.8 + 0.2 * fastrand::f64())
}

/// An error with its sources.
pub(super) struct Chained<'a>(pub(super) &'a dyn std::error::Error);

impl std::fmt::Display for Chained<'_> {
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
