//! Connections kept for the next request, by endpoint name. Owned by one event loop: no locks.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::TokioTimer;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::executor::LocalExecutor;

use super::connect::Connector;
use super::{Failure, RequestBody, ResponseBody};

/// The HTTP version of one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exchange {
    Http1,
    Http2,
}

/// All connections of one event loop.
pub(super) struct Pool {
    connector: Connector,
    idle: Duration,
    endpoints: RefCell<HashMap<Box<str>, Rc<Endpoint>>>,
}

/// The connections to one endpoint name.
#[derive(Default)]
pub(super) struct Endpoint {
    /// Unused HTTP/1.1 connections, the most lately used last: it is the likeliest to be alive.
    http1: RefCell<Vec<Unused>>,
    http2: RefCell<Vec<Rc<Shared>>>,
    /// Held while an HTTP/2 connection is opened, so that a burst opens one and not one each.
    opening: Mutex<()>,
}

struct Unused {
    sender: http1::SendRequest<RequestBody>,
    since: Instant,
}

struct Shared {
    sender: http2::SendRequest<RequestBody>,
    streams: Cell<usize>,
    used: Cell<Instant>,
}

/// The right to use a connection until an answer's body has ended.
pub(super) enum Lease {
    Http1 {
        sender: http1::SendRequest<RequestBody>,
        endpoint: Rc<Endpoint>,
    },
    Http2(#[expect(dead_code, reason = "held for its drop")] Stream),
}

/// One open stream of a shared connection.
pub(super) struct Stream(Rc<Shared>);

/// Streams opened on one HTTP/2 connection before another is opened. Servers allow 100 at least
/// (RFC 9113 section 6.5.2 asks for no less), and hyper queues what a server does not allow yet.
const STREAMS_EACH: usize = 100;

impl Pool {
    pub(super) fn new(connector: Connector, idle: Duration) -> Pool {
        Pool {
            connector,
            idle,
            endpoints: RefCell::default(),
        }
    }

    pub(super) async fn send(
        &self,
        name: &str,
        exchange: Exchange,
        request: Request<RequestBody>,
        deadline: Duration,
    ) -> Result<Response<ResponseBody>, Failure> {
        let endpoint = self.endpoint(name);
        match exchange {
            Exchange::Http1 => self.send_http1(name, endpoint, request, deadline).await,
            Exchange::Http2 => self.send_http2(name, endpoint, request, deadline).await,
        }
    }

    pub(super) fn sweep(&self) {
        let now = Instant::now();
        self.endpoints.borrow_mut().retain(|_, endpoint| {
            endpoint.http1.borrow_mut().retain(|unused| {
                !unused.sender.is_closed() && now.duration_since(unused.since) < self.idle
            });
            endpoint.http2.borrow_mut().retain(|shared| {
                !shared.sender.is_closed()
                    && (shared.streams.get() > 0
                        || now.duration_since(shared.used.get()) < self.idle)
            });
            Rc::strong_count(endpoint) > 1
                || !endpoint.http1.borrow().is_empty()
                || !endpoint.http2.borrow().is_empty()
        });
    }

    fn endpoint(&self, name: &str) -> Rc<Endpoint> {
        if let Some(endpoint) = self.endpoints.borrow().get(name) {
            return Rc::clone(endpoint);
        }
        let endpoint = Rc::new(Endpoint::default());
        self.endpoints
            .borrow_mut()
            .insert(name.into(), Rc::clone(&endpoint));
        endpoint
    }

    async fn send_http1(
        &self,
        name: &str,
        endpoint: Rc<Endpoint>,
        mut request: Request<RequestBody>,
        deadline: Duration,
    ) -> Result<Response<ResponseBody>, Failure> {
        loop {
            let reused = endpoint.reuse_http1().await;
            let fresh = reused.is_none();
            let mut sender = match reused {
                Some(sender) => sender,
                None => self.open_http1(name).await?,
            };
            let passed = request.body().passed();
            match answer(deadline, &passed, sender.try_send_request(request)).await {
                Ok(response) => {
                    let lease = Lease::Http1 { sender, endpoint };
                    return Ok(response.map(|body| ResponseBody::new(body, lease)));
                }
                // A kept connection that the upstream closed before hyper wrote a byte: hyper
                // hands the request back only then, so that sending it elsewhere sends it once.
                Err(Unanswered::HandedBack(returned, _)) if !fresh => request = returned,
                Err(unanswered) => return Err(unanswered.into()),
            }
        }
    }

    async fn open_http1(&self, name: &str) -> Result<http1::SendRequest<RequestBody>, Failure> {
        let stream = self.connector.open(name, Exchange::Http1).await?;
        let (sender, connection) = http1::Builder::new()
            .preserve_header_case(true)
            .max_buf_size(READ_BUFFER)
            .handshake(stream)
            .await
            .map_err(Failure::Unsent)?;
        drive(connection);
        Ok(sender)
    }

    async fn send_http2(
        &self,
        name: &str,
        endpoint: Rc<Endpoint>,
        mut request: Request<RequestBody>,
        deadline: Duration,
    ) -> Result<Response<ResponseBody>, Failure> {
        loop {
            let (shared, fresh) = match endpoint.reuse_http2() {
                Some(shared) => (shared, false),
                None => {
                    let _opening = endpoint.opening.lock().await;
                    match endpoint.reuse_http2() {
                        Some(shared) => (shared, false),
                        None => (self.open_http2(name, &endpoint).await?, true),
                    }
                }
            };
            let stream = Stream::open(&shared);
            let mut sender = shared.sender.clone();
            let passed = request.body().passed();
            match answer(deadline, &passed, sender.try_send_request(request)).await {
                Ok(response) => {
                    return Ok(response.map(|body| ResponseBody::new(body, Lease::Http2(stream))));
                }
                Err(Unanswered::HandedBack(returned, _)) if !fresh => {
                    endpoint
                        .http2
                        .borrow_mut()
                        .retain(|other| !Rc::ptr_eq(other, &shared));
                    request = returned;
                }
                Err(unanswered) => return Err(unanswered.into()),
            }
        }
    }

    async fn open_http2(&self, name: &str, endpoint: &Rc<Endpoint>) -> Result<Rc<Shared>, Failure> {
        let stream = self.connector.open(name, Exchange::Http2).await?;
        let (sender, connection) = http2::Builder::new(LocalExecutor)
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .max_header_list_size(64 << 10)
            .handshake(stream)
            .await
            .map_err(Failure::Unsent)?;
        drive(connection);
        let shared = Rc::new(Shared {
            sender,
            streams: Cell::new(0),
            used: Cell::new(Instant::now()),
        });
        endpoint.http2.borrow_mut().push(Rc::clone(&shared));
        Ok(shared)
    }
}

/// Bytes read at once from an HTTP/1.1 upstream.
const READ_BUFFER: usize = 64 << 10;
/// Bytes an upstream may send ahead of the client's reading, on one stream.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same on one connection. INVARIANT: as much as all its streams together, or subscribers that
/// stopped reading would starve every other call on the connection.
const CONNECTION_WINDOW: u32 = STREAMS_EACH as u32 * STREAM_WINDOW;
/// How often a busy HTTP/2 upstream must show that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

impl Endpoint {
    /// A kept connection that is ready for a request.
    async fn reuse_http1(&self) -> Option<http1::SendRequest<RequestBody>> {
        loop {
            let mut unused = self.http1.borrow_mut().pop()?;
            if unused.sender.is_ready() {
                return Some(unused.sender);
            }
            // Its last answer has been read but its task has not run since: it is ready at its
            // next turn, or closed.
            let turn = timeout(TURN, poll_fn(|cx| unused.sender.poll_ready(cx)));
            if let Ok(Ok(())) = turn.await {
                return Some(unused.sender);
            }
        }
    }

    fn reuse_http2(&self) -> Option<Rc<Shared>> {
        let mut all = self.http2.borrow_mut();
        all.retain(|shared| !shared.sender.is_closed());
        all.iter()
            .find(|shared| shared.streams.get() < STREAMS_EACH)
            .map(Rc::clone)
    }
}

/// How long a kept connection may take to become ready.
const TURN: Duration = Duration::from_millis(100);

impl Lease {
    /// The answer has ended: the connection may serve another request.
    pub(super) fn release(self) {
        if let Lease::Http1 { sender, endpoint } = self
            && !sender.is_closed()
        {
            let unused = Unused {
                sender,
                since: Instant::now(),
            };
            endpoint.http1.borrow_mut().push(unused);
        }
    }
}

impl Stream {
    fn open(shared: &Rc<Shared>) -> Stream {
        shared.streams.set(shared.streams.get() + 1);
        Stream(Rc::clone(shared))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get().saturating_sub(1));
        self.0.used.set(Instant::now());
    }
}

/// Why there is no answer.
#[expect(
    clippy::large_enum_variant,
    reason = "lives for a moment on a rare path; a box would only add an allocation"
)]
enum Unanswered {
    /// hyper had not begun to send the request and hands it back.
    HandedBack(Request<RequestBody>, hyper::Error),
    Failed(Failure),
}

impl From<Unanswered> for Failure {
    fn from(unanswered: Unanswered) -> Failure {
        match unanswered {
            Unanswered::HandedBack(_, error) => Failure::Unsent(error),
            Unanswered::Failed(failure) => failure,
        }
    }
}

/// Waits for the head of an answer, the deadline long after the last piece of the body has passed.
async fn answer(
    deadline: Duration,
    passed: &Cell<u64>,
    sent: impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>>,
) -> Result<Response<Incoming>, Unanswered> {
    let mut sent = pin!(sent);
    loop {
        let before = passed.get();
        match timeout(deadline, &mut sent).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(mut error)) => {
                return Err(match error.take_message() {
                    Some(request) => Unanswered::HandedBack(request, error.into_error()),
                    None => Unanswered::Failed(Failure::Broken(error.into_error())),
                });
            }
            Err(_) if passed.get() != before => {}
            Err(_) => return Err(Unanswered::Failed(Failure::ResponseTimeout)),
        }
    }
}

/// Runs a connection until it ends. Its failures reach the requests that use it.
fn drive<E>(connection: impl Future<Output = Result<(), E>> + 'static) {
    tokio::task::spawn_local(async move {
        let _ = connection.await;
    });
}
