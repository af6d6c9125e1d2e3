//! Where hyper's tasks run: on the event loop that made them.

use std::future::Future;

use hyper::rt::Executor;

/// Spawns on the event loop it runs on; nothing it spawns is ever moved to another.
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
