//! The connection pool of one event loop: keep-alive connections by destination, without locks.
//!
//! No retry: a request is sent once. Only a request that hyper returns before it sent a byte goes to
//! another connection.

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
use tokio::time::{Instant, timeout};

use crate::http::{IncomingBody, LocalExecutor, http1};

use super::connector::{Connector, HttpVersion};
use super::error::UpstreamError;
use super::lease::{ActiveStream, Endpoint, Http1Connection, Http2Connection, Lease, MAX_STREAMS};
use super::request_body::{BodyAborted, RequestBody};
use super::response_body::ResponseBody;
use super::settings::Destination;

/// The connections of one event loop.
pub(super) struct Pool {
    connector: Connector,
    idle_timeout: Duration,
    /// By the original destination of the client's connection, if there is one.
    endpoints: RefCell<HashMap<Option<SocketAddr>, EndpointsByName>>,
}

type EndpointsByName = HashMap<Box<str>, Rc<Endpoint>>;

impl Pool {
    pub(super) fn new(connector: Connector, idle_timeout: Duration) -> Pool {
        Pool {
            connector,
            idle_timeout,
            endpoints: RefCell::default(),
        }
    }

    pub(super) fn connector(&self) -> &Connector {
        &self.connector
    }

    pub(super) async fn send(
        &self,
        to: Destination<'_>,
        version: HttpVersion,
        request: Request<RequestBody>,
        response_timeout: Duration,
    ) -> Result<Response<ResponseBody>, UpstreamError> {
        let endpoint = self.endpoint(to);
        match version {
            HttpVersion::Http1 => {
                self.send_http1(to, endpoint, request, response_timeout)
                    .await
            }
            HttpVersion::Http2 => {
                self.send_http2(to, endpoint, request, response_timeout)
                    .await
            }
        }
    }

    pub(super) fn close_idle(&self) {
        let now = Instant::now();
        let mut endpoints = self.endpoints.borrow_mut();
        endpoints.retain(|_, named| {
            named.retain(|_, endpoint| endpoint.close_idle(now, self.idle_timeout));
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
        response_timeout: Duration,
    ) -> Result<Response<ResponseBody>, UpstreamError> {
        // A pooled connection that has closed is skipped before a byte is written to it.
        let mut connection = match endpoint.take_http1() {
            Some(connection) => connection,
            None => {
                let stream = self.connector.open(to, HttpVersion::Http1).await?;
                Http1Connection::new(stream.into_inner(), MAX_HEAD_BYTES)
            }
        };
        let reply = connection.send(request, response_timeout).await?;
        let lease = Lease::Http1 {
            connection,
            endpoint,
            keep_alive: reply.is_persistent,
        };
        let body = ResponseBody::new(reply.body, lease, reply.raw_head);
        Ok(Response::from_parts(reply.parts, body))
    }

    async fn send_http2(
        &self,
        to: Destination<'_>,
        endpoint: Rc<Endpoint>,
        mut request: Request<RequestBody>,
        response_timeout: Duration,
    ) -> Result<Response<ResponseBody>, UpstreamError> {
        loop {
            let (connection, is_new) = match endpoint.http2() {
                Some(connection) => (connection, false),
                None => {
                    let _connecting = endpoint.connecting.lock().await;
                    match endpoint.http2() {
                        Some(connection) => (connection, false),
                        None => (Box::pin(self.open_http2(to, &endpoint)).await?, true),
                    }
                }
            };
            let stream = ActiveStream::open(&connection);
            let mut sender = connection.sender.clone();
            let progress = request.body_mut().progress();
            let sent = sender.try_send_request(request);
            match receive_head(response_timeout, &progress, sent).await {
                Ok(response) => {
                    return Ok(response.map(|body| {
                        ResponseBody::new(IncomingBody::Http2(body), Lease::Http2(stream), None)
                    }));
                }
                Err(SendError::NotSent(returned, _)) if !is_new => {
                    endpoint.remove_http2(&connection);
                    request = returned;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn open_http2(
        &self,
        to: Destination<'_>,
        endpoint: &Rc<Endpoint>,
    ) -> Result<Rc<Http2Connection>, UpstreamError> {
        let stream = self.connector.open(to, HttpVersion::Http2).await?;
        let (sender, connection) = http2::Builder::new(LocalExecutor)
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .max_header_list_size(MAX_HEAD_BYTES as u32)
            .handshake(stream)
            .await
            .map_err(UpstreamError::NotSent)?;
        spawn_connection(connection);
        Ok(endpoint.add_http2(sender))
    }
}

/// The most bytes of a response's head.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// The HTTP/2 flow-control window of one stream: bytes an upstream may send before the client reads.
const STREAM_WINDOW: u32 = 256 << 10;
/// The window of one connection. INVARIANT: the windows of all its streams together, or subscribers
/// that do not read would starve every other call on the connection.
const CONNECTION_WINDOW: u32 = MAX_STREAMS as u32 * STREAM_WINDOW;
/// Interval and timeout of HTTP/2 keep-alive pings on a connection with streams.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// The reason that there is no response.
#[expect(
    clippy::large_enum_variant,
    reason = "lives for a moment on a rare path; a box would only add an allocation"
)]
enum SendError {
    /// hyper has sent none of the request, and returns it.
    NotSent(Request<RequestBody>, hyper::Error),
    Failed(UpstreamError),
}

impl From<SendError> for UpstreamError {
    fn from(error: SendError) -> UpstreamError {
        match error {
            SendError::NotSent(_, error) => UpstreamError::NotSent(error),
            SendError::Failed(error) => error,
        }
    }
}

impl From<http1::SendError<BodyAborted>> for UpstreamError {
    fn from(error: http1::SendError<BodyAborted>) -> UpstreamError {
        match error {
            http1::SendError::Timeout => UpstreamError::ResponseTimeout,
            error => UpstreamError::ConnectionLost(Box::new(error)),
        }
    }
}

/// Waits for the head of a response. The timeout restarts with every chunk of the request's body.
async fn receive_head(
    response_timeout: Duration,
    progress: &Cell<u64>,
    sent: impl Future<
        Output = Result<Response<hyper::body::Incoming>, TrySendError<Request<RequestBody>>>,
    >,
) -> Result<Response<hyper::body::Incoming>, SendError> {
    let mut sent = pin!(sent);
    loop {
        let before = progress.get();
        match timeout(response_timeout, &mut sent).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(mut error)) => {
                return Err(match error.take_message() {
                    Some(request) => SendError::NotSent(request, error.into_error()),
                    None => SendError::Failed(UpstreamError::ConnectionLost(Box::new(
                        error.into_error(),
                    ))),
                });
            }
            Err(_) if progress.get() != before => {}
            Err(_) => return Err(SendError::Failed(UpstreamError::ResponseTimeout)),
        }
    }
}

/// Runs a connection to its end. Its errors reach the requests that use it.
fn spawn_connection<E>(connection: impl Future<Output = Result<(), E>> + 'static) {
    tokio::task::spawn_local(async move {
        let _ = connection.await;
    });
}
