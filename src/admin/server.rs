//! The server of the admin port: HTTP/1.1, with TLS if configured, a connection limit and timeouts.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutWriter;
use tokio_rustls::TlsAcceptor;

use crate::observe::Metrics;
use crate::shutdown::Drain;

use super::control::Control;
use super::guard::Guard;
use super::routes::Router;

/// The admin port: metrics, control of the gate, and access.
pub struct Admin {
    /// The metrics and the decision log.
    pub metrics: Metrics,
    /// The drain, which ends the gate's readiness.
    pub drain: Drain,
    /// Reload, drain and status of the gate.
    pub control: Arc<dyn Control>,
    /// The protection of the port.
    pub access: Access,
}

/// The protection of the port.
pub struct Access {
    /// Decides which clients may use the port.
    pub guard: Guard,
    /// TLS, if configured.
    pub tls: Option<Arc<ServerConfig>>,
}

/// The connection limit; more connections wait.
const MAX_CONNECTIONS: usize = 64;
/// The timeout of a TLS handshake, of a request's head, of an idle connection, and of a write to a
/// client that does not read.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The limit of a request's head, in bytes.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Binds the admin port.
///
/// # Errors
/// If the system refuses the address.
pub fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = std::net::TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl Admin {
    /// Serves until the future is dropped.
    ///
    /// # Errors
    /// If the event loop cannot register the socket.
    pub async fn run(self, socket: std::net::TcpListener) -> std::io::Result<()> {
        let socket = TcpListener::from_std(socket)?;
        let Access { guard, tls } = self.access;
        let tls = tls.map(TlsAcceptor::from);
        let router = Router::new(self.metrics, self.drain, self.control, guard);
        let router = Rc::new(router);
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return Ok(());
            };
            let Ok((tcp, _)) = socket.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let (router, tls) = (Rc::clone(&router), tls.clone());
            tokio::task::spawn_local(async move {
                accept(tcp, tls, router).await;
                drop(permit);
            });
        }
    }
}

async fn accept(tcp: TcpStream, tls: Option<TlsAcceptor>, router: Rc<Router>) {
    let Some(tls) = tls else {
        return serve(tcp, false, router).await;
    };
    if let Ok(Ok(stream)) = timeout(TIMEOUT, tls.accept(tcp)).await {
        // rustls has verified any certificate that the client sent.
        let has_certificate = stream.get_ref().1.peer_certificates().is_some();
        serve(stream, has_certificate, router).await;
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    has_certificate: bool,
    router: Rc<Router>,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let (head, _) = request.into_parts();
        std::future::ready(Ok::<_, Infallible>(router.respond(&head, has_certificate)))
    });
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(TIMEOUT));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    // Errors are the client's: the client broke the connection.
    let _ = connection.await;
}
