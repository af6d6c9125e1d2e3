//! Health and metrics, on a loopback port of their own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::observe::Metrics;
use crate::shutdown::Draining;

/// What the admin port shows.
pub struct Admin {
    /// What is counted, and the decision log.
    pub metrics: Metrics,
    /// Tells when the gate stops being ready.
    pub draining: Draining,
}

/// Scrapers and probes at once; more wait.
const CONNECTIONS: usize = 16;
/// For a head, and for an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

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
        let admin = Rc::new(self);
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return Ok(());
            };
            let Ok((tcp, _)) = socket.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let admin = Rc::clone(&admin);
            tokio::task::spawn_local(async move {
                let service = service_fn(|request: Request<Incoming>| {
                    std::future::ready(Ok::<_, Infallible>(admin.answer(&request)))
                });
                let serving = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_TIMEOUT)
                    .serve_connection(TokioIo::new(tcp), service);
                // A scraper that breaks off asks again.
                let _ = serving.await;
                drop(permit);
            });
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET {
            return text(
                StatusCode::METHOD_NOT_ALLOWED,
                "only GET is answered here\n",
            );
        }
        match request.uri().path() {
            "/livez" => text(StatusCode::OK, "ok\n"),
            "/readyz" if self.draining.has_begun() => {
                text(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
            }
            "/readyz" => text(StatusCode::OK, "ok\n"),
            "/metrics" => match self.metrics.page() {
                Ok(page) => {
                    let mut response = text(StatusCode::OK, page);
                    response.headers_mut().insert(CONTENT_TYPE, OPENMETRICS);
                    response
                }
                Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "no metrics\n"),
            },
            _ => text(
                StatusCode::NOT_FOUND,
                "known here are /livez, /readyz and /metrics\n",
            ),
        }
    }
}

const OPENMETRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
