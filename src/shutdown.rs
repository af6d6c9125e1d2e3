//! Stopping: first no new work, then an end to the work under way.

use tokio::sync::watch;

/// The end that says when. INVARIANT: not `Clone`: one place decides to stop.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// The ends that are told. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Draining(watch::Receiver<bool>);

/// A trigger and what it tells.
pub fn channel() -> (Trigger, Draining) {
    let (sender, receiver) = watch::channel(false);
    (Trigger(sender), Draining(receiver))
}

impl Trigger {
    /// Begins the drain. Once begun it does not end.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }
}

impl Draining {
    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it begins. A trigger that is gone has begun it: nothing is left to serve for.
    pub async fn begun(&mut self) {
        let _ = self.0.wait_for(|begun| *begun).await;
    }
}
