//! Traces: spans of each sampled request, for an OpenTelemetry collector (OTLP over HTTP).
//!
//! An event loop only samples requests and passes their log entries on; a separate thread makes and
//! sends the spans. INVARIANT: neither that thread nor its collector holds up a loop: what does not
//! fit into the queue is dropped and counted.

mod buffer;
#[cfg(feature = "traces")]
mod collector;
mod context;
mod counts;
#[cfg(feature = "traces")]
mod exporter;
mod settings;
#[cfg(feature = "traces")]
mod span;

use std::io;
use std::sync::{Arc, mpsc as blocking};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use buffer::{Sampler, TracedRequest};
#[cfg(feature = "traces")]
use exporter::start_exporter;

pub use buffer::SpanBuffer;
pub(super) use buffer::Trace;
pub use counts::SpanCounts;
pub(super) use counts::SpanLoss;
pub use settings::TraceSettings;

/// The handle of the thread that makes and sends spans.
pub struct Traces {
    queue: mpsc::Sender<Vec<TracedRequest>>,
    sampler: Sampler,
    counts: Arc<SpanCounts>,
    /// Dropping it tells the thread that the process ends.
    stop: watch::Sender<()>,
    end: blocking::Receiver<()>,
}

/// Blocks of requests that may wait: 8192 requests, some 4 MiB.
const QUEUE_BLOCKS: usize = 128;
/// How long the end of the process waits for the remaining spans.
const FINISH_TIMEOUT: Duration = Duration::from_secs(3);

impl Traces {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system starts no thread, or the program was built without the feature `traces`.
    pub fn start(settings: TraceSettings, counts: &Arc<SpanCounts>) -> io::Result<Traces> {
        let (queue, requests) = mpsc::channel(QUEUE_BLOCKS);
        let (stop, stopped) = watch::channel(());
        let (ended, end) = blocking::sync_channel(1);
        let sampler = Sampler::new(settings.sample, settings.follow_callers);
        start_exporter(settings, Arc::clone(counts), requests, stopped, ended)?;
        Ok(Traces {
            queue,
            sampler,
            counts: Arc::clone(counts),
            stop,
            end,
        })
    }

    /// A buffer for one event loop.
    pub fn buffer(&self) -> SpanBuffer {
        SpanBuffer::new(self.queue.clone(), self.sampler, Arc::clone(&self.counts))
    }

    /// Sends the queued spans, and stops. Gives up after a timeout if the collector stalls.
    /// INVARIANT: the buffers are gone.
    pub fn finish(self) {
        drop((self.queue, self.stop));
        let _ = self.end.recv_timeout(FINISH_TIMEOUT);
    }
}

/// Without the feature there is no exporter, and its configuration has been refused.
#[cfg(not(feature = "traces"))]
fn start_exporter(
    _: TraceSettings,
    _: Arc<SpanCounts>,
    _: mpsc::Receiver<Vec<TracedRequest>>,
    _: watch::Receiver<()>,
    _: blocking::SyncSender<()>,
) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
