//! The decision log (access log): one JSON line for each request, buffered by its event loop.

use std::io::Write;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde::Serialize;

use super::entry::{DecisionSource, LogEntry};
use super::labels::{DropReason, RequestOutcome};
use super::recent::{LineBlock, RecentLines};

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// A JSON object, for programs; `docs/decision-log.md` lists its members.
    Json,
    /// A sentence, for people.
    Human,
}

/// A closed tunnel.
#[derive(Debug)]
pub struct ClosedTunnel<'a> {
    /// The client's address.
    pub peer: IpAddr,
    /// The host's name.
    pub name: &'a str,
    /// Bytes from the client.
    pub sent_bytes: u64,
    /// Bytes to the client.
    pub received_bytes: u64,
    /// How long the tunnel was open.
    pub duration: Duration,
    /// The reason that the tunnel closed, for people.
    pub reason: &'static str,
}

/// A message to the thread that writes the log.
pub(super) enum LogMessage {
    Block {
        lines: LineBlock,
        count: u64,
    },
    /// Wakes the thread.
    Wake,
    End,
}

/// The lines of one event loop that have not been sent to the writer.
pub struct LogBuffer {
    messages: SyncSender<LogMessage>,
    recent: Arc<RecentLines>,
    lines: Vec<u8>,
    count: u64,
    /// The ranges of lines about more than an allowed request.
    non_allowed: Vec<Range<usize>>,
    non_allowed_count: u64,
    /// One allowed request in this many is written; 0: none.
    sample: Arc<AtomicU32>,
    /// Allowed requests since the last one that was written.
    skipped: u32,
    /// Lines that the writer's queue refused, of all event loops.
    dropped_lines: Arc<AtomicU64>,
    clock: SecondClock,
}

/// The buffer sends a block of this many bytes, or a smaller one when its loop flushes. A block
/// wakes the writer, which costs 10 µs: with blocks of 32 KiB, 0.3 µs of a request.
const BLOCK_BYTES: usize = 128 << 10;

impl LogBuffer {
    pub(super) fn new(
        messages: SyncSender<LogMessage>,
        recent: Arc<RecentLines>,
        sample: Arc<AtomicU32>,
        dropped_lines: Arc<AtomicU64>,
    ) -> LogBuffer {
        LogBuffer {
            messages,
            recent,
            lines: Vec::new(),
            count: 0,
            non_allowed: Vec::new(),
            non_allowed_count: 0,
            sample,
            skipped: 0,
            dropped_lines,
            clock: SecondClock::default(),
        }
    }

    /// Writes the line of a request.
    pub(super) fn write_entry(&mut self, entry: &LogEntry) {
        // A response that broke off, or that the gate ended, has a reason.
        let is_plain = entry.outcome == RequestOutcome::Allow
            && entry.upstream_failure.is_none()
            && entry.reason.is_none();
        let sample = self.sample.load(Ordering::Relaxed);
        if is_plain && !self.samples_allowed(sample) {
            return;
        }
        let start = self.lines.len();
        let mut line = JsonObject::begin(&mut self.lines);
        line.time(&mut self.clock, entry.arrival_time);
        line.entry(entry);
        if is_plain && sample > 1 {
            line.number("sampled", sample.into());
        }
        self.end_line((!is_plain).then_some(start));
    }

    fn samples_allowed(&mut self, sample: u32) -> bool {
        if sample == 0 {
            return false;
        }
        self.skipped += 1;
        let is_sampled = self.skipped >= sample;
        if is_sampled {
            self.skipped = 0;
        }
        is_sampled
    }

    /// Writes the line of a client connection that was dropped before TLS; `details` is for people.
    pub(super) fn write_dropped_connection(
        &mut self,
        now: SystemTime,
        reason: DropReason,
        peer: IpAddr,
        details: &str,
    ) {
        let start = self.lines.len();
        let mut line = JsonObject::begin(&mut self.lines);
        line.time(&mut self.clock, now);
        line.display("peer", peer);
        line.text("connection", "dropped");
        line.text("kind", reason.name());
        line.text("reason", details);
        self.end_line(Some(start));
    }

    /// Writes the line of a tunnel.
    pub(super) fn write_tunnel(&mut self, now: SystemTime, tunnel: &ClosedTunnel<'_>) {
        let mut line = JsonObject::begin(&mut self.lines);
        line.time(&mut self.clock, now);
        line.display("peer", tunnel.peer);
        line.text("connection", "tunnel");
        line.text("name", tunnel.name);
        line.number("sent_bytes", tunnel.sent_bytes);
        line.number("received_bytes", tunnel.received_bytes);
        let millis = u64::try_from(tunnel.duration.as_millis()).unwrap_or(u64::MAX);
        line.number("lasted_ms", millis);
        line.text("reason", tunnel.reason);
        self.end_line(None);
    }

    /// `non_allowed` is the start of a line about more than an allowed request.
    fn end_line(&mut self, non_allowed: Option<usize>) {
        self.lines.extend_from_slice(b"}\n");
        if let Some(start) = non_allowed {
            let end = self.lines.len();
            self.non_allowed_count += 1;
            match self.non_allowed.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => self.non_allowed.push(start..end),
            }
        }
        self.count += 1;
        if self.lines.len() >= BLOCK_BYTES {
            self.flush();
        }
    }

    /// Sends the buffered lines to the writer.
    pub(super) fn flush(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let next = Vec::with_capacity(self.lines.len().min(BLOCK_BYTES));
        let lines = Arc::new(std::mem::replace(&mut self.lines, next));
        let count = std::mem::take(&mut self.count);
        let non_allowed = std::mem::take(&mut self.non_allowed_count);
        // The ring first: the writer may wait for a slow reader.
        self.recent
            .push(&lines, count, &self.non_allowed, non_allowed);
        self.non_allowed.clear();
        let block = LogMessage::Block { lines, count };
        if self.messages.try_send(block).is_err() {
            self.dropped_lines.fetch_add(count, Ordering::Relaxed);
        }
    }
}

/// A JSON object, written member by member. With a derived serializer that flattens the source of
/// the decision, and the whole time formatted for each line, a line took 2.8 of the 28.7 µs of a
/// small request.
struct JsonObject<'a> {
    lines: &'a mut Vec<u8>,
    is_empty: bool,
}

impl JsonObject<'_> {
    fn begin(lines: &mut Vec<u8>) -> JsonObject<'_> {
        JsonObject {
            lines,
            is_empty: true,
        }
    }

    /// Writes the known facts of an entry, and omits members without a value.
    fn entry(&mut self, entry: &LogEntry) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.optional("request_id", entry.request_id.as_deref());
        self.text("endpoint", &entry.endpoint_id);
        self.display("peer", entry.peer);
        self.value("principal", &entry.principal);
        self.optional("action", entry.action.as_deref());
        self.optional("resource", entry.resource.as_deref());
        if !entry.resources.is_empty() {
            self.value("resources", &entry.resources);
        }
        self.text("decision", entry.outcome.name());
        if entry.is_audited_denial() {
            self.text("mode", "audit");
        }
        if let Some(source) = &entry.decision_source {
            self.text("layer", source.layer);
            self.source(source);
        }
        if let Some((outcome, source)) = &entry.candidate {
            self.name("candidate");
            let mut candidate = JsonObject::begin(self.lines);
            candidate.text("decision", outcome.name());
            candidate.source(source);
            self.lines.push(b'}');
        }
        self.optional("rate", entry.rate_limit_rule.as_deref());
        self.optional("reason", entry.reason.as_deref());
        self.optional("upstream_failure", entry.upstream_failure);
        self.number("status", entry.status.into());
        if let Some(status) = entry.upstream_status {
            self.number("upstream_status", status.into());
        }
        self.number("request_bytes", entry.request_bytes);
        self.number("response_bytes", entry.response_bytes);
        if let Some(time) = entry.decision_time {
            self.number("decide_us", micros(time));
        }
        if let Some(time) = entry.upstream_time {
            self.number("upstream_us", micros(time));
        }
        self.number("total_us", micros(entry.total_time));
    }

    /// INVARIANT: names are constants of this file and need no escapes.
    fn name(&mut self, name: &'static str) {
        self.lines
            .extend_from_slice(if self.is_empty { b"{\"" } else { b",\"" });
        self.is_empty = false;
        self.lines.extend_from_slice(name.as_bytes());
        self.lines.extend_from_slice(b"\":");
    }

    fn value(&mut self, name: &'static str, value: &impl Serialize) {
        self.name(name);
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(&mut *self.lines, value);
    }

    /// Copies text that needs no escapes, the usual case: serde looks at the text byte by byte.
    fn text(&mut self, name: &'static str, text: &str) {
        if !needs_no_escapes(text) {
            return self.value(name, &text);
        }
        self.name(name);
        self.lines.push(b'"');
        self.lines.extend_from_slice(text.as_bytes());
        self.lines.push(b'"');
    }

    fn optional(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    fn source(&mut self, source: &DecisionSource) {
        self.text("policy", &source.policy);
        self.optional("statement", source.statement.as_deref());
        self.optional("unknown", source.unknown.as_deref());
    }

    fn number(&mut self, name: &'static str, number: u64) {
        self.value(name, &number);
    }

    /// INVARIANT: the value's text contains no characters that JSON escapes.
    fn display(&mut self, name: &'static str, value: impl std::fmt::Display) {
        self.name(name);
        let _ = write!(self.lines, "\"{value}\"");
    }

    fn time(&mut self, clock: &mut SecondClock, time: SystemTime) {
        let (second, millis) = clock.format(time);
        self.name("time");
        let _ = write!(self.lines, "\"{second}.{millis:03}Z\"");
    }
}

/// Reads every byte without a branch, so that the compiler uses vector instructions.
fn needs_no_escapes(text: &str) -> bool {
    text.bytes().fold(true, |none, byte| {
        none & (byte >= b' ') & (byte != b'"') & (byte != b'\\')
    })
}

/// Formats a time to the second, RFC 3339 in UTC, and caches the text for that second.
#[derive(Default)]
struct SecondClock {
    second: u64,
    text: String,
}

impl SecondClock {
    fn format(&mut self, time: SystemTime) -> (&str, u32) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        if since.as_secs() != self.second || self.text.is_empty() {
            self.second = since.as_secs();
            let seconds = i64::try_from(self.second).unwrap_or(i64::MAX);
            let second = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
            self.text = second.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        }
        (&self.text, since.subsec_millis())
    }
}
