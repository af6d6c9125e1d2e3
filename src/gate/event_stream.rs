//! Event streams that end when a reload denies them.
//!
//! An event stream is allowed when it begins, and stays open for minutes. With `on-reload =
//! "terminate"`, the gate evaluates the request again after each reload: before the next event
//! leaves, and even if no event comes.

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

use super::connection::{ClientConnection, ConnectionInfo};
use super::exchange::Exchange;
use super::request::ParsedRequest;
use super::retained_head::RetainedHead;

/// Evaluates the request of an event stream again after each reload.
pub(super) struct ReloadCheck {
    head: RetainedHead,
    members: Members,
    client: Rc<ClientConnection>,
    /// The connection info that the last evaluation used.
    connection: Rc<ConnectionInfo>,
    observer: Rc<Observer>,
    /// Completes at the next reload.
    reload: Pin<Box<OwnedNotified>>,
}

/// The body of an event stream.
pub(super) struct EventStreamBody {
    body: ResponseBody,
    check: Box<ReloadCheck>,
}

/// Whether the response to a request ends when a reload denies the request.
pub(super) fn is_terminated_by_reloads(
    exchange: Exchange<'_>,
    request: &ParsedRequest<'_, '_>,
) -> bool {
    exchange.worker.on_reload == OnReload::Terminate
        && matches!(request.head.target, Target::Operation(operation) if operation.is_event_stream)
}

impl ReloadCheck {
    pub(super) fn new(exchange: Exchange<'_>, head: RetainedHead, members: Members) -> ReloadCheck {
        let Exchange {
            worker,
            client,
            connection,
        } = exchange;
        ReloadCheck {
            head,
            members,
            client: Rc::clone(client),
            connection: Rc::clone(connection),
            observer: Rc::clone(&worker.observer),
            reload: Box::pin(client.changed()),
        }
    }

    /// Evaluates the request again, if the configuration was reloaded since the last evaluation.
    fn check(&mut self, cx: &mut Context<'_>) -> Result<(), Rejection> {
        // INVARIANT: subscribes to the next reload before it loads the snapshot: it misses none.
        while self.reload.as_mut().poll(cx).is_ready() {
            self.reload.set(self.client.changed());
        }
        let connection = self.client.info(|| self.observer.now());
        if Rc::ptr_eq(&connection, &self.connection) {
            return Ok(());
        }
        self.connection = connection;
        let now = self.observer.now();
        self.head
            .reevaluate(&self.connection, &self.members, now, |_| {})
    }
}

impl EventStreamBody {
    pub(super) fn new(body: ResponseBody, check: Box<ReloadCheck>) -> EventStreamBody {
        EventStreamBody { body, check }
    }

    /// The upstream's response body.
    pub(super) fn upstream(&self) -> &ResponseBody {
        &self.body
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.check.check(cx) {
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
