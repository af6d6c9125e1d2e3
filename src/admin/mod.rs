//! Health, metrics, decisions, control and the page, on a port of their own.

mod answer;
mod control;
mod decisions;
mod guard;
mod page;
mod patience;

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
use tokio_rustls::TlsAcceptor;

use crate::observe::Metrics;
use crate::shutdown::Drain;

use answer::Answering;
use patience::Patience;

pub use control::{Control, ListenerStatus, PolicyStatus, ReloadStatus, Status};
pub use guard::Guard;

/// What the admin port shows, and to whom.
pub struct Admin {
    /// What is counted, and the decision log.
    pub metrics: Metrics,
    /// Tells when the gate stops being ready.
    pub draining: Drain,
    /// What it can do.
    pub control: Arc<dyn Control>,
    /// How it is protected.
    pub access: Access,
}

/// How the port is protected.
pub struct Access {
    /// Who may use it.
    pub guard: Guard,
    /// With TLS.
    pub tls: Option<Arc<ServerConfig>>,
}

/// Connections at once; more wait.
const CONNECTIONS: usize = 64;
/// For a TLS handshake, for a head, and for an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a head.
const HEAD: usize = 16 << 10;

/// Binds the admin port.
///
/// # Errors
/// What the system says.
pub fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = std::net::TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl Admin {
    /// Serves until it is dropped.
    ///
    /// # Errors
    /// When the socket cannot be handed to the event loop.
    pub async fn run(self, socket: std::net::TcpListener) -> std::io::Result<()> {
        let socket = TcpListener::from_std(socket)?;
        let tls = self.access.tls.clone().map(TlsAcceptor::from);
        let answering = Rc::new(Answering::new(self));
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return Ok(());
            };
            let Ok((tcp, _)) = socket.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let (answering, tls) = (Rc::clone(&answering), tls.clone());
            tokio::task::spawn_local(async move {
                serve(tcp, tls, answering).await;
                drop(permit);
            });
        }
    }
}

async fn serve(tcp: TcpStream, tls: Option<TlsAcceptor>, answering: Rc<Answering>) {
    let Some(tls) = tls else {
        return speak(tcp, false, answering).await;
    };
    if let Ok(Ok(stream)) = timeout(HEAD_TIMEOUT, tls.accept(tcp)).await {
        // One that is shown has been verified.
        let certified = stream.get_ref().1.peer_certificates().is_some();
        speak(stream, certified, answering).await;
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    certified: bool,
    answering: Rc<Answering>,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let (head, _) = request.into_parts();
        std::future::ready(Ok::<_, Infallible>(answering.answer(&head, certified)))
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(Patience::new(stream)), service);
    // Who breaks off asks again.
    let _ = serving.await;
}
