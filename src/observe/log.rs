//! The decision log: one line for each record.

use std::io::Write;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde::Serialize;

use super::recent::Recent;
use super::writer::Message;
use super::{ClosedTunnel, Counters, DecisionSource, DropReason, Record, RequestOutcome};

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object, for programs; `docs/decision-log.md` lists its members.
    Json,
    /// A sentence, for a person who watches.
    Human,
}

/// What happened to a connection that carried no request.
pub(super) enum Event<'a> {
    Dropped {
        why: DropReason,
        peer: IpAddr,
        reason: String,
    },
    Tunnel(&'a ClosedTunnel<'a>),
}

/// The lines of one event loop that have not been handed to the writer yet.
pub struct LogBuffer {
    messages: SyncSender<Message>,
    recent: Arc<Recent>,
    lines: Vec<u8>,
    held: u64,
    /// Where lines stand that tell of more than a request that passed, and how many they are.
    remarkable: Vec<Range<usize>>,
    marked: u64,
    /// One allowed request in so many is written; 0: none.
    sample: Arc<AtomicU32>,
    /// Allowed requests since one was written.
    passed: u32,
    clock: SecondClock,
}

/// A block is handed over when it is this long, or when its loop flushes. Handing it over wakes the
/// writer, which costs 10 µs: with blocks of 32 KiB, 0.3 µs of a request.
const BLOCK: usize = 128 << 10;

impl LogBuffer {
    pub(super) fn new(
        messages: SyncSender<Message>,
        recent: Arc<Recent>,
        sample: Arc<AtomicU32>,
    ) -> LogBuffer {
        LogBuffer {
            messages,
            recent,
            lines: Vec::new(),
            held: 0,
            remarkable: Vec::new(),
            marked: 0,
            sample,
            passed: 0,
            clock: SecondClock::default(),
        }
    }

    pub(super) fn write(&mut self, record: &Record, counters: &Counters) {
        // An answer that broke off, or was ended, has a reason.
        let plain = record.outcome == RequestOutcome::Allow
            && record.upstream_failure.is_none()
            && record.reason.is_none();
        let sample = self.sample.load(Ordering::Relaxed);
        if plain && !self.takes_allowed(sample) {
            return;
        }
        let start = self.lines.len();
        let sampled = (plain && sample > 1).then_some(sample);
        json(record, sampled, &mut self.clock, &mut self.lines);
        if !plain {
            self.mark(start);
        }
        self.count(counters);
    }

    fn takes_allowed(&mut self, sample: u32) -> bool {
        if sample == 0 {
            return false;
        }
        self.passed += 1;
        let taken = self.passed >= sample;
        if taken {
            self.passed = 0;
        }
        taken
    }

    pub(super) fn note(&mut self, event: &Event<'_>, now: SystemTime, counters: &Counters) {
        let start = self.lines.len();
        event.json(now, &mut self.clock, &mut self.lines);
        if matches!(event, Event::Dropped { .. }) {
            self.mark(start);
        }
        self.count(counters);
    }

    fn mark(&mut self, start: usize) {
        let end = self.lines.len();
        self.marked += 1;
        match self.remarkable.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => self.remarkable.push(start..end),
        }
    }

    fn count(&mut self, counters: &Counters) {
        self.held += 1;
        if self.lines.len() >= BLOCK {
            self.flush(counters);
        }
    }

    pub(super) fn flush(&mut self, counters: &Counters) {
        if self.lines.is_empty() {
            return;
        }
        let next = Vec::with_capacity(self.lines.len().min(BLOCK));
        let lines = Arc::new(std::mem::replace(&mut self.lines, next));
        let count = std::mem::take(&mut self.held);
        let marked = std::mem::take(&mut self.marked);
        // Before the writer, which may wait for a slow reader.
        self.recent.push(&lines, count, &self.remarkable, marked);
        self.remarkable.clear();
        if self
            .messages
            .try_send(Message::Block { lines, count })
            .is_err()
        {
            counters.log_dropped.add(count);
        }
    }
}

/// Writes one line of the log; members that say nothing are left out.
///
/// Member by member, because a line counts: with a derived serializer that flattens the ruling, and
/// the whole time formatted anew, it took 2.8 of the 28.7 µs of a small request.
fn json(record: &Record, sampled: Option<u32>, clock: &mut SecondClock, lines: &mut Vec<u8>) {
    let micros = |took: Duration| u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let mut line = Line { lines, first: true };
    line.time(clock, record.arrival_time());
    line.optional("request_id", record.request_id.as_deref());
    line.text("endpoint", &record.endpoint_id);
    line.display("peer", record.peer);
    line.value("principal", &record.principal);
    line.optional("action", record.action.as_deref());
    line.optional("resource", record.resource.as_deref());
    if !record.resources.is_empty() {
        line.value("resources", &record.resources);
    }
    line.text("decision", record.outcome.name());
    if record.passes_denied() {
        line.text("mode", "audit");
    }
    if let Some(ruling) = &record.decision_source {
        line.text("layer", ruling.layer);
        line.ruling(ruling);
    }
    if let Some((outcome, ruling)) = &record.candidate {
        line.name("candidate");
        let mut inner = Line {
            lines: line.lines,
            first: true,
        };
        inner.text("decision", outcome.name());
        inner.ruling(ruling);
        line.lines.push(b'}');
    }
    line.optional("rate", record.rate.as_deref());
    line.optional("reason", record.reason.as_deref());
    line.optional("upstream_failure", record.upstream_failure);
    line.number("status", record.status.into());
    if let Some(status) = record.upstream_status {
        line.number("upstream_status", status.into());
    }
    line.number("request_bytes", record.request_bytes);
    line.number("response_bytes", record.response_bytes);
    if let Some(took) = record.decide {
        line.number("decide_us", micros(took));
    }
    if let Some(took) = record.upstream {
        line.number("upstream_us", micros(took));
    }
    line.number("total_us", micros(record.total));
    if let Some(sampled) = sampled {
        line.number("sampled", sampled.into());
    }
    lines.extend_from_slice(b"}\n");
}

impl Event<'_> {
    fn json(&self, now: SystemTime, clock: &mut SecondClock, lines: &mut Vec<u8>) {
        let mut line = Line { lines, first: true };
        line.time(clock, now);
        match self {
            Event::Dropped { why, peer, reason } => {
                line.display("peer", peer);
                line.text("connection", "dropped");
                line.text("kind", why.name());
                line.text("reason", reason);
            }
            Event::Tunnel(tunnel) => {
                line.display("peer", tunnel.peer);
                line.text("connection", "tunnel");
                line.text("name", tunnel.name);
                line.number("sent_bytes", tunnel.sent);
                line.number("received_bytes", tunnel.received);
                let lasted = u64::try_from(tunnel.lasted.as_millis()).unwrap_or(u64::MAX);
                line.number("lasted_ms", lasted);
                line.text("reason", tunnel.end);
            }
        }
        lines.extend_from_slice(b"}\n");
    }
}

/// A JSON object, member by member.
struct Line<'a> {
    lines: &'a mut Vec<u8>,
    first: bool,
}

impl Line<'_> {
    /// INVARIANT: names are ours and need no escapes.
    fn name(&mut self, name: &'static str) {
        self.lines
            .extend_from_slice(if self.first { b"{\"" } else { b",\"" });
        self.first = false;
        self.lines.extend_from_slice(name.as_bytes());
        self.lines.extend_from_slice(b"\":");
    }

    fn value(&mut self, name: &'static str, value: &impl Serialize) {
        self.name(name);
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(&mut *self.lines, value);
    }

    /// Text that needs no escapes, as nearly all does, is copied: serde looks at it byte by byte.
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

    fn ruling(&mut self, ruling: &DecisionSource) {
        self.text("policy", &ruling.policy);
        self.optional("statement", ruling.statement.as_deref());
        self.optional("unknown", ruling.unknown.as_deref());
    }

    fn number(&mut self, name: &'static str, number: u64) {
        self.value(name, &number);
    }

    /// What is displayed without characters that JSON escapes.
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

/// Looks at every byte, so that it is done by vectors.
fn needs_no_escapes(text: &str) -> bool {
    text.bytes().fold(true, |none, byte| {
        none & (byte >= b' ') & (byte != b'"') & (byte != b'\\')
    })
}

/// Formats times to the second once a second: RFC 3339, UTC.
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
