//! TLS tunnels by SNI: connections to configured hosts, which pass through undecrypted.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::Tunnel;
use crate::gate::Worker;
use crate::observe::{self, DropReason, Observer};
use crate::shutdown::Drain;

use super::client_hello::ClientHello;

/// Bytes copied at once, in each direction.
const BUFFER: usize = 16 << 10;
/// The idle timeout during a drain: the gate cannot see whether a tunnel is in use.
const DRAIN_IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// Carries a connection to its host until one side closes, the idle timeout passes, or the
/// connection has lasted for `tunnel-total`.
pub(super) async fn serve(
    hello: ClientHello,
    tunnel: &Tunnel,
    peer: IpAddr,
    worker: &Worker,
    drain: Drain,
) {
    let observer = &worker.observer;
    let (mut client, hello) = hello.into_parts();
    let opened = worker
        .upstream
        .tunnel(&tunnel.name, tunnel.connect.as_deref());
    let (mut host, _opening) = match opened.await {
        Ok(opened) => opened,
        Err(failure) => {
            let reason = format_args!("the tunnel to `{}`: {failure}", tunnel.name);
            return observer.record_dropped_connection(DropReason::Tunnel, peer, reason);
        }
    };
    observer.counters.tunnels.increment();
    let opened_at = Instant::now();
    let transferred = Transferred {
        observer,
        sent: Cell::new(0),
        received: Cell::new(0),
    };
    let limits = &worker.limits;
    let copying = async {
        host.write_all(&hello).await?;
        transferred.add_sent(hello.len());
        let (from_client, to_client) = client.split();
        let (from_host, to_host) = host.split();
        tokio::try_join!(
            copy(from_client, to_host, |bytes| transferred.add_sent(bytes)),
            copy(from_host, to_client, |bytes| transferred
                .add_received(bytes)),
        )
    };
    let copying = with_idle_timeout(copying, &transferred, limits.tunnel_idle, drain);
    let end = match timeout_at(opened_at + limits.tunnel_total, copying).await {
        Ok(Some(Ok(_))) => "closed",
        Ok(Some(Err(_))) => "broken",
        Ok(None) => "carried nothing for too long",
        Err(_) => "lasted as long as `tunnel-total`",
    };
    observer.record_closed_tunnel(&observe::ClosedTunnel {
        peer,
        name: &tunnel.name,
        sent_bytes: transferred.sent.get(),
        received_bytes: transferred.received.get(),
        duration: opened_at.elapsed(),
        reason: end,
    });
}

/// Bytes transferred so far.
struct Transferred<'a> {
    observer: &'a Rc<Observer>,
    sent: Cell<u64>,
    received: Cell<u64>,
}

impl Transferred<'_> {
    fn add_sent(&self, bytes: usize) {
        self.sent.set(self.sent.get() + bytes as u64);
        self.observer.counters.tunnel_sent_bytes.add(bytes as u64);
    }

    fn add_received(&self, bytes: usize) {
        self.received.set(self.received.get() + bytes as u64);
        let counters = &self.observer.counters;
        counters.tunnel_received_bytes.add(bytes as u64);
    }

    fn total(&self) -> u64 {
        self.sent.get() + self.received.get()
    }
}

/// Runs `copying` while bytes pass; `None` once no byte has passed for `idle_timeout`.
async fn with_idle_timeout<T>(
    copying: impl Future<Output = T>,
    transferred: &Transferred<'_>,
    idle_timeout: Duration,
    mut drain: Drain,
) -> Option<T> {
    let mut copying = std::pin::pin!(copying);
    loop {
        let before = transferred.total();
        let drains = drain.has_begun();
        let idle_timeout = match drains {
            true => idle_timeout.min(DRAIN_IDLE_TIMEOUT),
            false => idle_timeout,
        };
        tokio::select! {
            ended = timeout(idle_timeout, &mut copying) => match ended {
                Ok(ended) => return Some(ended),
                Err(_) if transferred.total() != before => {}
                Err(_) => return None,
            },
            () = drain.wait(), if !drains => {}
        }
    }
}

/// Copies bytes one way until the end of the stream, and forwards the end.
async fn copy(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    count: impl Fn(usize),
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await?;
        match buffer.get(..read) {
            None | Some([]) => return to.shutdown().await,
            Some(bytes) => to.write_all(bytes).await?,
        }
        count(read);
    }
}
