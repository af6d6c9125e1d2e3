//! The decision log: one line for each record, written by a thread of its own.

use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use jiff::Timestamp;
use serde::Serialize;

use crate::config::LogAllowed;

use super::{Caller, Counters, Outcome, Record, Ruling};

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object, for programs; `docs/decision-log.md` lists its members.
    Json,
    /// A sentence, for a person who watches.
    Readable,
}

/// The end that writes. INVARIANT: a reader that stalls stalls this thread only; loops drop lines
/// and count them.
pub struct LogWriter {
    blocks: SyncSender<Vec<u8>>,
    thread: thread::JoinHandle<()>,
}

/// The lines of one event loop that have not been handed to the writer yet.
pub struct LogBuffer {
    blocks: SyncSender<Vec<u8>>,
    lines: Vec<u8>,
    held: u64,
    format: Format,
    allowed: LogAllowed,
}

/// A block is handed over when it is this long, or when its loop flushes.
const BLOCK: usize = 32 << 10;
/// Blocks that may wait for the writer.
const WAITING: usize = 64;

impl LogWriter {
    /// Starts the thread that writes to `sink`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(sink: impl Write + Send + 'static) -> std::io::Result<LogWriter> {
        let (blocks, received) = sync_channel(WAITING);
        let thread = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(received, sink))?;
        Ok(LogWriter { blocks, thread })
    }

    /// A buffer for one event loop.
    pub fn buffer(&self, format: Format, allowed: LogAllowed) -> LogBuffer {
        LogBuffer {
            blocks: self.blocks.clone(),
            lines: Vec::new(),
            held: 0,
            format,
            allowed,
        }
    }

    /// Writes what is left once every buffer is gone, and stops.
    pub fn finish(self) {
        drop(self.blocks);
        let _ = self.thread.join();
    }
}

impl LogBuffer {
    pub(super) fn write(&mut self, record: &Record, counters: &Counters) {
        let plain = record.outcome == Outcome::Allow && record.upstream_failure.is_none();
        if plain && self.allowed == LogAllowed::None {
            return;
        }
        match self.format {
            Format::Json => json(record, &mut self.lines),
            Format::Readable => readable(record, &mut self.lines),
        }
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
        let block = std::mem::replace(&mut self.lines, next);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.blocks.try_send(block)
        {
            counters.log_dropped.add(self.held);
        }
        self.held = 0;
    }
}

fn write_all(blocks: Receiver<Vec<u8>>, mut sink: impl Write) {
    for block in blocks {
        // A reader that has gone is no reason to stop serving; the lines are lost with it.
        let _ = sink.write_all(&block).and_then(|()| sink.flush());
    }
}

/// One line of the log. Members that say nothing are left out.
#[derive(Serialize)]
struct Line<'a> {
    time: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    endpoint: &'a str,
    peer: std::net::IpAddr,
    principal: &'a Caller,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
    decision: Outcome,
    #[serde(flatten)]
    ruling: Option<&'a Ruling>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_failure: Option<&'a str>,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_status: Option<u16>,
    request_bytes: u64,
    response_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    decide_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_us: Option<u64>,
    total_us: u64,
}

/// RFC 3339, UTC, milliseconds.
struct Time(Option<Timestamp>);

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(time) => serializer.collect_str(&format_args!("{time:.3}")),
            None => serializer.serialize_none(),
        }
    }
}

fn json(record: &Record, lines: &mut Vec<u8>) {
    let micros = |took: std::time::Duration| u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let line = Line {
        time: Time(Timestamp::try_from(record.arrived()).ok()),
        request_id: record.request_id.as_deref(),
        endpoint: &record.endpoint_id,
        peer: record.peer,
        principal: &record.caller,
        action: record.action.as_deref(),
        resource: record.resource.as_deref(),
        decision: record.outcome,
        ruling: record.ruling.as_ref(),
        reason: record.reason.as_deref(),
        upstream_failure: record.upstream_failure,
        status: record.status,
        upstream_status: record.upstream_status,
        request_bytes: record.request_bytes,
        response_bytes: record.response_bytes,
        decide_us: record.decide.map(micros),
        upstream_us: record.upstream.map(micros),
        total_us: micros(record.elapsed()),
    };
    let start = lines.len();
    match serde_json::to_writer(&mut *lines, &line) {
        Ok(()) => lines.push(b'\n'),
        Err(_) => lines.truncate(start),
    }
}

fn readable(record: &Record, lines: &mut Vec<u8>) {
    let who = match (&record.caller.arn, &record.caller.account) {
        (Some(arn), _) => arn,
        (None, Some(account)) => account.as_str(),
        (None, None) => "unknown",
    };
    let _ = write!(
        lines,
        "{:<13} {} {} on {} by {who} through {}",
        record.outcome.name(),
        record.status,
        record.action.as_deref().unwrap_or("-"),
        record.resource.as_deref().unwrap_or("-"),
        record.endpoint_id,
    );
    if let Some(ruling) = &record.ruling {
        match &ruling.statement {
            Some(statement) => {
                let _ = write!(lines, ": statement `{statement}` of {}", ruling.policy);
            }
            None => {
                let _ = write!(lines, ": no statement of {} allows it", ruling.policy);
            }
        }
        if let Some(unknown) = &ruling.unknown {
            let _ = write!(lines, " (not known here: {unknown})");
        }
    }
    if let Some(reason) = &record.reason {
        let _ = write!(lines, ": {reason}");
    }
    lines.push(b'\n');
}
