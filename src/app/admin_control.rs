//! The admin port's control of a running gate: reload, drain, status.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::admin::{Control, Status};

use super::reload::Reloader;

/// Reloads and drains a running gate.
pub(super) struct AdminControl {
    pub(super) reloader: Arc<Reloader>,
    pub(super) drain: Arc<Notify>,
}

impl Control for AdminControl {
    fn reload(&self) -> Result<(), String> {
        let reloaded = self.reloader.reload();
        reloaded.map_err(|problems| problems.to_string())
    }

    fn drain(&self) {
        self.drain.notify_one();
    }

    fn status(&self) -> Status {
        self.reloader.status()
    }
}
