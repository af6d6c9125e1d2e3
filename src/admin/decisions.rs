//! `/decisions`: recent decisions, and an event stream (server-sent events) of new ones.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, interval};

use crate::observe::{Follower, LinePrincipal, LogLine, RecentLines, RingKind, Update};

/// The query of a request: a filter of lines, and how to send them.
#[derive(Debug, Default)]
pub(super) struct Query {
    decision: Option<String>,
    principal: Option<String>,
    action: Option<String>,
    resource: Option<String>,
    endpoint: Option<String>,
    limit: Option<usize>,
    /// Whether the response continues with new lines.
    pub(super) follows: bool,
}

/// The number of lines, unless the query sets a limit.
const DEFAULT_LIMIT: usize = 100;
/// The interval of comments that keep an idle event stream alive.
const HEARTBEAT: Duration = Duration::from_secs(10);

type NextUpdate = Pin<Box<dyn Future<Output = (Follower, Update)> + Send>>;

/// Server-sent events: one for each new line.
pub(super) struct EventStream {
    query: Query,
    next: NextUpdate,
    ready: VecDeque<Bytes>,
    heartbeat: Interval,
    _permit: OwnedSemaphorePermit,
}

impl Query {
    /// Parses the query of a URL.
    ///
    /// # Errors
    /// The part of the query that is unknown, for people.
    pub(super) fn parse(text: &str) -> Result<Query, String> {
        let mut query = Query::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let value = value.into_owned();
            match &*name {
                "decision" if DECISIONS.contains(&value.as_str()) => query.decision = Some(value),
                "decision" => {
                    return Err(format!("`decision` is none of {}", DECISIONS.join(", ")));
                }
                "principal" => query.principal = Some(value),
                "action" => query.action = Some(value),
                "resource" => query.resource = Some(value),
                "endpoint" => query.endpoint = Some(value),
                "limit" => match value.parse() {
                    Ok(limit) => query.limit = Some(limit),
                    Err(_) => return Err("`limit` is not a number".to_owned()),
                },
                "follow" => query.follows = true,
                _ => {
                    return Err(
                        "known are decision, principal, action, resource, endpoint, limit, follow"
                            .to_owned(),
                    );
                }
            }
        }
        Ok(query)
    }

    /// The last lines that match, oldest first.
    pub(super) fn lines(&self, recent: &RecentLines) -> Vec<u8> {
        let blocks = recent.blocks(self.ring());
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        let mut matching: Vec<&[u8]> = Vec::new();
        for block in blocks.iter().rev() {
            for line in block.rsplit(|byte| *byte == b'\n') {
                if matching.len() >= limit {
                    break;
                }
                if self.matches(line) {
                    matching.push(line);
                }
            }
        }
        let mut text = Vec::with_capacity(matching.iter().map(|line| line.len() + 1).sum());
        for line in matching.into_iter().rev() {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
        text
    }

    fn ring(&self) -> RingKind {
        match self.decision.as_deref() {
            None | Some("allow" | "tunnel") => RingKind::All,
            Some(_) => RingKind::NonAllowed,
        }
    }

    fn matches(&self, line: &[u8]) -> bool {
        let Ok(line) = LogLine::parse(line) else {
            return false;
        };
        let decision = line.decision.as_deref().or(line.connection.as_deref());
        let matches_decision = match self.decision.as_deref() {
            None => true,
            Some("denied") => decision.is_some_and(|it| it.ends_with("-deny")),
            Some("failed") => line.upstream_failure.is_some(),
            Some(wanted) => decision == Some(wanted),
        };
        let contains = |wanted: &Option<String>, found: &[Option<&str>]| {
            let Some(wanted) = wanted else { return true };
            let found = found.iter().flatten();
            let mut found = found.map(|text| text.to_ascii_lowercase());
            found.any(|text| text.contains(&wanted.to_ascii_lowercase()))
        };
        let LinePrincipal {
            access_key_id,
            account,
            arn,
        } = &line.principal;
        let principal = [access_key_id, account, arn].map(Option::as_deref);
        matches_decision
            && contains(&self.principal, &principal)
            && contains(&self.action, &[line.action.as_deref()])
            && contains(&self.resource, &[line.resource.as_deref()])
            && contains(&self.endpoint, &[line.endpoint.as_deref()])
    }
}

const DECISIONS: [&str; 9] = [
    "allow",
    "denied",
    "explicit-deny",
    "implicit-deny",
    "refused",
    "cancelled",
    "failed",
    "dropped",
    "tunnel",
];

impl EventStream {
    /// Streams the new lines until the client disconnects.
    pub(super) fn new(
        query: Query,
        recent: &Arc<RecentLines>,
        permit: OwnedSemaphorePermit,
    ) -> EventStream {
        let follower = recent.follow(query.ring());
        EventStream {
            query,
            next: next_update(follower),
            ready: VecDeque::new(),
            heartbeat: interval(HEARTBEAT),
            _permit: permit,
        }
    }

    fn push(&mut self, update: &Update) {
        if update.missed > 0 {
            let event = format!("event: lost\ndata: {}\n\n", update.missed);
            self.ready.push_back(event.into());
        }
        for block in &update.blocks {
            let mut events = Vec::new();
            for line in block.split(|byte| *byte == b'\n') {
                if self.query.matches(line) {
                    events.extend_from_slice(b"data: ");
                    events.extend_from_slice(line);
                    events.extend_from_slice(b"\n\n");
                }
            }
            if !events.is_empty() {
                self.ready.push_back(events.into());
            }
        }
    }
}

fn next_update(mut follower: Follower) -> NextUpdate {
    Box::pin(async move {
        let update = follower.next_update().await;
        (follower, update)
    })
}

/// INVARIANT (backpressure): the stream reads the next update when the client has taken the
/// previous one, so that a client delays no one and buffers no more than a ring's bytes.
impl Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        loop {
            if let Some(ready) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(ready))));
            }
            if let Poll::Ready((follower, update)) = this.next.as_mut().poll(context) {
                this.next = next_update(follower);
                this.push(&update);
                continue;
            }
            return match this.heartbeat.poll_tick(context) {
                Poll::Ready(_) => {
                    Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b": alive\n\n")))))
                }
                Poll::Pending => Poll::Pending,
            };
        }
    }
}
