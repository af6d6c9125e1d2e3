//! Event streams that end when a reload denies them.
//!
//! An event stream stays open for minutes, and was allowed when it began. Where `on-reload` says so,
//! what it asks is judged again after each reload, before its next event and also when none comes.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::futures::OwnedNotified;

use crate::config::OnReload;
use crate::http::BodyError;
use crate::kinesis::{Members, Target};
use crate::observe::Observer;
use crate::reject::Rejection;
use crate::upstream::ResponseBody;

use super::again::Kept;
use super::asked::Asked;
use super::{ClientConnection, ConnectionInfo, Worker};

/// What an event stream is judged by, again and again.
pub(super) struct Subscription {
    kept: Kept,
    members: Members,
    visit: Rc<ClientConnection>,
    /// Under which it was judged last.
    connection: Rc<ConnectionInfo>,
    observer: Rc<Observer>,
    /// Told by the next reload.
    reload: Pin<Box<OwnedNotified>>,
}

/// An event stream on its way to the client.
pub(super) struct Events {
    pub(super) body: ResponseBody,
    subscription: Box<Subscription>,
}

/// Whether the answer to a request is to be ended where a reload denies it.
pub(super) fn is_ended_by_reloads(worker: &Worker, asked: &Asked<'_>) -> bool {
    worker.on_reload == OnReload::Terminate
        && matches!(asked.head.target, Target::Operation(operation) if operation.is_event_stream)
}

impl Subscription {
    /// Of a request that was judged under `connection`.
    pub(super) fn new(
        worker: &Worker,
        visit: &Rc<ClientConnection>,
        connection: &Rc<ConnectionInfo>,
        kept: Kept,
        members: Members,
    ) -> Subscription {
        Subscription {
            kept,
            members,
            visit: Rc::clone(visit),
            connection: Rc::clone(connection),
            observer: Rc::clone(&worker.observer),
            reload: Box::pin(visit.changed()),
        }
    }

    /// Its answer.
    pub(super) fn follow(self: Box<Self>, body: ResponseBody) -> Events {
        Events {
            body,
            subscription: self,
        }
    }

    /// Judges it again, if there was a reload since it was judged last.
    fn judge(&mut self, cx: &mut Context<'_>) -> Result<(), Rejection> {
        // INVARIANT: waits for the next reload before it looks, so that none falls between the two.
        while self.reload.as_mut().poll(cx).is_ready() {
            self.reload.set(self.visit.changed());
        }
        let now = || self.observer.now();
        let connection = self.visit.info(now);
        if Rc::ptr_eq(&connection, &self.connection) {
            return Ok(());
        }
        self.connection = connection;
        self.kept
            .judge(&self.connection, &self.members, self.observer.now(), |_| {})
    }
}

impl Events {
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.subscription.judge(cx) {
            Ok(()) => Pin::new(&mut self.body).poll_frame(cx),
            Err(rejection) => {
                let why = match rejection.reason() {
                    None => "the policies that were reloaded deny it".to_owned(),
                    Some(why) => format!("what was reloaded refuses it: {why}"),
                };
                Poll::Ready(Some(Err(BodyError::Ended(why))))
            }
        }
    }
}
