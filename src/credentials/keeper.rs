//! The thread that keeps credentials fresh: local ones as their file changes, the gate's own ahead
//! of their end.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::interval;

use super::{LocalStore, Own};

/// Where the gate's own credentials come from.
#[derive(Clone)]
pub struct Source {
    /// What is kept.
    pub own: Arc<Own>,
    /// The profile of the shared configuration files.
    pub profile: Option<String>,
    /// The region whose STS is asked for roles.
    pub region: String,
}

/// A running thread. Dropped, it ends.
pub struct Keeper {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How often the files of local credentials are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long a start waits for the first credentials. Without them the gate starts all the same, and
/// answers 503.
#[cfg(feature = "re-sign")]
const FIRST: Duration = Duration::from_secs(5);

impl Keeper {
    /// Starts, and waits a little for the first credentials.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        stores: Vec<Arc<LocalStore>>,
        sources: Vec<Source>,
        clock: fn() -> SystemTime,
    ) -> io::Result<Keeper> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (tried, first) = std::sync::mpsc::channel();
        let many = sources.len();
        let thread = thread::Builder::new().name("credentials".to_owned());
        let thread = thread.spawn(move || {
            runtime.block_on(async move {
                for store in stores {
                    tokio::spawn(watch(store));
                }
                for source in sources {
                    tokio::spawn(keep(source, clock, tried.clone()));
                }
                drop(tried);
                let _ = stopped.await;
            });
            // What still waits for an answer is not waited for.
            runtime.shutdown_background();
        })?;
        #[cfg(feature = "re-sign")]
        for _ in 0..many {
            let _ = first.recv_timeout(FIRST);
        }
        #[cfg(not(feature = "re-sign"))]
        let _ = (first, many);
        Ok(Keeper {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads a file again when it has changed. A bad one changes nothing, loudly.
async fn watch(store: Arc<LocalStore>) {
    let mut look = interval(LOOK);
    let mut missing = false;
    loop {
        look.tick().await;
        let gone = match store.refresh() {
            Err(super::StoreError::Read(error)) => {
                if !missing {
                    report(format_args!(
                        "{}: cannot be read: {error}; the local credentials that were read stay",
                        store.file().display()
                    ));
                }
                true
            }
            Err(error) => {
                report(format_args!(
                    "{}: {error}; the local credentials that were read before stay",
                    store.file().display()
                ));
                false
            }
            Ok(()) => false,
        };
        missing = gone;
    }
}

#[cfg(feature = "re-sign")]
async fn keep(source: Source, clock: fn() -> SystemTime, tried: std::sync::mpsc::Sender<()>) {
    use aws_credential_types::provider::SharedCredentialsProvider;

    let config = super::chain::configure(&source).await;
    let Some(chain): Option<SharedCredentialsProvider> = config.credentials_provider() else {
        return;
    };
    let inbox = source
        .own
        .inbox
        .lock()
        .ok()
        .and_then(|mut inbox| inbox.take());
    if let Some(inbox) = inbox {
        let own = Arc::clone(&source.own);
        tokio::spawn(super::role::serve(own, inbox, config, clock));
    }
    let tell = move || {
        let _ = tried.send(());
    };
    super::chain::keep(source.own, chain, clock, tell).await;
}

/// Without the chain of sources there is none to keep.
#[cfg(not(feature = "re-sign"))]
async fn keep(_: Source, _: fn() -> SystemTime, _: std::sync::mpsc::Sender<()>) {}

/// Tells the operator.
pub(super) fn report(message: fmt::Arguments<'_>) {
    eprintln!("credentials: {message}");
}
