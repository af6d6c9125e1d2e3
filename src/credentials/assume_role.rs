//! Assume role: credentials of a role for each principal, through STS, refreshed while used.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sts::Client;
use aws_sdk_sts::types::Tag;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

use super::provider_chain::{CurrentProvider, ErrorChain};
use super::report::report;
use super::signing_credentials::SigningCredentials;
use super::upstream_credentials::{
    AssumeRoleRequest, AssumedRole, RoleSession, UpstreamCredentials,
};

/// Timeout of one call to STS, with the SDK's retries.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often sessions are checked for use and age.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How long a refused session is not requested from STS again.
const REFUSAL_TTL: Duration = Duration::from_secs(1);
/// The most sessions at once.
const MAX_SESSIONS: usize = 10_000;

type Reply = oneshot::Sender<Option<Arc<SigningCredentials>>>;

/// Calls to STS in flight, and the requests that wait for each.
#[derive(Default)]
struct InFlight {
    waiting: HashMap<RoleSession, Vec<Reply>>,
    calls: JoinSet<(RoleSession, Result<Arc<SigningCredentials>, String>)>,
    /// The sessions that STS has recently refused.
    refused: HashMap<RoleSession, Instant>,
    /// Roles whose failure has been reported.
    reported: HashSet<Arc<str>>,
}

/// Serves requests for credentials of roles, for as long as it is polled.
pub(super) async fn serve(
    upstream: Arc<UpstreamCredentials>,
    mut receiver: mpsc::Receiver<AssumeRoleRequest>,
    config: SdkConfig,
    clock: fn() -> SystemTime,
) {
    let current = CurrentProvider {
        upstream: Arc::clone(&upstream),
        clock,
    };
    let config = config
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(current))
        .build();
    let client = Client::new(&config);
    let mut in_flight = InFlight::default();
    let mut poll = interval(POLL_INTERVAL);
    loop {
        tokio::select! {
            request = receiver.recv() => match request {
                Some(AssumeRoleRequest { session, reply }) => in_flight.begin(&client, session, Some(reply)),
                None => return,
            },
            Some(Ok((session, result))) = in_flight.calls.join_next() => {
                in_flight.finish(&upstream, session, result, clock());
            }
            _ = poll.tick() => {
                in_flight.refused.retain(|_, since| since.elapsed() < REFUSAL_TTL);
                for session in expiring(&upstream, clock()) {
                    in_flight.begin(&client, session, None);
                }
            }
        }
    }
}

impl InFlight {
    /// Calls STS, unless a call for the session is in flight or was refused recently.
    fn begin(&mut self, client: &Client, session: RoleSession, reply: Option<Reply>) {
        if let Some(waiting) = self.waiting.get_mut(&session) {
            waiting.extend(reply);
            return;
        }
        let refused = self.refused.get(&session);
        if refused.is_some_and(|since| since.elapsed() < REFUSAL_TTL) {
            // Dropping the reply means that there are no credentials.
            return;
        }
        self.waiting
            .insert(session.clone(), reply.into_iter().collect());
        let client = client.clone();
        self.calls.spawn(async move {
            let result = timeout(ATTEMPT_TIMEOUT, assume_role(&client, &session)).await;
            let result = result.unwrap_or_else(|_| Err("STS does not answer".to_owned()));
            (session, result)
        });
    }

    fn finish(
        &mut self,
        upstream: &UpstreamCredentials,
        session: RoleSession,
        result: Result<Arc<SigningCredentials>, String>,
        assumed_at: SystemTime,
    ) {
        let credentials = match result {
            Ok(credentials) => {
                self.reported.remove(&session.role);
                Some(credentials)
            }
            Err(why) => {
                // One report for each outage.
                if self.reported.insert(Arc::clone(&session.role)) {
                    report(format_args!(
                        "role `{}` is not assumed: {why}",
                        session.role
                    ));
                }
                self.refused.insert(session.clone(), Instant::now());
                None
            }
        };
        for reply in self.waiting.remove(&session).unwrap_or_default() {
            let _ = reply.send(credentials.clone());
        }
        let Some(credentials) = credentials else {
            return;
        };
        let roles = upstream.assumed_roles().write();
        let mut roles = roles.unwrap_or_else(PoisonError::into_inner);
        if roles.len() < MAX_SESSIONS || roles.contains_key(&session) {
            let role = AssumedRole {
                credentials,
                assumed_at,
                is_used: AtomicBool::new(true),
            };
            roles.insert(session, role);
        }
    }
}

/// The used sessions with less than a third of their lifetime left. Removes expired sessions.
fn expiring(upstream: &UpstreamCredentials, now: SystemTime) -> Vec<RoleSession> {
    let roles = upstream.assumed_roles().write();
    let mut roles = roles.unwrap_or_else(PoisonError::into_inner);
    roles.retain(|_, role| role.credentials.is_valid(now));
    let is_expiring = |role: &AssumedRole| {
        let Some(expires) = role.credentials.expires() else {
            return false;
        };
        let between = |from, to: SystemTime| to.duration_since(from).unwrap_or_default();
        between(now, expires) < between(role.assumed_at, expires) / 3
            && role.is_used.swap(false, Ordering::Relaxed)
    };
    let expiring = roles.iter().filter(|(_, role)| is_expiring(role));
    expiring.map(|(session, _)| session.clone()).collect()
}

async fn assume_role(
    client: &Client,
    session: &RoleSession,
) -> Result<Arc<SigningCredentials>, String> {
    let tags = session.tags.iter().map(|(key, value)| {
        let tag = Tag::builder().key(key).value(value);
        tag.build().map_err(|error| error.to_string())
    });
    let tags = tags.collect::<Result<Vec<_>, _>>()?;
    let output = client
        .assume_role()
        .role_arn(&*session.role)
        .role_session_name(&session.name)
        .set_source_identity(session.source_identity.clone())
        .set_tags((!tags.is_empty()).then_some(tags))
        .send()
        .await
        .map_err(|error| ErrorChain(&error).to_string())?;
    let credentials = output
        .credentials
        .ok_or("STS answers without credentials")?;
    let expires =
        SystemTime::try_from(credentials.expiration).map_err(|error| error.to_string())?;
    SigningCredentials::new(Credentials::new(
        credentials.access_key_id,
        credentials.secret_access_key,
        Some(credentials.session_token),
        Some(expires),
        "sts",
    ))
    .map(Arc::new)
    .ok_or_else(|| "STS gives a malformed key id or session token".to_owned())
}
