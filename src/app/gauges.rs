//! Gauges: the metrics of a running gate that are measured when the admin port renders them.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::observe::{Clock, Gauge};
use crate::tokens::TokenStore;

use super::reload::Reloader;

/// The gauges of reloads.
pub(super) fn reloads(reloader: &Arc<Reloader>) -> [Gauge; 3] {
    let status = || {
        let reloader = Arc::clone(reloader);
        move || reloader.status().reload
    };
    let (generation, failures, successful) = (status(), status(), status());
    [
        gauge(
            "reload_generation",
            "Changed configurations that were taken over",
            move || saturated(generation().generation),
        ),
        gauge(
            "reload_failures",
            "Changed configurations that were refused",
            move || saturated(failures().failures),
        ),
        gauge(
            "reload_successful",
            "Whether the last change was taken over",
            move || i64::from(successful().last_error.is_none()),
        ),
    ]
}

/// When the certificates of listeners expire.
pub(super) fn certificate_expiries(reloader: &Arc<Reloader>) -> impl Iterator<Item = Gauge> {
    let listeners = reloader.status().listeners.into_iter().enumerate();
    listeners.map(|(index, listener)| {
        let reloader = Arc::clone(reloader);
        let expiry = move || {
            let status = reloader.status();
            let listener = status.listeners.get(index);
            listener.and_then(|it| it.certificate_expires).unwrap_or(0)
        };
        Gauge {
            label: Some(("listener", listener.address)),
            ..gauge(
                "certificate_expiry_timestamp_seconds",
                "When a listener's certificate, or the authority that mints them, expires",
                expiry,
            )
        }
    })
}

/// The number of token bindings in memory, and the capacity.
pub(super) fn tokens(store: &Arc<TokenStore>, clock: Clock) -> [Gauge; 2] {
    let (alive, room) = (Arc::clone(store), Arc::clone(store));
    [
        gauge(
            "tokens",
            "Opaque tokens that are bound to a stream in memory, and alive",
            move || saturated(alive.count_alive(clock())),
        ),
        gauge(
            "tokens_capacity",
            "Opaque tokens that there is room for in memory",
            move || saturated(room.capacity()),
        ),
    ]
}

/// The size and use of the buffer budget for request bodies, `share` bytes for each event loop.
pub(super) fn buffer_budget(budgets: Vec<Arc<Semaphore>>, share: usize) -> [Gauge; 2] {
    let total = budgets.len().saturating_mul(share);
    let in_use = move || {
        let free = budgets.iter().map(|budget| budget.available_permits());
        saturated(total.saturating_sub(free.sum()))
    };
    [
        gauge(
            "buffered_bytes",
            "Bytes of request bodies held, or set aside for them",
            in_use,
        ),
        gauge(
            "buffered_bytes_budget",
            "Bytes of request bodies that may be held",
            move || saturated(total),
        ),
    ]
}

fn gauge(
    name: &'static str,
    help: &'static str,
    value: impl Fn() -> i64 + Send + Sync + 'static,
) -> Gauge {
    Gauge {
        name,
        help,
        label: None,
        value: Arc::new(value),
    }
}

fn saturated(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
