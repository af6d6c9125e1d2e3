//! Graceful shutdown: the drain begins, and the work in progress then ends.

use tokio::sync::watch;

/// Begins the drain. INVARIANT: not `Clone`: one place decides to stop.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// Tells a task when the drain begins. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Drain(watch::Receiver<bool>);

/// A trigger, and the drain that it begins.
pub fn channel() -> (Trigger, Drain) {
    let (sender, receiver) = watch::channel(false);
    (Trigger(sender), Drain(receiver))
}

impl Trigger {
    /// Begins the drain. A drain that has begun does not end.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }
}

impl Drain {
    /// Whether the drain has begun.
    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the drain begins. Dropping the trigger begins it too.
    pub async fn wait(&mut self) {
        let _ = self.0.wait_for(|begun| *begun).await;
    }
}
