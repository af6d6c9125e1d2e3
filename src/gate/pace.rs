//! How long a client may be waited for while its body arrives.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Limits;

/// The time spent waiting for one body, against what it brought.
///
/// A body may stall for `body-timeout`, once or in parts, and for a second more with every
/// `body-rate` bytes that came. Only waiting for the client counts: not what the memory budget or
/// the upstream takes.
#[derive(Debug)]
pub(super) struct Pace {
    patience: Duration,
    rate: usize,
    waited: Duration,
    since: Option<Instant>,
}

impl Pace {
    pub(super) fn new(limits: &Limits) -> Pace {
        Pace {
            patience: limits.body_timeout,
            rate: limits.body_rate,
            waited: Duration::ZERO,
            since: None,
        }
    }

    /// The client is waited for from now on, after `read` bytes; until when.
    pub(super) fn wait(&mut self, read: u64) -> Instant {
        let now = Instant::now();
        self.since = Some(now);
        let earned = read.checked_div(self.rate as u64).unwrap_or(0);
        let allowed = self.patience.saturating_add(Duration::from_secs(earned));
        now + allowed.saturating_sub(self.waited).min(self.patience)
    }

    /// Whether the client is being waited for.
    pub(super) fn is_waiting(&self) -> bool {
        self.since.is_some()
    }

    /// It has sent something, or nothing in time.
    pub(super) fn came(&mut self) {
        if let Some(since) = self.since.take() {
            self.waited = self.waited.saturating_add(since.elapsed());
        }
    }
}
