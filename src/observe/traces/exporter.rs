//! The exporter: a thread that makes spans and sends them, batch by batch.

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

use super::buffer::TracedRequest;
use super::collector::{Accepted, Collector, ExportError};
use super::counts::{SpanCounts, SpanLoss};
use super::settings::TraceSettings;
use super::span::SpanSource;

/// The limit of a batch, in requests.
const BATCH_REQUESTS: usize = 512;
/// How long the first request of a batch waits for others.
const BATCH_DELAY: Duration = Duration::from_secs(1);
/// The pauses before the retries of a batch: the exporter waits for a restarting collector, while
/// the queue holds new requests.
const RETRY_PAUSES: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
/// The limit of a collector's message, in characters.
const MAX_MESSAGE: usize = 200;

struct Exporter {
    collector: Collector,
    endpoint: Uri,
    source: SpanSource,
    timeout: Duration,
    counts: Arc<SpanCounts>,
    stopped: watch::Receiver<()>,
    /// The last failure reported to the operator, until the collector accepts spans again.
    reported: Option<String>,
}

/// Starts the thread. It sends to `ended` when every sender of the queue is gone and the queue is
/// empty.
pub(super) fn start_exporter(
    settings: TraceSettings,
    counts: Arc<SpanCounts>,
    mut queue: mpsc::Receiver<Vec<TracedRequest>>,
    stopped: watch::Receiver<()>,
    ended: blocking::SyncSender<()>,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut exporter = Exporter {
        collector: Collector::new(&settings),
        endpoint: settings.endpoint,
        source: SpanSource::new(settings.service_name),
        timeout: settings.timeout,
        counts,
        stopped,
        reported: None,
    };
    thread::Builder::new()
        .name("traces".to_owned())
        .spawn(move || {
            runtime.block_on(exporter.run(&mut queue));
            // The receiver may have been dropped.
            let _ = ended.try_send(());
            // Does not wait for a name that is still resolving.
            runtime.shutdown_background();
        })?;
    Ok(())
}

impl Exporter {
    async fn run(&mut self, queue: &mut mpsc::Receiver<Vec<TracedRequest>>) {
        let mut requests = Vec::new();
        loop {
            let is_open = fill_batch(queue, &mut requests).await;
            while !requests.is_empty() {
                let rest = requests.split_off(requests.len().min(BATCH_REQUESTS));
                self.send(&std::mem::replace(&mut requests, rest)).await;
            }
            if !is_open {
                return;
            }
        }
    }

    async fn send(&mut self, batch: &[TracedRequest]) {
        let spans: u64 = batch.iter().map(TracedRequest::span_count).sum();
        let message = Bytes::from(self.source.message(batch).encode_to_vec());
        let mut pauses = RETRY_PAUSES.iter();
        loop {
            let export = self.collector.export(message.clone());
            let late = || Err(ExportError::Away("did not answer in time".to_owned()));
            let result = timeout(self.timeout, export).await;
            let (loss, reason) = match result.unwrap_or_else(|_| late()) {
                Ok(accepted) => return self.count_accepted(spans, &accepted),
                Err(ExportError::Away(reason)) => (SpanLoss::Away, reason),
                Err(ExportError::Refused(reason)) => (SpanLoss::Refused, reason),
            };
            self.report(Some(reason));
            let pause = pauses.next().filter(|_| loss == SpanLoss::Away);
            if let Some(pause) = pause
                && self.pause(*pause).await
            {
                continue;
            }
            return self.counts.add_dropped(loss, spans);
        }
    }

    fn count_accepted(&mut self, spans: u64, accepted: &Accepted) {
        let refused = accepted.refused_spans.min(spans);
        self.counts.add_sent(spans - refused);
        self.counts.add_dropped(SpanLoss::Refused, refused);
        let message = || {
            accepted
                .message
                .chars()
                .take(MAX_MESSAGE)
                .collect::<String>()
        };
        let refusal = || format!("refuses some: \"{}\"", message().escape_debug());
        self.report((refused > 0).then(refusal));
    }

    /// Pauses before a retry. Returns false if the process ends: then there is no retry.
    async fn pause(&mut self, pause: Duration) -> bool {
        timeout(pause, self.stopped.changed()).await.is_err()
    }

    /// Reports a failure, or its end, to the operator, once for each change.
    fn report(&mut self, failure: Option<String>) {
        if failure == self.reported {
            return;
        }
        match &failure {
            Some(failure) => eprintln!(
                "traces: the collector at {} {failure}; spans that it does not take are dropped and counted",
                self.endpoint
            ),
            None => eprintln!(
                "traces: the collector at {} takes spans again",
                self.endpoint
            ),
        }
        self.reported = failure;
    }
}

/// Waits for requests, and a little for more of them. Returns false once no more can come.
async fn fill_batch(
    queue: &mut mpsc::Receiver<Vec<TracedRequest>>,
    requests: &mut Vec<TracedRequest>,
) -> bool {
    let Some(first) = queue.recv().await else {
        return false;
    };
    requests.extend(first);
    let filled = timeout(BATCH_DELAY, async {
        while requests.len() < BATCH_REQUESTS {
            match queue.recv().await {
                Some(more) => requests.extend(more),
                None => return false,
            }
        }
        true
    });
    filled.await.unwrap_or(true)
}
