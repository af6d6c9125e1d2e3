//! `[limits]`: connection limits, buffer budgets and timeouts.

use std::time::Duration;

use super::parse::{FromTable, Table};
use super::values::Bytes;

/// `[limits]`: every buffer has a cap and every wait a deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Client connections open at once, in the whole process.
    pub connections: usize,
    /// The same for each client address; `None` for no limit by client.
    pub connections_per_client: Option<usize>,
    /// TLS handshakes with clients in progress at once, in the whole process.
    pub handshakes: usize,
    /// Requests in flight at once, in the whole process: from the head to the response's end.
    pub requests: usize,
    /// Bytes of one request body. The API's largest request is 10 MiB of data, about 14 MiB as
    /// base64 in JSON.
    pub body_bytes: usize,
    /// Buffer budget: bytes of request bodies held at once, in the whole process.
    pub buffered_bytes: usize,
    /// Bytes of one request head.
    pub head_bytes: usize,
    /// HTTP/2 streams open at once on one connection (RFC 9113, section 5.1.2).
    pub streams: u32,
    /// HTTP/2 streams of one connection that a client may reset before the gate has read them. More
    /// resets end the connection.
    pub resets: usize,
    /// From accept to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// From a request's first byte to the end of its head; also the keep-alive timeout of an idle
    /// client connection.
    pub head_timeout: Duration,
    /// The time that a request body may stall in total.
    pub body_timeout: Duration,
    /// The slowest average rate of a body, in bytes a second, once the body has stalled for
    /// [`Limits::body_timeout`].
    pub body_rate: usize,
    /// The timeout of resolving, connecting and the TLS handshake with the upstream.
    pub connect_timeout: Duration,
    /// The timeout from the end of the request to the head of the upstream's response.
    pub response_timeout: Duration,
    /// Idle timeout of a pooled upstream connection.
    pub upstream_idle: Duration,
    /// Idle timeout of a tunnel.
    pub tunnel_idle: Duration,
    /// The longest that a tunnel may last.
    pub tunnel_total: Duration,
    /// The drain timeout: how long accepted requests may take to finish after SIGTERM.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 10_000,
            connections_per_client: None,
            handshakes: 512,
            requests: 20_000,
            body_bytes: 16 << 20,
            buffered_bytes: 256 << 20,
            head_bytes: 64 << 10,
            streams: 250,
            resets: 20,
            body_rate: 1 << 10,
            handshake_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(30),
            upstream_idle: Duration::from_secs(50),
            tunnel_idle: Duration::from_secs(350),
            tunnel_total: Duration::from_secs(12 * 3600),
            drain: Duration::from_secs(20),
        }
    }
}

impl FromTable for Limits {
    fn from_table(table: &mut Table<'_>) -> Option<Limits> {
        let mut limits = Limits::default();
        for (key, limit) in [
            ("body-bytes", &mut limits.body_bytes),
            ("buffered-bytes", &mut limits.buffered_bytes),
            ("body-rate", &mut limits.body_rate),
            ("head-bytes", &mut limits.head_bytes),
        ] {
            if let Some(Bytes(bytes)) = table.optional(key) {
                *limit = bytes;
            }
        }
        table.set("handshake-timeout", &mut limits.handshake_timeout);
        table.set("head-timeout", &mut limits.head_timeout);
        table.set("body-timeout", &mut limits.body_timeout);
        table.set("connect-timeout", &mut limits.connect_timeout);
        table.set("response-timeout", &mut limits.response_timeout);
        table.set("upstream-idle", &mut limits.upstream_idle);
        table.set("tunnel-idle", &mut limits.tunnel_idle);
        table.set("tunnel-total", &mut limits.tunnel_total);
        table.set("drain", &mut limits.drain);
        table.set("connections", &mut limits.connections);
        limits.connections_per_client = table.optional("connections-per-client");
        table.set("handshakes", &mut limits.handshakes);
        table.set("requests", &mut limits.requests);
        table.set("resets", &mut limits.resets);
        table.set("streams", &mut limits.streams);
        for (key, is_zero) in [
            ("connections", limits.connections == 0),
            (
                "connections-per-client",
                limits.connections_per_client == Some(0),
            ),
            ("handshakes", limits.handshakes == 0),
            ("requests", limits.requests == 0),
            ("streams", limits.streams == 0),
        ] {
            table.refuse_if(is_zero, format_args!("`{key}` must be above zero"));
        }
        table.refuse_if(
            limits.head_bytes < 8 << 10,
            "`head-bytes` must be at least 8KiB",
        );
        table.refuse_if(
            limits.buffered_bytes < limits.body_bytes,
            "`buffered-bytes` must be at least `body-bytes`",
        );
        Some(limits)
    }
}
