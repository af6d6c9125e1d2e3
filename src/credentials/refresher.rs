//! Credential refresh: one thread reloads local credentials when their file changes, and refreshes the
//! gate's own before they expire.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::interval;

use super::local_store::{LocalStore, StoreError};
use super::report::report;
use super::upstream_credentials::UpstreamCredentials;

/// A source of the gate's own credentials.
#[derive(Clone)]
pub struct CredentialSource {
    /// The credentials that are refreshed.
    pub upstream: Arc<UpstreamCredentials>,
    /// The profile in the shared configuration files.
    pub profile: Option<String>,
    /// The region whose STS issues credentials of roles.
    pub region: String,
}

/// The running thread. It ends on drop.
pub struct CredentialRefresher {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How often the files of local credentials are checked.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Timeout of the wait for the first credentials. Without any, the gate starts and answers 503.
#[cfg(feature = "re-sign")]
const FIRST_TIMEOUT: Duration = Duration::from_secs(5);

impl CredentialRefresher {
    /// Starts the thread, and waits for the first credentials, with a timeout.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(
        stores: Vec<Arc<LocalStore>>,
        sources: Vec<CredentialSource>,
        clock: fn() -> SystemTime,
    ) -> io::Result<CredentialRefresher> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (attempted, first) = std::sync::mpsc::channel();
        let count = sources.len();
        let thread = thread::Builder::new().name("credentials".to_owned());
        let thread = thread.spawn(move || {
            runtime.block_on(async move {
                for store in stores {
                    tokio::spawn(watch(store));
                }
                for source in sources {
                    tokio::spawn(refresh(source, clock, attempted.clone()));
                }
                drop(attempted);
                let _ = stopped.await;
            });
            // Does not wait for calls in flight.
            runtime.shutdown_background();
        })?;
        #[cfg(feature = "re-sign")]
        for _ in 0..count {
            let _ = first.recv_timeout(FIRST_TIMEOUT);
        }
        #[cfg(not(feature = "re-sign"))]
        let _ = (first, count);
        Ok(CredentialRefresher {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for CredentialRefresher {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reloads a file when it changes. After a failed reload, the last keys stay.
async fn watch(store: Arc<LocalStore>) {
    let mut poll = interval(POLL_INTERVAL);
    let mut is_missing = false;
    loop {
        poll.tick().await;
        let file = store.file().display();
        let was_missing = is_missing;
        is_missing = false;
        match store.refresh() {
            Err(StoreError::Read(error)) => {
                is_missing = true;
                if !was_missing {
                    report(format_args!(
                        "{file}: cannot be read: {error}; the local credentials that were read stay"
                    ));
                }
            }
            Err(error) => report(format_args!(
                "{file}: {error}; the local credentials that were read before stay"
            )),
            Ok(()) => {}
        }
    }
}

#[cfg(feature = "re-sign")]
async fn refresh(
    source: CredentialSource,
    clock: fn() -> SystemTime,
    attempted: std::sync::mpsc::Sender<()>,
) {
    use super::{assume_role, provider_chain};

    let config = provider_chain::load_config(source.profile.as_deref(), source.region).await;
    let Some(chain) = config.credentials_provider() else {
        return;
    };
    let receiver = source.upstream.receiver.lock();
    let receiver = receiver.ok().and_then(|mut receiver| receiver.take());
    if let Some(receiver) = receiver {
        let upstream = Arc::clone(&source.upstream);
        tokio::spawn(assume_role::serve(upstream, receiver, config, clock));
    }
    let attempted = move || {
        let _ = attempted.send(());
    };
    provider_chain::refresh(source.upstream, chain, clock, attempted).await;
}

/// Without the provider chain there is nothing to refresh.
#[cfg(not(feature = "re-sign"))]
async fn refresh(_: CredentialSource, _: fn() -> SystemTime, _: std::sync::mpsc::Sender<()>) {}
