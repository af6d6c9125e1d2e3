//! The executor of hyper's tasks, which runs each task on the event loop that spawns it.

use std::future::Future;

use hyper::rt::Executor;

/// Spawns tasks on the current event loop. No task moves to another loop.
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
