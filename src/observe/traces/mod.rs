//! Traces: a span for each request that is sampled, for an OpenTelemetry collector (OTLP over HTTP).
//!
//! An event loop only tells which requests are traced, and hands over what their records say; spans
//! are made and sent by a thread of their own. INVARIANT: nothing that becomes of that thread or its
//! collector holds up a loop: what does not fit into the queue is dropped and counted.

#[cfg(feature = "traces")]
mod collector;
mod context;
#[cfg(feature = "traces")]
mod export;
#[cfg(feature = "traces")]
mod span;

use std::borrow::Cow;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc as blocking};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, Uri};
use rustls::ClientConfig;
use tokio::sync::{mpsc, watch};

use super::{DecisionSource, LoggedPrincipal, Record, RequestOutcome};

/// Where spans go, and of which requests.
pub struct TraceSettings {
    /// Where the collector takes them.
    pub endpoint: Uri,
    /// For the collector; values that are secret are marked so.
    pub headers: HeaderMap,
    /// Whom an `https` collector must prove to be.
    pub tls: Arc<ClientConfig>,
    /// `service.name`.
    pub service_name: String,
    /// The share of requests that are sampled, from 0 to 1.
    pub sample: f64,
    /// Whether a caller that says if its trace is sampled is believed.
    pub follow_callers: bool,
    /// For one delivery.
    pub timeout: Duration,
}

/// The thread that makes and sends spans.
pub struct Traces {
    queue: mpsc::Sender<Vec<Traced>>,
    rule: Rule,
    counts: Arc<SpanCounts>,
    /// Dropped, it tells the thread that nothing more comes.
    stop: watch::Sender<()>,
    ended: blocking::Receiver<()>,
}

/// What became of spans, in the whole process.
#[derive(Debug, Default)]
pub struct SpanCounts {
    sent: AtomicU64,
    dropped: [AtomicU64; SpanLoss::NAMES.len()],
}

/// Why a span was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SpanLoss {
    /// Those before it were not sent fast enough.
    Queue,
    /// The collector was away, or too slow.
    Away,
    /// The collector does not want it.
    Refused,
}

/// One event loop's traced requests that were not handed over yet.
pub struct SpanBuffer {
    queue: mpsc::Sender<Vec<Traced>>,
    rule: Rule,
    counts: Arc<SpanCounts>,
    held: Vec<Traced>,
}

/// Which requests are sampled.
#[derive(Clone, Copy)]
struct Rule {
    /// Of 2⁶⁴ numbers, as many as this.
    threshold: u64,
    follow_callers: bool,
}

/// A request that is traced, while it is under way.
pub(super) struct Trace {
    id: u128,
    /// The caller's span.
    parent: Option<u64>,
    /// The name that the client called, and the one that it leads to.
    names: Option<(Box<str>, Box<str>)>,
    /// From its arrival to its being forwarded.
    forwarded: Option<Duration>,
}

/// What the record of a traced request said.
pub(super) struct Traced {
    trace: Box<Trace>,
    arrived: SystemTime,
    total: Duration,
    endpoint: Arc<str>,
    peer: IpAddr,
    operation: Option<u16>,
    action: Option<Cow<'static, str>>,
    caller: LoggedPrincipal,
    resource: Option<String>,
    outcome: RequestOutcome,
    audited: bool,
    ruling: Option<DecisionSource>,
    candidate: Option<RequestOutcome>,
    reason: Option<String>,
    upstream_failure: Option<&'static str>,
    request_id: Option<String>,
    status: u16,
    upstream_status: Option<u16>,
    request_bytes: u64,
    response_bytes: u64,
    upstream: Option<Duration>,
}

/// Requests of a loop that are handed over together, at the latest: waking the thread costs more
/// than a span.
const BLOCK: usize = 64;
/// Blocks that may wait: 8192 requests, some 4 MiB.
const WAITING: usize = 128;
/// How long the end of the process waits for what is left to be sent.
const LAST: Duration = Duration::from_secs(3);
/// Bytes of a text that spans tell: a client writes some of them.
const LONGEST: usize = 1024;

impl Traces {
    /// Starts the thread.
    ///
    /// # Errors
    /// When it cannot be started, or the program was built without the feature `traces`.
    pub fn start(settings: TraceSettings, counts: &Arc<SpanCounts>) -> io::Result<Traces> {
        let (queue, waiting) = mpsc::channel(WAITING);
        let (stop, stopped) = watch::channel(());
        let (end, ended) = blocking::sync_channel(1);
        let rule = Rule::new(settings.sample, settings.follow_callers);
        run(settings, Arc::clone(counts), waiting, stopped, end)?;
        Ok(Traces {
            queue,
            rule,
            counts: Arc::clone(counts),
            stop,
            ended,
        })
    }

    /// A buffer for one event loop.
    pub fn buffer(&self) -> SpanBuffer {
        SpanBuffer {
            queue: self.queue.clone(),
            rule: self.rule,
            counts: Arc::clone(&self.counts),
            held: Vec::new(),
        }
    }

    /// Sends what the buffers handed over, and stops; a collector that stalls is left behind.
    /// INVARIANT: the buffers are gone.
    pub fn finish(self) {
        drop((self.queue, self.stop));
        let _ = self.ended.recv_timeout(LAST);
    }
}

#[cfg(feature = "traces")]
use export::run;

/// Without the feature, there is nothing to run. The configuration has been refused by then.
#[cfg(not(feature = "traces"))]
fn run(
    _: TraceSettings,
    _: Arc<SpanCounts>,
    _: mpsc::Receiver<Vec<Traced>>,
    _: watch::Receiver<()>,
    _: blocking::SyncSender<()>,
) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Rule {
    fn new(sample: f64, follow_callers: bool) -> Rule {
        // 2⁶⁴ as a float; what is above the largest number becomes that.
        let threshold = (sample * u64::MAX as f64) as u64;
        Rule {
            threshold,
            follow_callers,
        }
    }

    /// Whether a request is sampled. A caller that is not believed does not weigh: it chose the
    /// trace's id as well, so that a draw by the id would be the caller's.
    fn takes(self, told: Option<bool>) -> bool {
        let told = told.filter(|_| self.follow_callers);
        told.unwrap_or_else(|| fastrand::u64(..) < self.threshold || self.threshold == u64::MAX)
    }
}

impl SpanBuffer {
    /// Begins the trace of a request, if it is sampled.
    pub(super) fn begin(&self, headers: &HeaderMap) -> Option<Box<Trace>> {
        let parent = context::parent(headers);
        if !self.rule.takes(parent.and_then(|parent| parent.sampled)) {
            return None;
        }
        Some(Box::new(Trace {
            id: parent.map_or_else(|| fastrand::u128(1..), |parent| parent.trace),
            parent: parent.and_then(|parent| parent.span),
            names: None,
            forwarded: None,
        }))
    }

    /// Takes over what the record of a traced request says, as its last reader.
    pub(super) fn close(&mut self, trace: Box<Trace>, record: &mut Record) {
        self.held.push(Traced::of(trace, record));
        if self.held.len() >= BLOCK {
            self.flush();
        }
    }

    /// Hands over what it holds.
    pub(super) fn flush(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let held = std::mem::take(&mut self.held);
        if let Err(lost) = self.queue.try_send(held) {
            let lost: u64 = lost.into_inner().iter().map(Traced::spans).sum();
            self.counts.dropped(SpanLoss::Queue, lost);
        }
    }
}

impl Trace {
    /// The name that the client called, and the one that it leads to.
    pub(super) fn set_server_names(&mut self, called: &str, to: &str) {
        self.names = Some((called.into(), to.into()));
    }

    /// It was forwarded so long after its arrival.
    pub(super) fn set_forwarding_delay(&mut self, after: Duration) {
        self.forwarded = Some(after);
    }
}

impl Traced {
    fn of(trace: Box<Trace>, record: &mut Record) -> Traced {
        Traced {
            trace,
            arrived: record.arrival_time(),
            total: record.total,
            endpoint: Arc::clone(&record.endpoint_id),
            peer: record.peer,
            operation: record.operation,
            action: record.action.take().map(cut_cow),
            caller: std::mem::take(&mut record.principal),
            resource: record.resource.take().map(cut),
            outcome: record.outcome,
            audited: record.passes_denied(),
            ruling: record.decision_source.take(),
            candidate: record.candidate.as_ref().map(|(outcome, _)| *outcome),
            reason: record.reason.take().map(cut),
            upstream_failure: record.upstream_failure,
            request_id: record.request_id.take().map(cut),
            status: record.status,
            upstream_status: record.upstream_status,
            request_bytes: record.request_bytes,
            response_bytes: record.response_bytes,
            upstream: record.upstream,
        }
    }

    /// How many spans it becomes.
    fn spans(&self) -> u64 {
        1 + u64::from(self.trace.forwarded.is_some())
    }
}

fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.shrink_to_fit();
    }
    text
}

fn cut_cow(text: Cow<'static, str>) -> Cow<'static, str> {
    match text {
        Cow::Owned(text) => Cow::Owned(cut(text)),
        text => text,
    }
}

impl SpanLoss {
    /// Labels, in the order of the variants.
    pub(super) const NAMES: [&'static str; 3] = ["queue", "away", "refused"];
}

impl SpanCounts {
    /// Spans that the collector has taken.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Spans that were dropped, by the order of [`SpanLoss::NAMES`].
    pub(super) fn lost(&self) -> [u64; SpanLoss::NAMES.len()] {
        self.dropped.each_ref().map(|it| it.load(Ordering::Relaxed))
    }

    fn dropped(&self, why: SpanLoss, spans: u64) {
        if let Some(counter) = self.dropped.get(why as usize) {
            counter.fetch_add(spans, Ordering::Relaxed);
        }
    }

    #[cfg(feature = "traces")]
    fn took(&self, spans: u64) {
        self.sent.fetch_add(spans, Ordering::Relaxed);
    }
}
