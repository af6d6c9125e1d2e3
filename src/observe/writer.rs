//! The thread that writes the decision log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::{self, LogAllowed};

use super::log::LogBuffer;
use super::recent::{Lines, Recent};
use super::sink::Sink;
use super::{LogFormat, human_format};

/// The end that writes. INVARIANT: a reader that stalls stalls this thread only; loops drop lines
/// and count them.
pub struct LogWriter {
    log: DecisionLog,
    ended: Receiver<()>,
}

/// The decision log, for whoever watches it. Cheap to clone.
#[derive(Clone)]
pub struct DecisionLog {
    messages: SyncSender<Message>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    reopen: AtomicBool,
    lost: AtomicU64,
    /// One allowed request in so many is written; 0: none.
    sample: Arc<AtomicU32>,
    recent: Arc<Recent>,
}

pub(super) enum Message {
    Block { lines: Lines, count: u64 },
    Look,
    End,
}

/// Blocks that may wait for the writer.
const WAITING: usize = 16;
/// How long the end of the process waits for what is left to be written.
const LAST: Duration = Duration::from_secs(5);
/// Between two tries where a descriptor does not wait by itself.
const STEP: Duration = Duration::from_millis(10);

impl LogWriter {
    /// Starts the thread that writes to `sink`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        sink: Sink,
        format: LogFormat,
        settings: &config::Log,
    ) -> std::io::Result<LogWriter> {
        let (messages, received) = sync_channel(WAITING);
        let (end, ended) = sync_channel(1);
        let shared = Arc::new(Shared::default());
        let mut writing = Writing {
            sink,
            format,
            shared: Arc::clone(&shared),
            torn: false,
            failing: false,
        };
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                writing.all(&received);
                // Nobody may be waiting any more.
                let _ = end.try_send(());
            })?;
        let log = DecisionLog { messages, shared };
        log.set(settings);
        Ok(LogWriter { log, ended })
    }

    /// A buffer for one event loop.
    pub fn buffer(&self) -> LogBuffer {
        let Shared { recent, sample, .. } = &*self.log.shared;
        let messages = self.log.messages.clone();
        LogBuffer::new(messages, Arc::clone(recent), Arc::clone(sample))
    }

    /// The log, for whoever watches it.
    pub fn log(&self) -> &DecisionLog {
        &self.log
    }

    /// Writes what the buffers handed over, and stops; a reader that stalls is left behind.
    pub fn finish(self) {
        let deadline = Instant::now() + LAST;
        while let Err(TrySendError::Full(_)) = self.log.messages.try_send(Message::End) {
            if Instant::now() > deadline {
                return;
            }
            thread::sleep(STEP);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let _ = self.ended.recv_timeout(left);
    }
}

impl DecisionLog {
    /// Opens the log's file anew, before the next line is written.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        // A queue that is full wakes the writer as well.
        let _ = self.messages.try_send(Message::Look);
    }

    /// Which allowed requests are written from now on.
    pub fn set(&self, settings: &config::Log) {
        let sample = match settings.allowed {
            LogAllowed::All => settings.sample,
            LogAllowed::None => 0,
        };
        self.shared.sample.store(sample, Ordering::Relaxed);
    }

    /// Lines that were lost because writing them failed.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// The last lines.
    pub fn recent(&self) -> &Arc<Recent> {
        &self.shared.recent
    }
}

/// What the thread works with.
struct Writing {
    sink: Sink,
    format: LogFormat,
    shared: Arc<Shared>,
    /// Whether the last write ended within a line.
    torn: bool,
    /// Whether the last write failed.
    failing: bool,
}

impl Writing {
    fn all(&mut self, messages: &Receiver<Message>) {
        for message in messages {
            if self.shared.reopen.swap(false, Ordering::AcqRel) {
                self.reopen();
            }
            match message {
                Message::Block { lines, count } => self.block(&lines, count),
                Message::Look => {}
                Message::End => return,
            }
        }
    }

    fn reopen(&mut self) {
        match self.sink.reopen() {
            Ok(()) => self.torn = false,
            Err(error) => {
                eprintln!(
                    "the decision log cannot be opened anew, and goes where it went: {error}"
                );
            }
        }
    }

    fn block(&mut self, lines: &[u8], count: u64) {
        let told;
        let bytes = match self.format {
            LogFormat::Json => lines,
            LogFormat::Human => {
                let mut text = Vec::new();
                for line in lines.split(|byte| *byte == b'\n') {
                    human_format::write(line, human_format::Style::PLAIN, &mut text);
                }
                told = text;
                &told
            }
        };
        let wait = || thread::sleep(STEP);
        if self.torn {
            // What comes next is not to be joined to half a line.
            let (written, ended) = self.sink.write(b"\n", wait);
            self.torn = written == 0;
            if self.torn {
                return self.failed(count, ended.err());
            }
        }
        let (written, ended) = self.sink.write(bytes, wait);
        let whole = bytes.get(..written).unwrap_or_default();
        self.torn = whole.last().is_some_and(|byte| *byte != b'\n');
        let complete = memchr::memchr_iter(b'\n', whole).count();
        let lost = count.saturating_sub(u64::try_from(complete).unwrap_or(u64::MAX));
        match ended {
            Ok(()) => self.failing = false,
            Err(error) => self.failed(lost, Some(error)),
        }
    }

    /// A reader that has gone, or a full disk, is no reason to stop serving.
    fn failed(&mut self, lost: u64, error: Option<std::io::Error>) {
        self.shared.lost.fetch_add(lost, Ordering::Relaxed);
        if !self.failing
            && let Some(error) = error
        {
            eprintln!("the decision log cannot be written, and loses lines: {error}");
        }
        self.failing = true;
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};

    use super::super::{LogFormat, Sink};
    use super::{Shared, Writing};

    /// A disk that takes so many bytes more.
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
        let mut writing = Writing {
            sink: Sink::writer(disk.clone()),
            format: LogFormat::Json,
            shared: Arc::clone(&shared),
            torn: false,
            failing: false,
        };
        // Space before each block of three lines, and how many lines are lost by then.
        for (space, lost) in [(9, 0), (4, 2), (0, 5), (1, 8), (100, 8)] {
            disk.with(|disk| disk.0 = space);
            writing.block(b"11\n22\n33\n", 3);
            let counted = shared.lost.load(std::sync::atomic::Ordering::Relaxed);
            assert_eq!(counted, lost, "{space}");
        }
        let held = disk.with(|disk| disk.1.clone());
        assert_eq!(
            String::from_utf8_lossy(&held),
            "11\n22\n33\n11\n2\n11\n22\n33\n"
        );
    }
}
