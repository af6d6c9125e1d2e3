//! Connections kept for the next request, by where they go. Owned by one event loop: no locks.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use http::{Request, Response};
use hyper::client::conn::{TrySendError, http2};
use hyper_util::rt::TokioTimer;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_rustls::client::TlsStream;

use crate::http::{IncomingBody, LocalExecutor, ReadAhead, http1};

use super::connect::Connector;
use super::{Destination, Failure, RequestBody, ResponseBody, Withheld};

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
    /// By the address that clients chose, where they did.
    endpoints: RefCell<HashMap<Option<SocketAddr>, Named>>,
}

/// By the endpoint's name.
type Named = HashMap<Box<str>, Rc<Endpoint>>;

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
    connection: Http1,
    /// When a sweep first met it: requests need not look at the clock.
    since: Option<Instant>,
}

/// An HTTP/1.1 connection.
type Http1 = http1::Client<TlsStream<ReadAhead<TcpStream>>>;

struct Shared {
    sender: http2::SendRequest<RequestBody>,
    streams: Cell<usize>,
    used: Cell<Instant>,
}

/// The right to use a connection until an answer's body has ended.
pub(super) enum Lease {
    Http1 {
        connection: Http1,
        endpoint: Rc<Endpoint>,
        stays: bool,
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

    pub(super) fn connector(&self) -> &Connector {
        &self.connector
    }

    pub(super) async fn send(
        &self,
        to: Destination<'_>,
        exchange: Exchange,
        request: Request<RequestBody>,
        deadline: Duration,
    ) -> Result<Response<ResponseBody>, Failure> {
        let endpoint = self.endpoint(to);
        match exchange {
            Exchange::Http1 => self.send_http1(to, endpoint, request, deadline).await,
            Exchange::Http2 => self.send_http2(to, endpoint, request, deadline).await,
        }
    }

    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let mut endpoints = self.endpoints.borrow_mut();
        endpoints.retain(|_, named| {
            named.retain(|_, endpoint| endpoint.is_in_use(now, self.idle));
            !named.is_empty()
        });
    }

    fn endpoint(&self, to: Destination<'_>) -> Rc<Endpoint> {
        let mut endpoints = self.endpoints.borrow_mut();
        let named = endpoints.entry(to.address).or_default();
        if let Some(endpoint) = named.get(to.name) {
            return Rc::clone(endpoint);
        }
        let endpoint = Rc::new(Endpoint::default());
        named.insert(to.name.into(), Rc::clone(&endpoint));
        endpoint
    }

    async fn send_http1(
        &self,
        to: Destination<'_>,
        endpoint: Rc<Endpoint>,
        request: Request<RequestBody>,
        deadline: Duration,
    ) -> Result<Response<ResponseBody>, Failure> {
        // A kept connection that has closed is passed over before a byte is written to it.
        let mut connection = match endpoint.reuse_http1() {
            Some(connection) => connection,
            None => {
                let stream = self.connector.open(to, Exchange::Http1).await?;
                Http1::new(stream.into_inner(), HEAD_BYTES)
            }
        };
        let reply = connection.send(request, deadline).await?;
        let lease = Lease::Http1 {
            connection,
            endpoint,
            stays: reply.is_persistent,
        };
        let body = ResponseBody::new(reply.body, lease, reply.raw_head);
        Ok(Response::from_parts(reply.parts, body))
    }

    async fn send_http2(
        &self,
        to: Destination<'_>,
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
                        None => (Box::pin(self.open_http2(to, &endpoint)).await?, true),
                    }
                }
            };
            let stream = Stream::open(&shared);
            let mut sender = shared.sender.clone();
            let passed = request.body_mut().passed();
            match answer(deadline, &passed, sender.try_send_request(request)).await {
                Ok(response) => {
                    return Ok(response.map(|body| {
                        ResponseBody::new(IncomingBody::Http2(body), Lease::Http2(stream), None)
                    }));
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

    async fn open_http2(
        &self,
        to: Destination<'_>,
        endpoint: &Rc<Endpoint>,
    ) -> Result<Rc<Shared>, Failure> {
        let stream = self.connector.open(to, Exchange::Http2).await?;
        let (sender, connection) = http2::Builder::new(LocalExecutor)
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .max_header_list_size(HEAD_BYTES as u32)
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

/// Bytes of one answer's head.
const HEAD_BYTES: usize = 64 << 10;
/// Bytes an upstream may send ahead of the client's reading, on one stream.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same on one connection. INVARIANT: as much as all its streams together, or subscribers that
/// stopped reading would starve every other call on the connection.
const CONNECTION_WINDOW: u32 = STREAMS_EACH as u32 * STREAM_WINDOW;
/// How often a busy HTTP/2 upstream must show that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

impl Endpoint {
    /// Closes what has been unused for too long; whether anything is left.
    fn is_in_use(self: &Rc<Endpoint>, now: Instant, idle: Duration) -> bool {
        let lately = |since: Instant| now.duration_since(since) < idle;
        self.http1.borrow_mut().retain_mut(|unused| {
            unused.connection.is_idle() && lately(*unused.since.get_or_insert(now))
        });
        self.http2.borrow_mut().retain(|shared| {
            !shared.sender.is_closed() && (shared.streams.get() > 0 || lately(shared.used.get()))
        });
        Rc::strong_count(self) > 1
            || !self.http1.borrow().is_empty()
            || !self.http2.borrow().is_empty()
    }

    /// A kept connection that is ready for a request.
    fn reuse_http1(&self) -> Option<Http1> {
        let mut unused = self.http1.borrow_mut();
        std::iter::from_fn(|| unused.pop())
            .map(|unused| unused.connection)
            .find(Http1::is_idle)
    }

    fn reuse_http2(&self) -> Option<Rc<Shared>> {
        let mut all = self.http2.borrow_mut();
        all.retain(|shared| !shared.sender.is_closed());
        all.iter()
            .find(|shared| shared.streams.get() < STREAMS_EACH)
            .map(Rc::clone)
    }
}

impl Lease {
    /// The answer has ended: the connection may serve another request.
    pub(super) fn release(self) {
        if let Lease::Http1 {
            connection,
            endpoint,
            stays: true,
        } = self
        {
            connection.release_buffers();
            let unused = Unused {
                connection,
                since: None,
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

impl From<http1::SendError<Withheld>> for Failure {
    fn from(unanswered: http1::SendError<Withheld>) -> Failure {
        match unanswered {
            http1::SendError::Timeout => Failure::ResponseTimeout,
            broken => Failure::Broken(Box::new(broken)),
        }
    }
}

/// Waits for the head of an answer, the deadline long after the last piece of the body has passed.
async fn answer(
    deadline: Duration,
    passed: &Cell<u64>,
    sent: impl Future<
        Output = Result<Response<hyper::body::Incoming>, TrySendError<Request<RequestBody>>>,
    >,
) -> Result<Response<hyper::body::Incoming>, Unanswered> {
    let mut sent = pin!(sent);
    loop {
        let before = passed.get();
        match timeout(deadline, &mut sent).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(mut error)) => {
                return Err(match error.take_message() {
                    Some(request) => Unanswered::HandedBack(request, error.into_error()),
                    None => Unanswered::Failed(Failure::Broken(Box::new(error.into_error()))),
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
