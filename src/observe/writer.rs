//! The writer thread of the decision log, which keeps backpressure away from event loops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::{self, LogAllowed};

use super::human_format::{self, Style};
use super::log::{LogBuffer, LogFormat, LogMessage};
use super::recent::RecentLines;
use super::sink::Sink;

/// The handle of the writer thread. INVARIANT: a reader that stalls stalls this thread alone; event
/// loops drop lines and count them.
pub struct LogWriter {
    log: DecisionLog,
    end: Receiver<()>,
}

/// A handle of the decision log. Cheap to clone.
#[derive(Clone)]
pub struct DecisionLog {
    messages: SyncSender<LogMessage>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    reopen: AtomicBool,
    lost_lines: AtomicU64,
    /// Lines that did not fit into the queue.
    dropped_lines: Arc<AtomicU64>,
    /// One allowed request in this many is written; 0: none.
    sample: Arc<AtomicU32>,
    recent: Arc<RecentLines>,
}

/// Blocks that the queue can hold.
const QUEUE_BLOCKS: usize = 16;
/// How long the end of the process waits for the remaining lines.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause between two attempts on a non-blocking descriptor.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

impl LogWriter {
    /// Starts the thread that writes to `sink`.
    ///
    /// # Errors
    /// If the system starts no thread.
    pub fn start(
        sink: Sink,
        format: LogFormat,
        settings: &config::Log,
    ) -> std::io::Result<LogWriter> {
        let (messages, received) = sync_channel(QUEUE_BLOCKS);
        let (ended, end) = sync_channel(1);
        let shared = Arc::new(Shared::default());
        let mut thread = WriterThread {
            sink,
            format,
            shared: Arc::clone(&shared),
            is_torn: false,
            is_failing: false,
        };
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                thread.run(&received);
                // The receiver may have been dropped.
                let _ = ended.try_send(());
            })?;
        let log = DecisionLog { messages, shared };
        log.apply(settings);
        Ok(LogWriter { log, end })
    }

    /// A buffer for one event loop.
    pub fn buffer(&self) -> LogBuffer {
        let shared = &self.log.shared;
        LogBuffer::new(
            self.log.messages.clone(),
            Arc::clone(&shared.recent),
            Arc::clone(&shared.sample),
            Arc::clone(&shared.dropped_lines),
        )
    }

    /// The decision log.
    pub fn log(&self) -> &DecisionLog {
        &self.log
    }

    /// Writes the queued blocks, and stops. Gives up after a timeout if the reader stalls.
    pub fn finish(self) {
        let deadline = Instant::now() + FINISH_TIMEOUT;
        while let Err(TrySendError::Full(_)) = self.log.messages.try_send(LogMessage::End) {
            if Instant::now() > deadline {
                return;
            }
            thread::sleep(RETRY_PAUSE);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let _ = self.end.recv_timeout(left);
    }
}

impl DecisionLog {
    /// Reopens the log's file before the next line is written.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        // A full queue wakes the writer too.
        let _ = self.messages.try_send(LogMessage::Wake);
    }

    /// Sets which allowed requests are logged from now on.
    pub fn apply(&self, settings: &config::Log) {
        let sample = match settings.allowed {
            LogAllowed::All => settings.sample,
            LogAllowed::None => 0,
        };
        self.shared.sample.store(sample, Ordering::Relaxed);
    }

    /// The number of lines that were lost because a write failed.
    pub fn lost_lines(&self) -> u64 {
        self.shared.lost_lines.load(Ordering::Relaxed)
    }

    /// The number of lines that were dropped because the log's reader is slow.
    pub fn dropped_lines(&self) -> u64 {
        self.shared.dropped_lines.load(Ordering::Relaxed)
    }

    /// The last lines.
    pub fn recent(&self) -> &Arc<RecentLines> {
        &self.shared.recent
    }
}

/// The state of the thread.
struct WriterThread {
    sink: Sink,
    format: LogFormat,
    shared: Arc<Shared>,
    /// Whether the last write ended within a line.
    is_torn: bool,
    /// Whether the last write failed.
    is_failing: bool,
}

impl WriterThread {
    fn run(&mut self, messages: &Receiver<LogMessage>) {
        for message in messages {
            if self.shared.reopen.swap(false, Ordering::AcqRel) {
                self.reopen();
            }
            match message {
                LogMessage::Block { lines, count } => self.write_block(&lines, count),
                LogMessage::Wake => {}
                LogMessage::End => return,
            }
        }
    }

    fn reopen(&mut self) {
        match self.sink.reopen() {
            Ok(()) => self.is_torn = false,
            Err(error) => {
                eprintln!("the decision log cannot be reopened, and stays where it is: {error}");
            }
        }
    }

    fn write_block(&mut self, lines: &[u8], count: u64) {
        let sentences;
        let bytes = match self.format {
            LogFormat::Json => lines,
            LogFormat::Human => {
                let mut text = Vec::new();
                for line in lines.split(|byte| *byte == b'\n') {
                    human_format::write(line, Style::PLAIN, &mut text);
                }
                sentences = text;
                &sentences
            }
        };
        let wait = || thread::sleep(RETRY_PAUSE);
        if self.is_torn {
            // The next line must not continue half a line.
            let (written, result) = self.sink.write(b"\n", wait);
            self.is_torn = written == 0;
            if self.is_torn {
                return self.fail(count, result.err());
            }
        }
        let (written, result) = self.sink.write(bytes, wait);
        let whole = bytes.get(..written).unwrap_or_default();
        self.is_torn = whole.last().is_some_and(|byte| *byte != b'\n');
        let complete = memchr::memchr_iter(b'\n', whole).count();
        let lost = count.saturating_sub(u64::try_from(complete).unwrap_or(u64::MAX));
        match result {
            Ok(()) => self.is_failing = false,
            Err(error) => self.fail(lost, Some(error)),
        }
    }

    /// A closed reader or a full disk is no reason to stop serving.
    fn fail(&mut self, lost: u64, error: Option<std::io::Error>) {
        self.shared.lost_lines.fetch_add(lost, Ordering::Relaxed);
        if !self.is_failing
            && let Some(error) = error
        {
            eprintln!("the decision log cannot be written, and loses lines: {error}");
        }
        self.is_failing = true;
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};

    use super::super::{LogFormat, Sink};
    use super::{Shared, WriterThread};

    /// A disk with space for a number of bytes more.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(usize, Vec<u8>)>>);

    impl Disk {
        fn with<T>(&self, of: impl FnOnce(&mut (usize, Vec<u8>)) -> T) -> T {
            of(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    impl io::Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.with(|(space, held)| {
                let taken = bytes.len().min(*space);
                if taken == 0 {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                *space -= taken;
                held.extend(bytes.iter().take(taken));
                Ok(taken)
            })
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn half_a_line_is_not_joined_to_the_next_and_what_is_lost_is_counted() {
        let disk = Disk::default();
        let shared = Arc::new(Shared::default());
        let mut thread = WriterThread {
            sink: Sink::writer(disk.clone()),
            format: LogFormat::Json,
            shared: Arc::clone(&shared),
            is_torn: false,
            is_failing: false,
        };
        // Space before each block of three lines, and how many lines are lost by then.
        for (space, lost) in [(9, 0), (4, 2), (0, 5), (1, 8), (100, 8)] {
            disk.with(|disk| disk.0 = space);
            thread.write_block(b"11\n22\n33\n", 3);
            let counted = shared.lost_lines.load(std::sync::atomic::Ordering::Relaxed);
            assert_eq!(counted, lost, "{space}");
        }
        let held = disk.with(|disk| disk.1.clone());
        assert_eq!(
            String::from_utf8_lossy(&held),
            "11\n22\n33\n11\n2\n11\n22\n33\n"
        );
    }
}
