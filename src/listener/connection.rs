//! One client connection, from its first byte to the last: deadlines, in numbered phases.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use ::http::{Request, Response};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::config::Limits;
use crate::gate::{
    self, ClientConnection, ConnectionInfo, EndpointQuery, RecordedBody, SelectError, SnapshotCell,
    Worker,
};
use crate::http::{self, IncomingBody, Service};
use crate::observe::{DropReason, OpenConnection, TlsFailure};
use crate::shutdown::Drain;

use super::client_hello::ClientHello;
use super::connection_limits::ConnectionLimits;
use super::source::ConnectionSource;
use super::state::ListenerState;
use super::tls::tls_failure;
use super::tunnel;

/// The state that the connections of one listener share on one event loop.
pub(super) struct Shared {
    pub(super) state: Arc<SnapshotCell<ListenerState>>,
    pub(super) worker: Rc<Worker>,
    pub(super) limits: Arc<ConnectionLimits>,
    pub(super) http_limits: http::Limits,
    pub(super) drain: Drain,
}

/// The gate, as the HTTP service of one connection.
struct GateService {
    shared: Rc<Shared>,
    connection: Rc<ClientConnection>,
}

/// The part of the limits that the HTTP server enforces.
pub(super) fn http_limits(limits: &Limits) -> http::Limits {
    http::Limits {
        head_bytes: limits.head_bytes,
        head_timeout: limits.head_timeout,
        write_timeout: limits.body_timeout,
        ping_timeout: limits.handshake_timeout,
        concurrent_streams: limits.streams,
        pending_resets: limits.resets,
    }
}

impl Service for GateService {
    type Body = RecordedBody;

    fn handle(
        &self,
        request: Request<IncomingBody>,
    ) -> impl Future<Output = Response<RecordedBody>> {
        gate::handle(&self.shared.worker, &self.connection, request)
    }

    /// The process drains, or a reload has revoked the connection.
    async fn drain(&self) {
        let mut drain = self.shared.drain.clone();
        tokio::select! {
            () = drain.wait() => {}
            () = self.connection.revoked() => {}
        }
    }
}

/// Serves a connection in a task of its own, unless there are too many.
pub(super) fn spawn(tcp: TcpStream, from: SocketAddr, shared: &Rc<Shared>) {
    let observer = &shared.worker.observer;
    match shared.limits.try_acquire() {
        Some(permit) => {
            // Counted here and not in the task: a drain waits for connections that are open.
            let open = (permit, observer.open_connection());
            tokio::task::spawn_local(serve(tcp, from, Rc::clone(shared), open));
        }
        None => observer.counters.connections_refused.increment(),
    }
}

async fn serve(
    mut tcp: TcpStream,
    from: SocketAddr,
    shared: Rc<Shared>,
    _open: (OwnedSemaphorePermit, OpenConnection),
) {
    let (generation, state) = shared.state.load();
    let (worker, limits) = (&shared.worker, &shared.limits);
    let observer = &worker.observer;
    // Responses are written whole: waiting to fill a segment would only delay them.
    let _ = tcp.set_nodelay(true);
    let deadline = Instant::now() + worker.limits.handshake_timeout;

    // 1. The source and the original destination, before TLS.
    let source = ConnectionSource::read(&mut tcp, from, &state, observer, deadline).await;
    let Some(source) = source else { return };
    let client = source.client;
    let _client_permit = match limits.try_acquire_client(client) {
        Ok(permit) => permit,
        Err(limit) => {
            let reason =
                format_args!("{limit} connections of its are open, `connections-per-client`");
            return observer.record_dropped_connection(DropReason::Client, client, reason);
        }
    };

    // 2. The server name.
    let hello = match timeout_at(deadline, ClientHello::read(tcp)).await {
        // On the heap, as the stream below: otherwise the task would reserve room for both.
        Ok(Ok(hello)) => Box::new(hello),
        Ok(Err(error)) => return observer.count_tls_failure(tls_failure(&error)),
        Err(_) => return observer.count_tls_failure(TlsFailure::Timeout),
    };
    let name = hello.server_name();
    let server_name = name.as_deref();
    if let Some(original) = source.original_dst
        && worker.upstream.is_loop(from, original)
    {
        let reason = format_args!(
            "it was going to `{original}` and is the gate's own, or was never meant for another: \
             take the gate's own connections out of the redirect"
        );
        return observer.record_dropped_connection(DropReason::Loop, client, reason);
    }

    // 3. Tunnels.
    if let Some(tunnel) = server_name.and_then(|name| state.endpoints.tunnel(name)) {
        return tunnel::serve(*hello, tunnel, client, worker, shared.drain.clone()).await;
    }

    // 4. The endpoint, and TLS.
    let query = EndpointQuery {
        peer: client,
        vpce_id: source.vpce_id.as_deref(),
        server_name,
    };
    let endpoint = state.endpoints.select_endpoint(&query).map(Arc::clone);
    if let Err(error) = endpoint {
        let (kind, reason) = no_endpoint(error, server_name);
        observer.record_dropped_connection(kind, client, reason);
        let is_served = server_name.is_none_or(|name| state.endpoints.serves(name));
        if error != SelectError::UnknownName || is_served {
            return;
        }
    }
    let permit = timeout_at(deadline, limits.acquire_handshake()).await;
    let Ok(Some(handshake_permit)) = permit else {
        let reason = "no place for its TLS handshake within `handshake-timeout`: `handshakes` others \
                      are under way";
        return observer.record_dropped_connection(DropReason::Handshakes, client, reason);
    };
    let handshake = hello.into_handshake().into_stream(Arc::clone(&state.tls));
    let stream = match timeout_at(deadline, handshake).await {
        Ok(Ok(stream)) => Box::new(stream),
        Ok(Err(error)) => return observer.count_tls_failure(tls_failure(&error)),
        Err(_) => return observer.count_tls_failure(TlsFailure::Timeout),
    };
    drop(handshake_permit);
    // A name that is not served has no certificate: the handshake has already failed with an alert.
    let Ok(endpoint) = endpoint else { return };

    // 5. HTTP.
    let session = stream.get_ref().1;
    let certificates = session.peer_certificates().unwrap_or_default().to_vec();
    let protocol = http::Protocol::from_alpn(session.alpn_protocol());
    let mut connection = ConnectionInfo::new(Arc::clone(&state.endpoints), endpoint, client);
    connection.server_name = name;
    connection.original_destination = source.original_dst;
    connection.certificate_identity = state.endpoints.identify_certificate(&certificates);
    connection.client_certificates = certificates.into();
    let connection = ClientConnection::new(shared.state.clone(), generation, connection);
    let service = GateService {
        shared: Rc::clone(&shared),
        connection: Rc::new(connection),
    };
    http::serve(stream, protocol, &shared.http_limits, service).await;
}

/// The label and the human-readable reason of a connection without an endpoint.
fn no_endpoint(error: SelectError, server_name: Option<&str>) -> (DropReason, String) {
    let name = server_name.map_or("no name".to_owned(), |name| format!("`{name}`"));
    let (kind, reason) = match error {
        SelectError::UnknownEndpoint => {
            let reason = "it came through an endpoint that is not served here";
            return (DropReason::EndpointUnknown, reason.to_owned());
        }
        SelectError::OutsideNetworks => {
            let reason = "its address is in no network of an endpoint of this listener";
            return (DropReason::Network, reason.to_owned());
        }
        SelectError::UnknownName => (
            DropReason::Name,
            "which no endpoint or tunnel that it could mean has",
        ),
        SelectError::Ambiguous => (
            DropReason::EndpointUnclear,
            "and nothing tells which of this listener's endpoints it means",
        ),
    };
    (kind, format!("it asks for {name}, {reason}"))
}
