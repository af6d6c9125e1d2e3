//! Sockets, permits, who connected and where to, and TLS: everything before HTTP.

mod hello;
mod leaf;
mod origin;
mod permits;
mod proxy;
mod tls;
mod tunnel;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, Response};
use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, sleep, timeout_at};

use crate::config::{Intercept, Limits, ProxyProtocol};
use crate::gate::{
    self, ClientConnection, ConnectionInfo, EndpointQuery, ListenerEndpoints, RecordedBody,
    SelectError, SnapshotCell, SnapshotSource, Worker,
};
use crate::http::{self, IncomingBody, Service};
use crate::observe::{DropReason, OpenConnection, TlsFailure};
use crate::shutdown::Drain;

pub use leaf::{Authority, AuthorityError};
pub use permits::Permits;
pub use proxy::{Announced, Malformed};
pub use tls::{Certificates, clients_from_files, server_config};

use hello::Hello;

/// A bound socket with what it serves. Every event loop has one of its own on the same address.
pub struct Listener {
    socket: std::net::TcpListener,
    door: Arc<SnapshotCell<Door>>,
}

/// What a listener serves, and to whom.
pub struct Door {
    /// The endpoints, and the names they answer to.
    pub site: Arc<ListenerEndpoints>,
    /// The certificates.
    pub tls: Arc<ServerConfig>,
    /// Load balancers that say who their clients are.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// How connections that were meant for another address come here.
    pub intercept: Option<Intercept>,
}

/// Who connected, and where to.
struct Origin {
    /// The client.
    peer: IpAddr,
    /// The VPC endpoint, if the load balancer names it.
    vpce: Option<String>,
    /// Where the client connected to, if it was not here.
    destination: Option<SocketAddr>,
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Binds an address so that several sockets may share it, one for each event loop.
///
/// # Errors
/// What the system says: the address is in use, is not one of this machine's, needs a capability
/// (`CAP_NET_ADMIN` for [`Intercept::Tproxy`]).
pub fn bind(
    address: SocketAddr,
    intercept: Option<Intercept>,
) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if intercept == Some(Intercept::Tproxy) {
        match address {
            SocketAddr::V4(_) => socket.set_ip_transparent_v4(true)?,
            SocketAddr::V6(_) => socket.set_ip_transparent_v6(true)?,
        }
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl SnapshotSource for SnapshotCell<Door> {
    fn generation(&self) -> u64 {
        SnapshotCell::generation(self)
    }

    fn load(&self) -> (u64, Arc<ListenerEndpoints>) {
        let (generation, door) = self.load();
        (generation, Arc::clone(&door.site))
    }

    fn changed(&self) -> OwnedNotified {
        SnapshotCell::changed(self)
    }
}

impl Listener {
    /// A listener on a socket that [`bind`] has bound.
    pub fn new(socket: std::net::TcpListener, door: Arc<SnapshotCell<Door>>) -> Listener {
        Listener { socket, door }
    }

    /// Accepts until the drain begins.
    ///
    /// # Errors
    /// When the socket cannot be handed to the event loop.
    pub async fn run(
        self,
        worker: Rc<Worker>,
        permits: Arc<Permits>,
        mut drain: Drain,
    ) -> io::Result<()> {
        let waiting = self.socket.try_clone()?;
        let socket = TcpListener::from_std(self.socket)?;
        let shared = Rc::new(Shared {
            http_limits: http_limits(&worker.limits),
            door: self.door,
            worker,
            permits,
            drain: drain.clone(),
        });
        let begin = |tcp, from| match shared.permits.take() {
            Some(permit) => {
                // Opened at once, not when the task first runs: a drain waits for what is open.
                let held = (permit, shared.worker.observer.open_connection());
                let connection = serve(tcp, from, Rc::clone(&shared), held);
                tokio::task::spawn_local(connection);
            }
            None => shared
                .worker
                .observer
                .counters
                .connections_refused
                .increment(),
        };
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = drain.wait() => break,
            };
            match accepted {
                Ok((tcp, from)) => begin(tcp, from),
                Err(error) => pause_after(&error).await,
            }
        }
        // Who has connected and not been accepted would be reset when the socket closes.
        for _ in 0..BACKLOG {
            let Ok((tcp, from)) = waiting.accept() else {
                break;
            };
            tcp.set_nonblocking(true)?;
            begin(TcpStream::from_std(tcp)?, from);
        }
        Ok(())
    }
}

/// What the connections of one listener on one event loop share.
struct Shared {
    door: Arc<SnapshotCell<Door>>,
    worker: Rc<Worker>,
    permits: Arc<Permits>,
    http_limits: http::Limits,
    drain: Drain,
}

fn http_limits(limits: &Limits) -> http::Limits {
    http::Limits {
        head_bytes: limits.head_bytes,
        head_timeout: limits.head_timeout,
        write_timeout: limits.body_timeout,
        ping_timeout: limits.handshake_timeout,
        concurrent_streams: limits.streams,
        pending_resets: limits.resets,
    }
}

/// The gate, as the HTTP server of one connection calls it.
struct GateService {
    shared: Rc<Shared>,
    visit: Rc<ClientConnection>,
}

impl Service for GateService {
    type Body = RecordedBody;

    fn handle(
        &self,
        request: Request<IncomingBody>,
    ) -> impl Future<Output = Response<RecordedBody>> {
        gate::handle(&self.shared.worker, &self.visit, request)
    }

    /// The process drains, or a reload took away what the connection was accepted under.
    async fn drain(&self) {
        let mut drain = self.shared.drain.clone();
        tokio::select! {
            () = drain.wait() => {}
            () = self.visit.revoked() => {}
        }
    }
}

/// One client connection, from its first byte to its last. It holds its permit and its count until
/// it ends.
async fn serve(
    mut tcp: TcpStream,
    from: SocketAddr,
    shared: Rc<Shared>,
    _held: (OwnedSemaphorePermit, OpenConnection),
) {
    let (generation, door) = shared.door.load();
    let (worker, permits) = (&shared.worker, &shared.permits);
    let observer = &worker.observer;
    // Answers are written whole; waiting to fill a segment would only delay them.
    let _ = tcp.set_nodelay(true);
    let deadline = Instant::now() + worker.limits.handshake_timeout;

    // 1. Who connected, and where to: before TLS.
    let Some(origin) = origin(&mut tcp, from, &door, worker, deadline).await else {
        return;
    };

    let _one_of_few = match permits.of_client(origin.peer) {
        Ok(one) => one,
        Err(limit) => {
            let reason =
                format_args!("{limit} connections of its are open, `connections-per-client`");
            return observer.record_dropped_connection(DropReason::Client, origin.peer, reason);
        }
    };

    // 2. The name asked for.
    let hello = match timeout_at(deadline, Hello::read(tcp)).await {
        // On the heap, as the stream below: there would be room for both as long as it is served.
        Ok(Ok(hello)) => Box::new(hello),
        Ok(Err(error)) => return observer.count_tls_failure(tls::failure(&error)),
        Err(_) => return observer.count_tls_failure(TlsFailure::Timeout),
    };
    let name = hello.name();
    if let Some(meant) = origin.destination
        && worker.upstream.is_own(from, meant)
    {
        let reason = format_args!(
            "it was going to `{meant}` and is the gate's own, or was never meant for another: \
             take the gate's own connections out of the redirect"
        );
        return observer.record_dropped_connection(DropReason::Loop, origin.peer, reason);
    }

    // 3. What passes through.
    if let Some(tunnel) = name.as_deref().and_then(|name| door.site.tunnel(name)) {
        return tunnel::serve(*hello, tunnel, origin.peer, worker, shared.drain.clone()).await;
    }

    // 4. The endpoint, and TLS.
    let arrival = EndpointQuery {
        peer: origin.peer,
        vpce_id: origin.vpce.as_deref(),
        server_name: name.as_deref(),
    };
    let chosen = door.site.select_endpoint(&arrival).map(Arc::clone);
    if let Err(why) = chosen {
        observer.record_dropped_connection(dropped(why), origin.peer, unchosen(why, &arrival));
        let served = name.as_deref().is_none_or(|name| door.site.serves(name));
        if why != SelectError::UnknownName || served {
            return;
        }
    }
    let Ok(Some(handshake)) = timeout_at(deadline, permits.handshake()).await else {
        let reason = "no place for its TLS handshake within `handshake-timeout`: `handshakes` others \
                      are under way";
        return observer.record_dropped_connection(DropReason::Handshakes, origin.peer, reason);
    };
    let shaking = hello.handshake().into_stream(Arc::clone(&door.tls));
    let stream = match timeout_at(deadline, shaking).await {
        Ok(Ok(stream)) => Box::new(stream),
        Ok(Err(error)) => return observer.count_tls_failure(tls::failure(&error)),
        Err(_) => return observer.count_tls_failure(TlsFailure::Timeout),
    };
    drop(handshake);
    // A name that is not served has no certificate: the client has been told by an alert.
    let Ok(endpoint) = chosen else { return };
    let session = stream.get_ref().1;
    let shown: Vec<_> = session.peer_certificates().unwrap_or_default().to_vec();
    let protocol = http::Protocol::from_alpn(session.alpn_protocol());
    let mut connection = ConnectionInfo::new(Arc::clone(&door.site), endpoint, origin.peer);
    connection.server_name = name;
    connection.original_destination = origin.destination;
    connection.certificate_identity = door.site.identify_certificate(&shown);
    connection.client_certificates = shown.into();
    let visit = Rc::new(ClientConnection::new(
        shared.door.clone(),
        generation,
        connection,
    ));
    let service = GateService {
        shared: Rc::clone(&shared),
        visit,
    };
    http::serve(stream, protocol, &shared.http_limits, service).await;
}

/// Reads what comes before TLS; `None` where the connection ends here.
async fn origin(
    tcp: &mut TcpStream,
    from: SocketAddr,
    door: &Door,
    worker: &Worker,
    deadline: Instant,
) -> Option<Origin> {
    let observer = &worker.observer;
    let mut origin = Origin {
        peer: from.ip().to_canonical(),
        vpce: None,
        destination: None,
    };
    if let Some(rules) = &door.proxy_protocol {
        let read = timeout_at(deadline, proxy::read(tcp, origin.peer, rules)).await;
        match read {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(Announced::Own))) => {
                // It has no client whose requests could be judged; that it was accepted is what a
                // health check asks.
                observer.counters.health_checks.increment();
                return None;
            }
            Ok(Ok(Some(Announced::Client { peer, vpce }))) => {
                (origin.peer, origin.vpce) = (peer, vpce);
            }
            Ok(Err(why)) => {
                if let Some(kind) = why.kind() {
                    observer.record_dropped_connection(kind, origin.peer, why);
                }
                return None;
            }
            Err(_) => {
                let reason = "no whole PROXY header within `handshake-timeout`";
                observer.record_dropped_connection(DropReason::ProxyTimeout, origin.peer, reason);
                return None;
            }
        }
    }
    if let Some(id) = &origin.vpce
        && !door.site.has_endpoint(id)
    {
        let reason = format_args!("it came through `{id}`, which this listener does not serve");
        observer.record_dropped_connection(DropReason::EndpointUnknown, origin.peer, reason);
        return None;
    }
    if let Some(intercept) = door.intercept {
        match origin::destination(tcp, origin.peer, intercept) {
            Ok(destination) => origin.destination = Some(destination),
            Err(why) => {
                observer.record_dropped_connection(DropReason::NotIntercepted, origin.peer, why);
                return None;
            }
        }
    }
    Some(origin)
}

fn dropped(why: SelectError) -> DropReason {
    match why {
        SelectError::UnknownEndpoint => DropReason::EndpointUnknown,
        SelectError::OutsideNetworks => DropReason::Network,
        SelectError::UnknownName => DropReason::Name,
        SelectError::Ambiguous => DropReason::EndpointUnclear,
    }
}

/// Why no endpoint was chosen, for people.
fn unchosen(why: SelectError, arrival: &EndpointQuery<'_>) -> String {
    let name = match arrival.server_name {
        Some(name) => format!("`{name}`"),
        None => "no name".to_owned(),
    };
    match why {
        SelectError::UnknownEndpoint => {
            "it came through an endpoint that is not served here".to_owned()
        }
        SelectError::OutsideNetworks => {
            "its address is in no network of an endpoint of this listener".to_owned()
        }
        SelectError::UnknownName => {
            format!("it asks for {name}, which no endpoint or tunnel that it could mean has")
        }
        SelectError::Ambiguous => format!(
            "it asks for {name}, and nothing tells which of this listener's endpoints it means"
        ),
    }
}

/// Accepting fails for one connection (it is gone already: go on at once) or for want of
/// descriptors or memory (wait: accepting again at once would only burn the core).
async fn pause_after(error: &io::Error) {
    let gone = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    );
    if !gone {
        sleep(Duration::from_millis(50)).await;
    }
}
