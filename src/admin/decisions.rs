//! `/decisions`: what was decided lately, and what is decided now.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, interval};

use crate::observe::{Follower, News, Recent, RingKind};

/// Which lines, and how.
#[derive(Debug, Default)]
pub(super) struct Query {
    decision: Option<String>,
    principal: Option<String>,
    action: Option<String>,
    resource: Option<String>,
    endpoint: Option<String>,
    limit: Option<usize>,
    /// Go on with what comes.
    pub(super) follow: bool,
}

/// Lines unless the query says how many.
const LINES: usize = 100;
/// Between two signs of life.
const HEARTBEAT: Duration = Duration::from_secs(10);

type Waiting = Pin<Box<dyn Future<Output = (Follower, News)> + Send>>;

/// Server-sent events: one for each line as it comes.
pub(super) struct Events {
    query: Query,
    waiting: Waiting,
    ready: VecDeque<Bytes>,
    heartbeat: Interval,
    _permit: OwnedSemaphorePermit,
}

/// What is read of a line to choose it.
#[derive(Deserialize)]
struct Line<'l> {
    #[serde(borrow)]
    decision: Option<Cow<'l, str>>,
    #[serde(borrow)]
    connection: Option<Cow<'l, str>>,
    #[serde(borrow)]
    action: Option<Cow<'l, str>>,
    #[serde(borrow)]
    resource: Option<Cow<'l, str>>,
    #[serde(borrow)]
    endpoint: Option<Cow<'l, str>>,
    #[serde(borrow)]
    upstream_failure: Option<Cow<'l, str>>,
    #[serde(borrow, default)]
    principal: Principal<'l>,
}

#[derive(Default, Deserialize)]
struct Principal<'l> {
    #[serde(borrow)]
    access_key_id: Option<Cow<'l, str>>,
    #[serde(borrow)]
    account: Option<Cow<'l, str>>,
    #[serde(borrow)]
    arn: Option<Cow<'l, str>>,
}

impl Query {
    /// Reads the part of an address behind its `?`.
    ///
    /// # Errors
    /// What of it is not known, for people.
    pub(super) fn parse(text: &str) -> Result<Query, String> {
        let mut query = Query::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let value = value.into_owned();
            match &*name {
                "decision" if KINDS.contains(&value.as_str()) => query.decision = Some(value),
                "decision" => {
                    return Err(format!("`decision` is none of {}", KINDS.join(", ")));
                }
                "principal" => query.principal = Some(value),
                "action" => query.action = Some(value),
                "resource" => query.resource = Some(value),
                "endpoint" => query.endpoint = Some(value),
                "limit" => match value.parse() {
                    Ok(limit) => query.limit = Some(limit),
                    Err(_) => return Err("`limit` is not a number".to_owned()),
                },
                "follow" => query.follow = true,
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

    /// The last of the lines that are asked for, oldest first.
    pub(super) fn lines(&self, recent: &Recent) -> Vec<u8> {
        let blocks = recent.blocks(self.ring());
        let most = self.limit.unwrap_or(LINES);
        let mut chosen: Vec<&[u8]> = Vec::new();
        for block in blocks.iter().rev() {
            for line in block.rsplit(|byte| *byte == b'\n') {
                if chosen.len() >= most {
                    break;
                }
                if self.takes(line) {
                    chosen.push(line);
                }
            }
        }
        let mut text = Vec::with_capacity(chosen.iter().map(|line| line.len() + 1).sum());
        for line in chosen.into_iter().rev() {
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

    fn takes(&self, line: &[u8]) -> bool {
        let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else {
            return false;
        };
        let told = line.decision.as_deref().or(line.connection.as_deref());
        let decided = match self.decision.as_deref() {
            None => true,
            Some("denied") => told.is_some_and(|told| told.ends_with("-deny")),
            Some("failed") => line.upstream_failure.is_some(),
            Some(kind) => told == Some(kind),
        };
        let contains = |wanted: &Option<String>, found: &[Option<&str>]| {
            let Some(wanted) = wanted else { return true };
            let found = found.iter().flatten();
            let mut found = found.map(|text| text.to_ascii_lowercase());
            found.any(|text| text.contains(&wanted.to_ascii_lowercase()))
        };
        let who = &line.principal;
        let who = [&who.access_key_id, &who.account, &who.arn].map(Option::as_deref);
        decided
            && contains(&self.principal, &who)
            && contains(&self.action, &[line.action.as_deref()])
            && contains(&self.resource, &[line.resource.as_deref()])
            && contains(&self.endpoint, &[line.endpoint.as_deref()])
    }
}

const KINDS: [&str; 9] = [
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

impl Events {
    /// What comes from now on, until the reader goes.
    pub(super) fn new(query: Query, recent: &Arc<Recent>, permit: OwnedSemaphorePermit) -> Events {
        let follower = recent.follow(query.ring());
        Events {
            query,
            waiting: next(follower),
            ready: VecDeque::new(),
            heartbeat: interval(HEARTBEAT),
            _permit: permit,
        }
    }

    fn take(&mut self, news: &News) {
        if news.lost > 0 {
            let lost = format!("event: lost\ndata: {}\n\n", news.lost);
            self.ready.push_back(lost.into());
        }
        for block in &news.blocks {
            let mut events = Vec::new();
            for line in block.split(|byte| *byte == b'\n') {
                if self.query.takes(line) {
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

fn next(mut follower: Follower) -> Waiting {
    Box::pin(async move {
        let news = follower.news().await;
        (follower, news)
    })
}

/// INVARIANT: news is fetched only when what was fetched before has been taken, so that a reader
/// holds up nobody and has no more than a ring's bytes set aside for it.
impl Body for Events {
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
            if let Poll::Ready((follower, news)) = this.waiting.as_mut().poll(context) {
                this.waiting = next(follower);
                this.take(&news);
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
