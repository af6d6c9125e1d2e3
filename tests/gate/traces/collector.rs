//! A collector of traces (OTLP over HTTP) that records what it receives.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

pub struct Collector {
    address: SocketAddr,
    deliveries: Arc<Mutex<Vec<Delivery>>>,
    connections: Arc<Mutex<usize>>,
}

/// One request to the collector.
#[derive(Clone)]
pub struct Delivery {
    pub path: String,
    pub headers: HeaderMap,
    pub bytes: Bytes,
    pub message: ExportTraceServiceRequest,
}

/// How the collector responds to a delivery.
pub enum Response {
    Status(u16, Vec<u8>),
    /// Never.
    Nothing,
    /// Closes the connection.
    End,
}

/// The response to each delivery, by its number.
pub type Responses = fn(usize) -> Response;

/// Accepts everything.
pub const ACCEPT: Responses = |_| Response::Status(200, Vec::new());
/// Never responds.
pub const HANG: Responses = |_| Response::Nothing;

#[derive(Clone)]
struct Service {
    deliveries: Arc<Mutex<Vec<Delivery>>>,
    responses: Responses,
}

impl Collector {
    pub fn start(responses: Responses) -> Collector {
        Collector::at(TcpListener::bind("127.0.0.1:0").unwrap(), responses, None)
    }

    /// Serves on a bound socket, with TLS if given.
    pub fn at(
        socket: TcpListener,
        responses: Responses,
        tls: Option<rustls::ServerConfig>,
    ) -> Collector {
        socket.set_nonblocking(true).unwrap();
        let service = Service {
            deliveries: Arc::default(),
            responses,
        };
        let collector = Collector {
            address: socket.local_addr().unwrap(),
            deliveries: Arc::clone(&service.deliveries),
            connections: Arc::default(),
        };
        let connections = Arc::clone(&collector.connections);
        let tls = tls.map(|tls| TlsAcceptor::from(Arc::new(tls)));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let socket = tokio::net::TcpListener::from_std(socket).unwrap();
                while let Ok((tcp, _)) = socket.accept().await {
                    *connections.lock().unwrap() += 1;
                    let (service, tls) = (service.clone(), tls.clone());
                    tokio::spawn(async move {
                        match tls {
                            None => service.serve(tcp).await,
                            Some(tls) => {
                                if let Ok(stream) = tls.accept(tcp).await {
                                    service.serve(stream).await;
                                }
                            }
                        }
                    });
                }
            });
        });
        collector
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A `[traces]` table for this collector, with more settings.
    pub fn table(&self, settings: &str) -> String {
        format!(
            "[traces]\nendpoint = \"http://{}/v1/traces\"\n{settings}\n",
            self.address
        )
    }

    pub fn deliveries(&self) -> Vec<Delivery> {
        self.deliveries.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Span> {
        let deliveries = self.deliveries();
        let resources = deliveries
            .iter()
            .flat_map(|delivery| &delivery.message.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// Waits for this many deliveries.
    pub fn wait(&self, deliveries: usize) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.deliveries().len() < deliveries {
            assert!(Instant::now() < deadline, "{deliveries} deliveries");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Service {
    async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(|request: http::Request<Incoming>| async move {
            let (head, body) = request.into_parts();
            let bytes = body.collect().await.unwrap().to_bytes();
            let message = ExportTraceServiceRequest::decode(bytes.clone()).unwrap();
            let number = {
                let mut deliveries = self.deliveries.lock().unwrap();
                deliveries.push(Delivery {
                    path: head.uri.to_string(),
                    headers: head.headers,
                    bytes,
                    message,
                });
                deliveries.len() - 1
            };
            match (self.responses)(number) {
                Response::Status(status, body) => {
                    let response = http::Response::builder().status(status);
                    Ok(response.body(Full::new(Bytes::from(body))).unwrap())
                }
                Response::Nothing => std::future::pending().await,
                Response::End => Err(std::io::Error::other("as the test wants")),
            }
        });
        let http = hyper::server::conn::http1::Builder::new();
        let _ = http.serve_connection(TokioIo::new(stream), service).await;
    }
}

/// The value of an attribute as text, a number in decimal.
pub fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match found.value.clone().unwrap().value.unwrap() {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    })
}
