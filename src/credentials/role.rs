//! A role for each principal, assumed through STS and kept fresh while it is used.

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

use super::chain::{Chained, Current, session};
use super::keeper::report;
use super::own::{Ask, Assumed, Own, RoleSession, Session};

/// How long one call to STS may take, its retries included.
const ATTEMPT: Duration = Duration::from_secs(10);
/// How often sessions are looked at: whether they are used, and how long they live.
const LOOK: Duration = Duration::from_secs(1);
/// How long STS is left alone about a session that it did not give.
const PAUSE: Duration = Duration::from_secs(1);
/// Sessions kept at once.
const MOST: usize = 10_000;

/// Sessions that are on their way, and who waits for each.
#[derive(Default)]
struct UnderWay {
    waiting: HashMap<RoleSession, Vec<oneshot::Sender<Option<Arc<Session>>>>>,
    calls: JoinSet<(RoleSession, Result<Arc<Session>, String>)>,
    /// What STS did not give of late.
    refused: HashMap<RoleSession, Instant>,
    /// Roles whose failure was told.
    told: HashSet<Arc<str>>,
}

/// Answers everyone who asks for a session of a role, for as long as it is polled.
pub(super) async fn serve(
    own: Arc<Own>,
    mut inbox: mpsc::Receiver<Ask>,
    config: SdkConfig,
    clock: fn() -> SystemTime,
) {
    let current = Current {
        own: Arc::clone(&own),
        clock,
    };
    let config = config
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(current))
        .build();
    let client = Client::new(&config);
    let mut under_way = UnderWay::default();
    let mut look = interval(LOOK);
    loop {
        tokio::select! {
            ask = inbox.recv() => match ask {
                Some(Ask { wanted, answer }) => under_way.begin(&client, wanted, Some(answer)),
                None => return,
            },
            Some(Ok((wanted, session))) = under_way.calls.join_next() => {
                under_way.end(&own, wanted, session, clock());
            }
            _ = look.tick() => {
                under_way.refused.retain(|_, since| since.elapsed() < PAUSE);
                for wanted in worn(&own, clock()) {
                    under_way.begin(&client, wanted, None);
                }
            }
        }
    }
}

impl UnderWay {
    /// Asks STS, unless it is being asked.
    fn begin(
        &mut self,
        client: &Client,
        wanted: RoleSession,
        answer: Option<oneshot::Sender<Option<Arc<Session>>>>,
    ) {
        if let Some(waiting) = self.waiting.get_mut(&wanted) {
            waiting.extend(answer);
            return;
        }
        let refused = self.refused.get(&wanted);
        if refused.is_some_and(|since| since.elapsed() < PAUSE) {
            // Dropped, the answer is that there is none.
            return;
        }
        self.waiting
            .insert(wanted.clone(), answer.into_iter().collect());
        let client = client.clone();
        self.calls.spawn(async move {
            let session = match timeout(ATTEMPT, assume(&client, &wanted)).await {
                Ok(session) => session,
                Err(_) => Err("STS does not answer".to_owned()),
            };
            (wanted, session)
        });
    }

    fn end(
        &mut self,
        own: &Own,
        wanted: RoleSession,
        session: Result<Arc<Session>, String>,
        since: SystemTime,
    ) {
        let session = match session {
            Ok(session) => {
                self.told.remove(&wanted.role);
                Some(session)
            }
            Err(why) => {
                // Once for each outage.
                if self.told.insert(Arc::clone(&wanted.role)) {
                    report(format_args!("role `{}` is not assumed: {why}", wanted.role));
                }
                self.refused.insert(wanted.clone(), Instant::now());
                None
            }
        };
        for answer in self.waiting.remove(&wanted).unwrap_or_default() {
            let _ = answer.send(session.clone());
        }
        let Some(session) = session else { return };
        let mut assumed = own
            .assumed()
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if assumed.len() < MOST || assumed.contains_key(&wanted) {
            let used = AtomicBool::new(true);
            let entry = Assumed {
                session,
                since,
                used,
            };
            assumed.insert(wanted, entry);
        }
    }
}

/// The sessions that are used and have lived most of their life; what is over is dropped.
fn worn(own: &Own, now: SystemTime) -> Vec<RoleSession> {
    let mut assumed = own
        .assumed()
        .write()
        .unwrap_or_else(PoisonError::into_inner);
    assumed.retain(|_, found| found.session.is_valid(now));
    let worn = |found: &Assumed| {
        let Some(expires) = found.session.expires() else {
            return false;
        };
        let between = |from, to: SystemTime| to.duration_since(from).unwrap_or_default();
        between(now, expires) < between(found.since, expires) / 3
            && found.used.swap(false, Ordering::Relaxed)
    };
    assumed
        .iter()
        .filter(|(_, found)| worn(found))
        .map(|(wanted, _)| wanted.clone())
        .collect()
}

async fn assume(client: &Client, wanted: &RoleSession) -> Result<Arc<Session>, String> {
    let tags = wanted.tags.iter().map(|(key, value)| {
        let tag = Tag::builder().key(key).value(value);
        tag.build().map_err(|error| error.to_string())
    });
    let tags = tags.collect::<Result<Vec<_>, _>>()?;
    let answer = client
        .assume_role()
        .role_arn(&*wanted.role)
        .role_session_name(&wanted.name)
        .set_source_identity(wanted.source_identity.clone())
        .set_tags((!tags.is_empty()).then_some(tags))
        .send()
        .await
        .map_err(|error| Chained(&error).to_string())?;
    let given = answer
        .credentials
        .ok_or("STS answers without credentials")?;
    let expires = SystemTime::try_from(given.expiration).map_err(|error| error.to_string())?;
    let credentials = Credentials::new(
        given.access_key_id,
        given.secret_access_key,
        Some(given.session_token),
        Some(expires),
        "sts",
    );
    session(&credentials)
        .map(Arc::new)
        .ok_or_else(|| "STS gives a malformed key id or session token".to_owned())
}
