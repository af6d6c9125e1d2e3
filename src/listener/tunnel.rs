//! TLS that passes through undecrypted, to hosts that the configuration lists.

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

use super::hello::Hello;

/// Bytes moved at once, in each direction.
const PIECE: usize = 16 << 10;
/// How long a tunnel may carry nothing once the drain has begun: what is under way in it, nobody
/// can tell.
const DRAINING_IDLE: Duration = Duration::from_secs(1);

/// Carries a connection to its host until one side ends it, it carries nothing for too long, or it
/// has lasted long enough.
pub(super) async fn serve(
    hello: Hello,
    tunnel: &Tunnel,
    peer: IpAddr,
    worker: &Worker,
    drain: Drain,
) {
    let observer = &worker.observer;
    let (mut client, hello) = hello.unanswered();
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
    let began = Instant::now();
    let moved = Moved {
        observer,
        sent: Cell::new(0),
        received: Cell::new(0),
    };
    let limits = &worker.limits;
    let carrying = async {
        host.write_all(&hello).await?;
        moved.sent(hello.len());
        let (from_client, to_client) = client.split();
        let (from_host, to_host) = host.split();
        tokio::try_join!(
            pump(from_client, to_host, |bytes| moved.sent(bytes)),
            pump(from_host, to_client, |bytes| moved.received(bytes)),
        )
    };
    let carrying = while_busy(carrying, &moved, limits.tunnel_idle, drain);
    let end = match timeout_at(began + limits.tunnel_total, carrying).await {
        Ok(Some(Ok(_))) => "closed",
        Ok(Some(Err(_))) => "broken",
        Ok(None) => "carried nothing for too long",
        Err(_) => "lasted as long as `tunnel-total`",
    };
    observer.record_closed_tunnel(&observe::ClosedTunnel {
        peer,
        name: &tunnel.name,
        sent: moved.sent.get(),
        received: moved.received.get(),
        lasted: began.elapsed(),
        end,
    });
}

/// What has passed so far.
struct Moved<'a> {
    observer: &'a Rc<Observer>,
    sent: Cell<u64>,
    received: Cell<u64>,
}

impl Moved<'_> {
    fn sent(&self, bytes: usize) {
        self.sent.set(self.sent.get() + bytes as u64);
        self.observer.counters.tunnel_sent_bytes.add(bytes as u64);
    }

    fn received(&self, bytes: usize) {
        self.received.set(self.received.get() + bytes as u64);
        self.observer
            .counters
            .tunnel_received_bytes
            .add(bytes as u64);
    }

    fn total(&self) -> u64 {
        self.sent.get() + self.received.get()
    }
}

/// Runs `carrying` as long as something moves; `None` once nothing has for `idle`.
async fn while_busy<T>(
    carrying: impl Future<Output = T>,
    moved: &Moved<'_>,
    idle: Duration,
    mut drain: Drain,
) -> Option<T> {
    let mut carrying = std::pin::pin!(carrying);
    loop {
        let before = moved.total();
        let idle = if drain.has_begun() {
            idle.min(DRAINING_IDLE)
        } else {
            idle
        };
        let begun = drain.has_begun();
        tokio::select! {
            ended = timeout(idle, &mut carrying) => match ended {
                Ok(ended) => return Some(ended),
                Err(_) if moved.total() != before => {}
                Err(_) => return None,
            },
            () = drain.wait(), if !begun => {}
        }
    }
}

/// Moves bytes one way until they end, and passes that on.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    moved: impl Fn(usize),
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let some = from.read(&mut piece).await?;
        match piece.get(..some) {
            None | Some([]) => return to.shutdown().await,
            Some(bytes) => to.write_all(bytes).await?,
        }
        moved(some);
    }
}
