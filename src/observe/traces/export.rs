//! The thread that makes spans and sends them, batch by batch.

use std::io;
use std::sync::{Arc, mpsc as blocking};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use prost::Message as _;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::collector::{Collector, Failure, Taken};
use super::span::Origin;
use super::{SpanCounts, SpanLoss, TraceSettings, Traced};

/// Traced requests of one batch, at most.
const BATCH: usize = 512;
/// How long the first of a batch waits for others.
const DELAY: Duration = Duration::from_secs(1);
/// Before a batch is tried again: a collector that restarts is waited for, while the queue holds
/// what comes.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
/// Characters of a collector's own words that are told.
const WORDS: usize = 200;

struct Export {
    collector: Collector,
    endpoint: Uri,
    origin: Origin,
    timeout: Duration,
    counts: Arc<SpanCounts>,
    stopped: watch::Receiver<()>,
    /// What the operator was told last, unless all is well.
    told: Option<String>,
}

/// Starts it. `end` is told when it ends: once every sender of the queue has gone and what was in it
/// is sent.
pub(super) fn run(
    settings: TraceSettings,
    counts: Arc<SpanCounts>,
    mut waiting: mpsc::Receiver<Vec<Traced>>,
    stopped: watch::Receiver<()>,
    end: blocking::SyncSender<()>,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut export = Export {
        collector: Collector::new(&settings),
        endpoint: settings.endpoint,
        origin: Origin::new(settings.service_name),
        timeout: settings.timeout,
        counts,
        stopped,
        told: None,
    };
    thread::Builder::new()
        .name("traces".to_owned())
        .spawn(move || {
            runtime.block_on(export.all(&mut waiting));
            // Nobody may be waiting any more.
            let _ = end.try_send(());
            // A name that is still being resolved is not waited for.
            runtime.shutdown_background();
        })?;
    Ok(())
}

impl Export {
    async fn all(&mut self, waiting: &mut mpsc::Receiver<Vec<Traced>>) {
        let mut held = Vec::new();
        loop {
            let more = fill(waiting, &mut held).await;
            while !held.is_empty() {
                let rest = held.split_off(held.len().min(BATCH));
                self.send(&std::mem::replace(&mut held, rest)).await;
            }
            if !more {
                return;
            }
        }
    }

    async fn send(&mut self, batch: &[Traced]) {
        let spans: u64 = batch.iter().map(Traced::spans).sum();
        let message = Bytes::from(self.origin.message(batch).encode_to_vec());
        let mut pauses = PAUSES.iter();
        loop {
            let delivery = self.collector.deliver(message.clone());
            let late = || Err(Failure::Away("did not answer in time".to_owned()));
            let answer = timeout(self.timeout, delivery).await;
            let (lost, why) = match answer.unwrap_or_else(|_| late()) {
                Ok(taken) => return self.taken(spans, &taken),
                Err(Failure::Away(why)) => (SpanLoss::Away, why),
                Err(Failure::Refused(why)) => (SpanLoss::Refused, why),
            };
            self.tell(Some(why));
            let pause = pauses.next().filter(|_| lost == SpanLoss::Away);
            if let Some(pause) = pause
                && self.pauses(*pause).await
            {
                continue;
            }
            return self.counts.dropped(lost, spans);
        }
    }

    fn taken(&mut self, spans: u64, taken: &Taken) {
        let refused = taken.refused.min(spans);
        self.counts.took(spans - refused);
        self.counts.dropped(SpanLoss::Refused, refused);
        let words = || taken.reason.chars().take(WORDS).collect::<String>();
        let why = (refused > 0).then(|| format!("refuses some: \"{}\"", words().escape_debug()));
        self.tell(why);
    }

    /// Waits; `false` if the process ends, which waits for nothing that has failed.
    async fn pauses(&mut self, pause: Duration) -> bool {
        timeout(pause, self.stopped.changed()).await.is_err()
    }

    /// Tells the operator, once for each change.
    fn tell(&mut self, why: Option<String>) {
        if why == self.told {
            return;
        }
        match &why {
            Some(why) => eprintln!(
                "traces: the collector at {} {why}; spans that it does not take are dropped and counted",
                self.endpoint
            ),
            None => eprintln!(
                "traces: the collector at {} takes spans again",
                self.endpoint
            ),
        }
        self.told = why;
    }
}

/// Waits for traced requests, and a little for more of them; `false` once no more can come.
async fn fill(waiting: &mut mpsc::Receiver<Vec<Traced>>, held: &mut Vec<Traced>) -> bool {
    let Some(first) = waiting.recv().await else {
        return false;
    };
    held.extend(first);
    let filled = timeout(DELAY, async {
        while held.len() < BATCH {
            match waiting.recv().await {
                Some(more) => held.extend(more),
                None => return false,
            }
        }
        true
    });
    filled.await.unwrap_or(true)
}
