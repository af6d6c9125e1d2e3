//! The executor of hyper's tasks: the event loop that spawns them runs them.

use std::future::Future;

use hyper::rt::Executor;

/// Spawns on the current event loop; no task moves to another.
#[derive(Debug, Clone, Copy)]
pub struct LocalExecutor;

impl<F> Executor<F> for LocalExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
