//! The body timeout: how long a request body may keep the gate waiting.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Limits;

/// Measures the time spent waiting for one request body, against the limit on that time.
///
/// A body may stall for `body-timeout` in total, and for one second more with every `body-rate`
/// bytes received. Only waits for the client count, and not those for the buffer budget or the
/// upstream.
#[derive(Debug)]
pub(super) struct BodyTimeout {
    timeout: Duration,
    rate: usize,
    waited: Duration,
    waiting_since: Option<Instant>,
}

impl BodyTimeout {
    pub(super) fn new(limits: &Limits) -> BodyTimeout {
        BodyTimeout {
            timeout: limits.body_timeout,
            rate: limits.body_rate,
            waited: Duration::ZERO,
            waiting_since: None,
        }
    }

    /// Starts a wait for the client, after `received` bytes. Returns its deadline.
    pub(super) fn start_wait(&mut self, received: u64) -> Instant {
        let now = Instant::now();
        self.waiting_since = Some(now);
        let earned = received.checked_div(self.rate as u64).unwrap_or(0);
        let allowed = self.timeout.saturating_add(Duration::from_secs(earned));
        now + allowed.saturating_sub(self.waited).min(self.timeout)
    }

    /// Whether a wait is in progress.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting_since.is_some()
    }

    /// Ends the wait: the client has sent something, or the deadline has passed.
    pub(super) fn end_wait(&mut self) {
        if let Some(since) = self.waiting_since.take() {
            self.waited = self.waited.saturating_add(since.elapsed());
        }
    }
}
