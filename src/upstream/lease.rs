//! Leases of upstream connections: idle connections, HTTP/2 streams, and their return to the pool.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use hyper::client::conn::http2;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use crate::http::{ReadAhead, http1};

use super::request_body::RequestBody;

/// The connections to one endpoint name.
#[derive(Default)]
pub(super) struct Endpoint {
    /// Idle HTTP/1.1 connections, the most recently used last: it is the likeliest to be alive.
    http1: RefCell<Vec<IdleConnection>>,
    http2: RefCell<Vec<Rc<Http2Connection>>>,
    /// Locked while an HTTP/2 connection is opened, so that a burst opens one and not many.
    pub(super) connecting: Mutex<()>,
}

/// An HTTP/1.1 connection without a request.
struct IdleConnection {
    connection: Http1Connection,
    /// When a sweep first saw the connection: requests do not read the clock.
    idle_since: Option<Instant>,
}

/// An HTTP/1.1 connection.
pub(super) type Http1Connection = http1::Client<TlsStream<ReadAhead<TcpStream>>>;

/// An HTTP/2 connection, which several requests share.
pub(super) struct Http2Connection {
    pub(super) sender: http2::SendRequest<RequestBody>,
    streams: Cell<usize>,
    last_used: Cell<Instant>,
}

/// The lease of a connection, until the end of a response's body.
pub(super) enum Lease {
    Http1 {
        connection: Http1Connection,
        endpoint: Rc<Endpoint>,
        keep_alive: bool,
    },
    Http2(#[expect(dead_code, reason = "held for its drop")] ActiveStream),
}

/// An open stream of an HTTP/2 connection.
pub(super) struct ActiveStream(Rc<Http2Connection>);

/// The most streams on one HTTP/2 connection. Servers allow 100 at least (RFC 9113 section 6.5.2
/// recommends no less), and hyper queues the streams above the server's limit.
pub(super) const MAX_STREAMS: usize = 100;

impl Endpoint {
    /// Closes connections that were idle for too long. Returns whether any are left or in use.
    pub(super) fn close_idle(self: &Rc<Endpoint>, now: Instant, timeout: Duration) -> bool {
        let is_recent = |since: Instant| now.duration_since(since) < timeout;
        self.http1.borrow_mut().retain_mut(|idle| {
            idle.connection.is_idle() && is_recent(*idle.idle_since.get_or_insert(now))
        });
        self.http2.borrow_mut().retain(|connection| {
            !connection.sender.is_closed()
                && (connection.streams.get() > 0 || is_recent(connection.last_used.get()))
        });
        Rc::strong_count(self) > 1
            || !self.http1.borrow().is_empty()
            || !self.http2.borrow().is_empty()
    }

    /// Takes an idle HTTP/1.1 connection that is still open.
    pub(super) fn take_http1(&self) -> Option<Http1Connection> {
        let mut idle = self.http1.borrow_mut();
        std::iter::from_fn(|| idle.pop())
            .map(|idle| idle.connection)
            .find(Http1Connection::is_idle)
    }

    /// An HTTP/2 connection that is open and has room for a stream.
    pub(super) fn http2(&self) -> Option<Rc<Http2Connection>> {
        let mut all = self.http2.borrow_mut();
        all.retain(|connection| !connection.sender.is_closed());
        all.iter()
            .find(|connection| connection.streams.get() < MAX_STREAMS)
            .map(Rc::clone)
    }

    /// Adds a new HTTP/2 connection.
    pub(super) fn add_http2(&self, sender: http2::SendRequest<RequestBody>) -> Rc<Http2Connection> {
        let connection = Rc::new(Http2Connection {
            sender,
            streams: Cell::new(0),
            last_used: Cell::new(Instant::now()),
        });
        self.http2.borrow_mut().push(Rc::clone(&connection));
        connection
    }

    /// Removes an HTTP/2 connection from the pool. Its open streams continue to their end.
    pub(super) fn remove_http2(&self, connection: &Rc<Http2Connection>) {
        let mut all = self.http2.borrow_mut();
        all.retain(|other| !Rc::ptr_eq(other, connection));
    }
}

impl Lease {
    /// Returns the connection to the pool at the end of a response.
    pub(super) fn release(self) {
        if let Lease::Http1 {
            connection,
            endpoint,
            keep_alive: true,
        } = self
        {
            connection.release_buffers();
            endpoint.http1.borrow_mut().push(IdleConnection {
                connection,
                idle_since: None,
            });
        }
    }
}

impl ActiveStream {
    pub(super) fn open(connection: &Rc<Http2Connection>) -> ActiveStream {
        connection.streams.set(connection.streams.get() + 1);
        ActiveStream(Rc::clone(connection))
    }
}

impl Drop for ActiveStream {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get().saturating_sub(1));
        self.0.last_used.set(Instant::now());
    }
}
